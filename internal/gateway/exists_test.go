package gateway_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/demo/wheel"
	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

const grantPattern = `policies:
  - name: plugins
    registry: internal-pypi
    packages: ["acme-*"]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
`

// asked makes the registry one that can be asked, at /simple/.
func asked(reg *gateway.Registry, _ *gateway.Config) {
	reg.Probe = func(pkg string) credential.Probe {
		return credential.Probe{Path: "/simple/" + pkg + "/", Query: "own", Accept: "application/json", Has: func(status int, body []byte) (bool, error) {
			if status >= 500 {
				return false, errors.New("the registry is ill")
			}
			return status == http.StatusOK && string(body) == "here", nil
		}}
	}
}

// TestFirstPublish: where only a pattern covers a name, the registry must have the package.
func TestFirstPublish(t *testing.T) {
	for _, tc := range []struct {
		name     string
		policy   string
		options  []option
		status   int // of the registry's answer to the question
		body     string
		length   string     // that is announced, where it is another one
		endless  bool       // the body comes again and again
		wantCode model.Code // empty: published
		asks     int        // how often the registry is asked in two publishes
	}{
		{name: "it is there", policy: grantPattern, options: []option{asked}, status: 200, body: "here", asks: 1},
		{name: "it is not", policy: grantPattern, options: []option{asked}, status: 404, wantCode: model.CodeNewPackage, asks: 2},
		{name: "the answer is another one", policy: grantPattern, options: []option{asked}, status: 200, body: "a login page", wantCode: model.CodeNewPackage, asks: 2},
		{name: "the answer can't be told", policy: grantPattern, options: []option{asked}, status: 500, wantCode: model.CodeNewPackage, asks: 2},
		{name: "an endless answer", policy: grantPattern, options: []option{asked}, status: 200, endless: true, wantCode: model.CodeNewPackage, asks: 2},
		{name: "an answer that breaks off", policy: grantPattern, options: []option{asked}, status: 200, body: "he", length: "4", wantCode: model.CodeUpstreamUnavailable, asks: 2},
		{name: "it can't be asked", policy: grantPattern, status: 200, body: "here", wantCode: model.CodeNewPackage},
		{name: "a named package needs no question", policy: grantWidget, options: []option{asked}, status: 404},
		{name: "first publishes are granted", policy: strings.Replace(grantPattern, "    publisher:", "    new_packages: true\n    publisher:", 1), options: []option{asked}, status: 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := open(t, tc.options...)
			h.policies.set(tc.policy)
			asks := 0
			h.upstream.behave(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet {
					h.upstream.keep(w, r)
					return
				}
				asks++
				if r.RequestURI != "/simple/acme-widget/?own" || r.Header.Get("Accept") != "application/json" || r.Header.Get("Authorization") != "" || r.ContentLength != 0 {
					t.Errorf("asked %s with %v", r.RequestURI, r.Header)
				}
				if tc.length != "" {
					w.Header().Set("Content-Length", tc.length)
				}
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
				for err, piece := error(nil), make([]byte, 1<<20); err == nil && tc.endless; {
					_, err = w.Write(piece)
				}
			})
			for range 2 {
				a := h.publish(upload{token: h.identity()})
				if tc.wantCode == "" && a.status != http.StatusOK {
					t.Errorf("got %d %s\n%s", a.status, a.body, h.log)
				}
				if tc.wantCode != "" {
					h.refused(a, tc.wantCode.Info().Status, tc.wantCode)
				}
			}
			if asks != tc.asks {
				t.Errorf("asked %d times, expected %d", asks, tc.asks)
			}
		})
	}
}

// TestFirstPublishWithoutTheRegistry: a question that fails is a failure of the registry, and burns no token.
func TestFirstPublishWithoutTheRegistry(t *testing.T) {
	h := open(t, asked)
	h.policies.set(grantPattern)
	h.upstream.away(t)
	h.refused(h.publish(upload{token: h.identity()}), http.StatusBadGateway, model.CodeUpstreamUnavailable)
}

// TestPolicyNarrowedMeanwhile: a policy that names the package no longer, while its upload flows, asks what nobody has asked.
func TestPolicyNarrowedMeanwhile(t *testing.T) {
	h := open(t, asked)
	h.meanwhile(func() { h.policies.set(grantPattern) }, model.CodePolicyChanged)
}

