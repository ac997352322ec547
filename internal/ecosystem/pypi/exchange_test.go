package pypi

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
)

func ecosystemSettings(name string, public *url.URL) ecosystem.Settings {
	return ecosystem.Settings{Registry: name, Public: public}
}

func TestClassifyRoot(t *testing.T) {
	op := func(kind model.OperationKind, name, registry string) model.Operation {
		return model.Operation{Kind: kind, Name: name, Registry: registry}
	}
	tests := []struct {
		method, path, accept string
		want                 model.Operation
		code                 model.Code
	}{
		{"GET", "/_/oidc/audience", "*/*", op(model.OperationDiscover, opAudience, ""), ""},
		{"HEAD", "/_/oidc/audience", "", op(model.OperationDiscover, opAudience, ""), ""},
		{"POST", "/_/oidc/mint-token", "", op(model.OperationExchange, opMint, ""), ""},
		{"POST", "/_/oidc/github/mint-token", "", op(model.OperationExchange, opMint, ""), ""},
		{"POST", "/_/oidc/burn-token", "", op(model.OperationRevoke, opBurn, ""), ""},
		{"GET", "/.well-known/pytp", "", op(model.OperationDiscover, opDiscover, ""), ""},
		{"GET", "/.well-known/pytp", mediaPytp, op(model.OperationDiscover, opDiscover, ""), ""},
		{"GET", "/.well-known/pytp", "text/html, */*;q=0.1", op(model.OperationDiscover, opDiscover, ""), ""},
		{"GET", "/.well-known/pytp", "text/html", op(model.OperationDiscover, opDiscover, ""), model.CodeNotAcceptable},
		{"GET", "/.well-known/pytp", mediaPytp + "; q=0", op(model.OperationDiscover, opDiscover, ""), model.CodeNotAcceptable},
		{"GET", "/_/oidc/pytp/internal/audience", "", op(model.OperationDiscover, opPytpAud, "internal"), ""},
		{"POST", "/_/oidc/pytp/internal/mint-token", mediaPytp, op(model.OperationExchange, opPytpMint, "internal"), ""},
		{"POST", "/_/oidc/pytp/internal/mint-token", "text/html", op(model.OperationExchange, opPytpMint, "internal"), model.CodeNotAcceptable},
		{"POST", "/_/oidc/pytp/internal/audience", "", op(model.OperationDiscover, opPytpAud, "internal"), model.CodeUnsupportedOperation},
		{"GET", "/_/oidc/mint-token", "", op(model.OperationExchange, opMint, ""), model.CodeUnsupportedOperation},
		{"PUT", "/_/oidc/burn-token", "", op(model.OperationRevoke, opBurn, ""), model.CodeUnsupportedOperation},
		{"GET", "/_/oidc/", "", op(model.OperationDiscover, "", ""), model.CodeNotFound},
		{"GET", "/_/oidc/pytp/a/b/audience", "", op(model.OperationDiscover, "", ""), model.CodeNotFound},
		{"GET", "/_/oidc/pytp//audience", "", op(model.OperationDiscover, "", ""), model.CodeNotFound},
		{"POST", "/_/oidc/gitlab/mint-token", "", op(model.OperationDiscover, "", ""), model.CodeNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path+" "+tt.accept, func(t *testing.T) {
			header := http.Header{}
			if tt.accept != "" {
				header.Set("Accept", tt.accept)
			}
			got, err := index(t, false).ClassifyRoot(tt.method, tt.path, nil, header)
			if code(t, err) != tt.code {
				t.Errorf("error is %v, want code %q", err, tt.code)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseExchange(t *testing.T) {
	tests := []struct {
		name, op, body string
		want           model.Exchange
		code           model.Code
	}{
		{"mint", opMint, `{"token":"a.b.c"}`, model.Exchange{Token: "a.b.c"}, ""},
		{"spaces around", opMint, " {\"token\": \"a.b.c\"}\n", model.Exchange{Token: "a.b.c"}, ""},
		{"an unknown name", opMint, `{"token":"a.b.c","more":1}`, model.Exchange{Token: "a.b.c"}, ""},
		{"single use", opPytpMint, `{"token":"a.b.c","features":["single-use-token"]}`, model.Exchange{Token: "a.b.c", SingleUse: true}, ""},
		{"multi use", opPytpMint, `{"token":"a.b.c","features":["multi-use-token"]}`, model.Exchange{Token: "a.b.c"}, ""},
		{"burn", opBurn, `{"token":"tpub_x"}`, model.Exchange{Token: "tpub_x"}, ""},
		{"an unknown feature", opPytpMint, `{"token":"a.b.c","features":["x"]}`, model.Exchange{}, model.CodeBadRequest},
		{"both features", opPytpMint, `{"token":"a.b.c","features":["single-use-token","multi-use-token"]}`, model.Exchange{}, model.CodeBadRequest},
		{"features that are no list", opPytpMint, `{"token":"a.b.c","features":"single-use-token"}`, model.Exchange{}, model.CodeBadRequest},
		{"two tokens", opMint, `{"token":"a.b.c","token":"d.e.f"}`, model.Exchange{}, model.CodeBadRequest},
		{"two tokens, one escaped", opMint, `{"token":"a.b.c","tok\u0065n":"d.e.f"}`, model.Exchange{}, model.CodeBadRequest},
		{"another case", opMint, `{"Token":"a.b.c"}`, model.Exchange{}, model.CodeBadRequest},
		{"a number", opMint, `{"token":1}`, model.Exchange{}, model.CodeBadRequest},
		{"null", opMint, `null`, model.Exchange{}, model.CodeBadRequest},
		{"a list", opMint, `["a.b.c"]`, model.Exchange{}, model.CodeBadRequest},
		{"two documents", opMint, `{"token":"a.b.c"}{}`, model.Exchange{}, model.CodeBadRequest},
		{"a form", opMint, `token=a.b.c`, model.Exchange{}, model.CodeBadRequest},
		{"nothing", opMint, ``, model.Exchange{}, model.CodeBadRequest},
		{"invalid UTF-8", opMint, "{\"token\":\"a.b.c\xff\"}", model.Exchange{}, model.CodeBadRequest},
		{"a line break in the token", opMint, `{"token":"a.b\n.c"}`, model.Exchange{}, model.CodeBadRequest},
		{"a long token", opMint, `{"token":"` + strings.Repeat("a", maxToken+1) + `"}`, model.Exchange{}, model.CodeBadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			kind := model.OperationExchange
			if tt.op == opBurn {
				kind = model.OperationRevoke
			}
			got, err := index(t, false).ParseExchange(model.Operation{Kind: kind, Name: tt.op}, nil, []byte(tt.body))
			if code(t, err) != tt.code {
				t.Errorf("error is %v, want code %q", err, tt.code)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if err != nil && strings.Contains(err.Error(), "b.c") {
				t.Errorf("error quotes the token: %v", err)
			}
		})
	}
}

func TestMintedAndRevoked(t *testing.T) {
	p, expiry := index(t, false), time.Unix(1_795_466_563, 0)
	header := func(media string) http.Header {
		return http.Header{"Content-Type": {media}, "Cache-Control": {"no-store"}}
	}
	tests := []struct {
		name      string
		got, want model.Reply
	}{
		{"mint", p.Minted(model.Operation{Name: opMint}, "tpub_x", expiry), model.Reply{
			Status: 200, Header: header("application/json"), Body: []byte(`{"success":true,"token":"tpub_x","expires":1795466563}`),
		}},
		{"PEP 807", p.Minted(model.Operation{Name: opPytpMint}, "tpub_x", expiry), model.Reply{
			Status: 200, Header: header(mediaPytp), Body: []byte(`{"token":"tpub_x","expires":1795466563}`),
		}},
		{"burn", p.Revoked(model.Operation{Name: opBurn}), model.Reply{Status: 204, Header: http.Header{"Cache-Control": {"no-store"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDiscover(t *testing.T) {
	registries := []ecosystem.Discoverable{
		{Name: "prod", Public: &url.URL{Scheme: "https", Host: "pypi.example.com:8443", Path: "/root/prod/"}, Audience: "pypi.example.com:8443/root/prod"},
		{Name: "test", Public: &url.URL{Scheme: "https", Host: "pypi.example.com:8443", Path: "/root/test/"}, Audience: "pypi.example.com:8443"},
		{Name: "more", Public: &url.URL{Scheme: "https", Host: "pypi.example.com:8443", Path: "/"}, Audience: "pypi.example.com:8443"},
	}
	endpoints := func(name string) string {
		base := "https://pypi.example.com:8443/_/oidc/pytp/" + name
		return `{"audience-endpoint":"` + base + `/audience","token-mint-endpoint":"` + base + `/mint-token",` +
			`"features":["single-use-token","multi-use-token"],"default-features":["multi-use-token"]}`
	}
	tests := []struct {
		name, op   string
		query      url.Values
		registries []ecosystem.Discoverable
		body       string
		code       model.Code
	}{
		{"the audience of most", opAudience, nil, registries, `{"audience":"pypi.example.com:8443"}`, ""},
		{"the audience of one", opPytpAud, nil, registries[:1], `{"audience":"pypi.example.com:8443/root/prod"}`, ""},
		{"of none", opAudience, nil, nil, "", model.CodeNotFound},
		{"by path", opDiscover, url.Values{"discover": {"/root/test/"}}, registries, endpoints("test"), ""},
		{"without the final slash", opDiscover, url.Values{"discover": {"/root/prod"}}, registries, endpoints("prod"), ""},
		{"of the root", opDiscover, url.Values{"discover": {""}}, registries, endpoints("more"), ""},
		{"of no registry", opDiscover, url.Values{"discover": {"/legacy/"}}, registries, "", model.CodeNotFound},
		{"of a longer path", opDiscover, url.Values{"discover": {"/root/prod/x"}}, registries, "", model.CodeNotFound},
		{"without a path", opDiscover, nil, registries, "", model.CodeBadRequest},
		{"of two paths", opDiscover, url.Values{"discover": {"/root/prod/", "/root/test/"}}, registries, "", model.CodeBadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := index(t, false).Discover(model.Operation{Kind: model.OperationDiscover, Name: tt.op}, tt.query, tt.registries)
			if code(t, err) != tt.code {
				t.Fatalf("error is %v, want code %q", err, tt.code)
			}
			if diff := cmp.Diff(tt.body, string(got.Body)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
