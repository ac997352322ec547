package integration

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trustpub/trustpub/integration/registry"
	contract "github.com/trustpub/trustpub/integration/registry/codeartifact"
	"github.com/trustpub/trustpub/integration/registry/trust"
)

// The variables with which the tests of clouds run against one of yours, beside those of the cloud: a file with an identity token of your
// CI that was not used, the issuer as it stands behind `issuer` in a Caddyfile, and a policy file for the registry internal-pypi that lets
// this job publish the Python package of the last one.
const (
	liveToken   = "TRUSTPUB_LIVE_TOKEN"
	liveIssuer  = "TRUSTPUB_LIVE_ISSUER"
	livePolicy  = "TRUSTPUB_LIVE_POLICY"
	livePackage = "TRUSTPUB_LIVE_PACKAGE"
)

// live is a cloud of yours.
type live struct{ token, audience, issuer, policy, pkg string }

// findLive reads the variables, all of which are needed where one of the cloud's is set.
func findLive(t *testing.T, variables ...string) (*live, map[string]string) {
	t.Helper()
	values := map[string]string{}
	if os.Getenv(variables[0]) == "" {
		return nil, values
	}
	for _, name := range append(variables, liveToken, liveIssuer, livePolicy, livePackage) {
		if values[name] = os.Getenv(name); values[name] == "" {
			t.Fatalf("%s is set, and %s is not", variables[0], name)
		}
	}
	l := &live{issuer: values[liveIssuer], pkg: values[livePackage]}
	for name, to := range map[string]*string{liveToken: &l.token, livePolicy: &l.policy} {
		text, err := os.ReadFile(values[name])
		if err != nil {
			t.Fatal(err)
		}
		*to = strings.TrimSpace(string(text))
	}
	var claims struct {
		Audience any `json:"aud"`
	}
	parts := strings.Split(l.token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		t.Fatalf("%s names no file with a token", liveToken)
	}
	if list, many := claims.Audience.([]any); many && len(list) == 1 {
		claims.Audience = list[0]
	}
	l.audience, _ = claims.Audience.(string)
	return l, values
}

// options make a rig for it.
func (l *live) options() []option {
	return []option{withIssuer("issuer " + l.issuer), withPolicy("widget.yaml", l.policy), withLines("audience " + l.audience)}
}

// publishLive publishes one wheel with the one token that there is.
func publishLive(t *testing.T, l *live, upstream, path, credential string) {
	t.Helper()
	target, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	// The gateway's site speaks plain HTTP with its registry; this carries it on.
	bridge := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }})
	t.Cleanup(bridge.Close)
	reg := cloudRegistry(strings.TrimPrefix(bridge.URL, "http://"), path, credential, func() map[string][]byte { return nil })
	r := startRig(t, reg, l.options()...)
	ok(t, r.upload(t, bearer(l.token), newWheel(t, l.pkg, fmt.Sprintf("0.0.%d", time.Now().Unix())).form()))
}

// cloudRegistry is one as rigs need it; files are by path, and their digests are what is compared.
func cloudRegistry(addr, path, credential string, files func() map[string][]byte) *registry.Registry {
	return &registry.Registry{
		Kind: "cloud", Addr: addr, Path: path, Password: "canary-of-nobody-" + random(8), Credential: credential,
		Files: func(context.Context) (map[string]string, error) {
			digests := map[string]string{}
			for name, content := range files() {
				digests[name] = digestOf(content)
			}
			return digests, nil
		},
		Log: func() string { return "" },
	}
}

// audiences are those that jobs ask their tokens for, of which the cloud is told as a client's ids: the gateway's host, and npm's own form
// of it.
func audiences(r *rig) []string {
	host, _, _ := strings.Cut(r.site.Host(), ":")
	return []string{r.site.Host(), "npm:" + host, "npm:" + r.site.Host()}
}

// TestLive: what runs against a cloud of yours is run against the contract's server, by its variables.
func TestLive(t *testing.T) {
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	const audience = "packages.example.com"
	aws := contract.Start(trust.Issuer{URL: shared.issuer.URL(), Audiences: []string{audience}, Keys: shared.issuer.JWKS})
	t.Cleanup(aws.Close)
	dir := t.TempDir()
	for name, text := range map[string]string{"token": shared.issuer.Token(audience, nil), "policy.yaml": widgetPolicy} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		liveToken: filepath.Join(dir, "token"), livePolicy: filepath.Join(dir, "policy.yaml"), liveIssuer: "github " + shared.issuer.URL(), livePackage: "acme-widget",
		codeArtifactRole: contract.Role,
	} {
		t.Setenv(name, value)
	}
	l, v := findLive(t, codeArtifactRole)
	if l == nil || v[codeArtifactRole] != contract.Role {
		t.Fatalf("got %v of the variables", v)
	}
	publishLive(t, l, aws.URL, "/pypi/"+contract.Repository+"/", "credential codeartifact {\n\tdomain "+contract.Domain+"\n\towner "+contract.Account+
		"\n\tregion "+contract.Region+"\n\trole "+contract.Role+"\n\tsts "+aws.URL+"\n\tendpoint "+aws.URL+"\n}")
	if got := len(aws.Files()); got != 1 {
		t.Errorf("got %d files, expected the one that was published", got)
	}
}