// TestOnce: where the registry would replace what it has, it is asked first.
func TestOnce(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int // of the registry's answer to the question
		want   model.Code
	}{
		{"nothing is there", http.StatusNotFound, ""},
		{"nothing is there any more", http.StatusGone, ""},
		{"something is", http.StatusOK, model.CodeAlreadyExists},
		{"the answer can't be told", http.StatusInternalServerError, model.CodeUpstreamUnavailable},
		{"the question is redirected", http.StatusFound, model.CodeUpstreamUnavailable},
		{"the question is refused", http.StatusForbidden, model.CodeUpstreamRefusedCredential},
		{"the question wants another credential", http.StatusUnauthorized, model.CodeUpstreamRefusedCredential},
		{"the question is one too many", http.StatusTooManyRequests, model.CodeUpstreamUnavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := open(t, once)
			h.policies.set(grantWidget)
			asked := 0
			h.upstream.behave(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodHead {
					h.upstream.keep(w, r)
					return
				}
				asked++
				if r.Header.Get("Authorization") == "" || r.ContentLength != 0 {
					t.Errorf("asked with %v", r.Header)
				}
				w.WriteHeader(tc.status)
			})
			a := h.publish(upload{token: h.identity()})
			if tc.want == "" && a.status != http.StatusOK {
				t.Errorf("got %d %s\n%s", a.status, a.body, h.log)
			}
			if tc.want != "" {
				h.refused(a, tc.want.Info().Status, tc.want)
			}
			if asked != 1 {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

// TestOnceOverAReload: two uploads of one file at a time would each find nothing there, also where the second comes after a reload.
func TestOnceOverAReload(t *testing.T) {
	var cfg gateway.Config
	h := open(t, once, func(_ *gateway.Registry, c *gateway.Config) { cfg = *c })
	h.policies.set(grantWidget)
	cfg.Registries = []gateway.Registry{h.registry}
	reloaded, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	second := h.request(upload{token: h.identity()})
	second.RequestURI, second.URL = second.URL.RequestURI(), &url.URL{Path: second.URL.Path}
	second.Host = h.registry.Public.Host
	w := httptest.NewRecorder()
	h.upstream.behave(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead {
			h.upstream.keep(rw, r)
			return
		}
		if err := reloaded.ServeHTTP(w, second, nil, h.upstream.forward); err != nil {
			t.Error(err)
		}
		http.NotFound(rw, r)
	})
	if a := h.publish(upload{token: h.identity()}); a.status != http.StatusOK {
		t.Errorf("the first: %d %s", a.status, a.body)
	}
	if w.Code != http.StatusConflict || len(h.upstream.stored()) != 1 {
		t.Errorf("the second: %d %s, and the registry has %d uploads", w.Code, w.Body, len(h.upstream.stored()))
	}
}

// TestOnceSame: what is there may be put once more where the ecosystem says so, and nothing else.
func TestOnceSame(t *testing.T) {
	for _, tc := range []struct {
		name  string
		there func(uploaded []byte) (status int, body []byte)
		want  model.Code
	}{
		{"the same", func(b []byte) (int, []byte) { return http.StatusOK, b }, ""},
		{"something else", func(b []byte) (int, []byte) { return http.StatusOK, append(b[:len(b):len(b)], 'x') }, model.CodeAlreadyExists},
		{"nothing", func([]byte) (int, []byte) { return http.StatusOK, nil }, model.CodeAlreadyExists},
		{"something that can't be read", func(b []byte) (int, []byte) { return http.StatusForbidden, b }, model.CodeAlreadyExists},
		{"a part of it", func(b []byte) (int, []byte) { return http.StatusPartialContent, b }, model.CodeAlreadyExists},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := open(t, func(reg *gateway.Registry, _ *gateway.Config) { reg.Ecosystem = repeating{reg.Ecosystem} })
			h.policies.set(grantWidget)
			file, err := wheel.Release{Name: "acme-widget", Version: "1.0"}.Wheel()
			if err != nil {
				t.Fatal(err)
			}
			status, body := tc.there(file.Data)
			h.upstream.behave(func(w http.ResponseWriter, r *http.Request) {
				switch r.Method {
				case http.MethodHead:
				case http.MethodGet:
					w.WriteHeader(status)
					_, _ = w.Write(body)
				default:
					h.upstream.keep(w, r)
				}
			})
			a := h.publish(upload{token: h.identity()})
			if tc.want == "" && a.status != http.StatusOK {
				t.Errorf("got %d %s\n%s", a.status, a.body, h.log)
			}
			if tc.want != "" {
				h.refused(a, tc.want.Info().Status, tc.want)
			}
		})
	}
}

// repeating is a registry that makes some of its files itself.
type repeating struct{ ecosystem.Ecosystem }

// Classify marks every publish.
func (r repeating) Classify(method, path string, query url.Values, header http.Header) (model.Operation, error) {
	op, err := r.Ecosystem.Classify(method, path, query, header)
	if op.Kind == model.OperationPublish {
		op.Once, op.Same, op.Body = true, true, model.BodySpool
	}
	return op, err
}

// once makes uploads those of a registry that replaces what it has.
func once(reg *gateway.Registry, _ *gateway.Config) { reg.Ecosystem = replacing{reg.Ecosystem} }

type replacing struct{ ecosystem.Ecosystem }

// Classify marks every publish.
func (r replacing) Classify(method, path string, query url.Values, header http.Header) (model.Operation, error) {
	op, err := r.Ecosystem.Classify(method, path, query, header)
	op.Once = op.Kind == model.OperationPublish
	return op, err
}

// moving makes the fake ecosystem one whose registry keeps files elsewhere, and whose client calls them something that they are not.
type moving struct{ ecosystem.Ecosystem }

// Classify adds the question, its answer by a redirect, and the encoding.
func (m moving) Classify(method, path string, query url.Values, header http.Header) (model.Operation, error) {
	op, err := m.Ecosystem.Classify(method, path, query, header)
	op.Once = op.Kind == model.OperationPublish
	op.Moved, op.Encoding = op.Once, "x-gzip"
	return op, err
}

func moved(reg *gateway.Registry, _ *gateway.Config) { reg.Ecosystem = moving{reg.Ecosystem} }

// TestOnceMoved: where a registry keeps files elsewhere, a redirect says that one is there, and no other than 302 does.
func TestOnceMoved(t *testing.T) {
	for status, want := range map[int]model.Code{
		http.StatusNotFound: "", http.StatusFound: model.CodeAlreadyExists, http.StatusOK: model.CodeAlreadyExists,
		http.StatusMovedPermanently: model.CodeUpstreamUnavailable, http.StatusTemporaryRedirect: model.CodeUpstreamUnavailable,
	} {
		h := open(t, moved)
		h.policies.set(grantWidget)
		h.upstream.behave(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodHead {
				h.upstream.keep(w, r)
				return
			}
			w.WriteHeader(status)
		})
		a := h.publish(upload{token: h.identity()})
		if want == "" && a.status != http.StatusOK {
			t.Errorf("%d: got %d %s", status, a.status, a.body)
		}
		if want != "" {
			h.refused(a, want.Info().Status, want)
		}
	}
}

// TestEncoding: an encoding that a client only says is taken and not passed on, and any other is refused.
func TestEncoding(t *testing.T) {
	for encoding, want := range map[string]model.Code{"x-gzip": "", "gzip": model.CodeContentEncoding, "X-GZIP": model.CodeContentEncoding, "x-gzip, br": model.CodeContentEncoding} {
		h := open(t, moved)
		h.policies.set(grantWidget)
		passed := ""
		h.upstream.behave(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				http.NotFound(w, r)
				return
			}
			passed = r.Header.Get("Content-Encoding")
			h.upstream.keep(w, r)
		})
		a := h.publish(upload{token: h.identity(), header: http.Header{"Content-Encoding": {encoding}}})
		if want != "" {
			h.refused(a, want.Info().Status, want)
		} else if a.status != http.StatusOK || passed != "" || len(h.upstream.stored()) != 1 {
			t.Errorf("%s: got %d %s, and the registry saw %q", encoding, a.status, a.body, passed)
		}
	}
}
