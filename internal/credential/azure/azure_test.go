package azure

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	contract "github.com/trustpub/trustpub/integration/registry/azure"
	"github.com/trustpub/trustpub/integration/registry/trust"
	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

const audience = "packages.example.com"

func env(ecosystem string) credential.Env {
	u, err := url.Parse("https://packages.example.com/acme/_packaging/releases/pypi/upload/")
	if err != nil {
		panic(err)
	}
	return credential.Env{Registry: "internal", Ecosystem: ecosystem, Public: u, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// config is one that leads to a played Azure.
func config(url, ca, ecosystem string) *Config {
	c := &Config{Tenant: contract.Tenant, Client: contract.Client, Authority: url, CA: ca}
	if ecosystem == containers {
		c.Registry = strings.TrimPrefix(url, "https://")
	}
	return c
}

// played is an Azure whose application trusts a development issuer.
func played(t *testing.T) (*contract.Server, *issuer.Server) {
	t.Helper()
	ci, err := issuer.Start(issuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ci.Close() })
	return contract.New(trust.Issuer{URL: ci.URL(), Audiences: []string{audience}, Keys: ci.JWKS, Claims: map[string]string{"repository": "acme/widget"}}), ci
}

// serve starts an HTTPS server, and gives its URL and a file with its authority.
func serve(t *testing.T, handler http.Handler) (string, string) {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	return server.URL, authority(t, server.Certificate())
}

func authority(t *testing.T, certificate *x509.Certificate) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// secretOf is the token of a credential, whichever form it has.
func secretOf(c model.Credential) string {
	value := c.Header.Get("Authorization")
	if token, ok := strings.CutPrefix(value, "Bearer "); ok {
		return token
	}
	text, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(value, "Basic "))
	_, password, _ := strings.Cut(string(text), ":")
	return password
}

func publish(ecosystem, pkg string) model.Target {
	return model.Target{Ecosystem: ecosystem, Registry: "internal", Package: pkg, Version: "1.0", Action: model.ActionPublish}
}

func TestConformance(t *testing.T) {
	for _, ecosystem := range []string{"pypi", "npm", containers} {
		t.Run(ecosystem, func(t *testing.T) {
			cloud, ci := played(t)
			var clock credentialtest.Clock
			cloud.Now = clock.Now
			server := credentialtest.NewTLSServer(t, cloud.Handler())
			ca := authority(t, server.Certificate())
			credentialtest.Run(t, credentialtest.Suite{
				Kind: Kind, Env: env(ecosystem), NoSecret: true, Token: ci.Token(audience, map[string]any{"exp": time.Now().Add(3 * time.Hour).Unix()}),
				Targets: []model.Target{publish(ecosystem, "acme/widget"), publish(ecosystem, "acme/other")},
				Config: func(_ testing.TB, c credential.Config, _ model.Secret) credential.Config {
					clock.Set(time.Now)
					*c.(*Config) = *config(server.URL, ca, ecosystem)
					return c
				},
				Check: func(t testing.TB, target model.Target, got model.Credential) {
					raw := secretOf(got)
					if ecosystem != containers {
						if !cloud.Feeds(raw) {
							t.Error("Azure Artifacts does not take the token")
						}
						return
					}
					other := map[string]string{"acme/widget": "acme/other", "acme/other": "acme/widget"}[target.Package]
					if !cloud.May(raw, target.Package, "pull") || cloud.May(raw, target.Package, "push") != (target.Action != model.ActionRead) {
						t.Errorf("the token may not do to %s what was asked for, or more", target.Package)
					}
					if cloud.May(raw, other, "pull") || cloud.May(raw, other, "push") || cloud.Feeds(raw) {
						t.Errorf("the token of %s is good for another repository", target.Package)
					}
				},
				Mint: &credentialtest.Mint{
					Server: server, Cached: true, NotRenewed: true, MaxLife: time.Hour,
					Clock: func(c credential.Config, now func() time.Time) {
						c.(*Config).now = now
						clock.Set(now)
					},
					Live: func(got model.Credential) bool {
						return cloud.Feeds(secretOf(got)) || cloud.May(secretOf(got), "acme/widget", "pull")
					},
				},
			})
		})
	}
}

func issue(t *testing.T, c *Config, ecosystem, token string, targets ...model.Target) (model.Credential, error) {
	t.Helper()
	src, err := c.Provision(env(ecosystem))
	if err != nil {
		t.Fatal(err)
	}
	return src.(credential.Federated).IssueFederated(t.Context(), targets, &model.Identity{Issuer: "github"}, model.NewIdentityToken(token))
}

// TestForms: each protocol's clients send the token in their own way.
func TestForms(t *testing.T) {
	cloud, ci := played(t)
	url, ca := serve(t, cloud.Handler())
	for ecosystem, want := range map[string]string{"pypi": "Basic ", "maven": "Basic ", "nuget": "Basic ", "npm": "Bearer ", "cargo": "Bearer ", containers: "Bearer "} {
		t.Run(ecosystem, func(t *testing.T) {
			got, err := issue(t, config(url, ca, ecosystem), ecosystem, ci.Token(audience, nil), publish(ecosystem, "widget"))
			if err != nil {
				t.Fatal(err)
			}
			if header := got.Header.Get("Authorization"); !strings.HasPrefix(header, want) {
				t.Errorf("got %.8q..., expected %q", header, want)
			}
		})
	}
}

// TestScopes: a container registry's token is good for what the request touches, and no more.
func TestScopes(t *testing.T) {
	act := func(pkg string, action model.Action) model.Target {
		target := publish(containers, pkg)
		target.Action = action
		return target
	}
	for name, tc := range map[string]struct {
		targets []model.Target
		want    []string
		err     string
	}{
		"a push":     {[]model.Target{act("acme/widget", model.ActionPublish)}, []string{"repository:acme/widget:pull,push"}, ""},
		"a tag":      {[]model.Target{act("acme/widget", model.ActionTag)}, []string{"repository:acme/widget:pull,push"}, ""},
		"a pull":     {[]model.Target{act("acme/widget", model.ActionRead)}, []string{"repository:acme/widget:pull"}, ""},
		"a removal":  {[]model.Target{act("acme/widget", model.ActionDelete)}, []string{"repository:acme/widget:pull,delete"}, ""},
		"a mount":    {[]model.Target{act("acme/widget", model.ActionPublish), act("acme/base", model.ActionRead)}, []string{"repository:acme/widget:pull,push", "repository:acme/base:pull"}, ""},
		"one twice":  {[]model.Target{act("acme/widget", model.ActionRead), act("acme/widget", model.ActionRead)}, []string{"repository:acme/widget:pull"}, ""},
		"a wildcard": {[]model.Target{act("acme/*", model.ActionPublish)}, nil, "can't be narrowed"},
		"a colon":    {[]model.Target{act("acme/widget:pull,push repository:x", model.ActionPublish)}, nil, "can't be narrowed"},
		"another":    {[]model.Target{{Registry: "other", Package: "acme/widget"}}, nil, `registry is "other"`},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := config("https://acme.azurecr.io", "", containers).source(env(containers))
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.scopes(tc.targets)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("got %v, expected %q", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRefused: the error says what to look at, in our own words only.
func TestRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config, *contract.Server)
		claims map[string]any
		aud    string
		want   string
	}{
		"another audience":    {nil, nil, "elsewhere.example.com", "AADSTS700212, application " + contract.Client + " of tenant " + contract.Tenant + ": no federated credential"},
		"another subject":     {nil, map[string]any{"repository": "acme/gadget"}, audience, "AADSTS700213"},
		"an old token":        {nil, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, audience, "AADSTS700024"},
		"another application": {func(c *Config, _ *contract.Server) { c.Client = strings.Replace(c.Client, "1", "2", 1) }, nil, audience, "AADSTS700016"},
		"another tenant":      {func(c *Config, _ *contract.Server) { c.Tenant = strings.Replace(c.Tenant, "7", "8", 1) }, nil, audience, "AADSTS90002"},
		"another registry":    {func(_ *Config, s *contract.Server) { s.Registry = "other.azurecr.io" }, nil, audience, "/oauth2/exchange: got 400, expected 200"},
		"a server of no Entra": {func(c *Config, _ *contract.Server) {
			c.Authority = "https://" + strings.Replace(c.Registry, "127.0.0.1", "localhost", 1)
		}, nil, audience, "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, ci := played(t)
			url, ca := serve(t, cloud.Handler())
			c := config(url, ca, containers)
			if tc.change != nil {
				tc.change(c, cloud)
			}
			token := ci.Token(tc.aud, tc.claims)
			_, err := issue(t, c, containers, token, publish(containers, "widget"))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "https://") {
				t.Errorf("got %v, expected an error with the URL and %q", err, tc.want)
			}
			if err != nil && (strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "eyJ")) {
				t.Error("the error quotes a token")
			}
		})
	}
}

// TestUnfitAnswers: what is no answer of Azure's gives no credential, is not quoted, and leads nowhere.
func TestUnfitAnswers(t *testing.T) {
	const discovery = `{"token_endpoint":"BASE/TENANT/oauth2/v2.0/token","authorization_endpoint":"BASE/TENANT/oauth2/v2.0/authorize","issuer":"BASE/TENANT/v2.0"}`
	const signed = `{"token_type":"Bearer","expires_in":3600,"access_token":"canary-token-1"}`
	const refresh, scoped = `{"refresh_token":"canary-refresh"}`, `{"access_token":"canary-token-2"}`
	for name, tc := range map[string]struct{ discovery, entra, exchange, token, want string }{
		"a page of discovery": {"<html>canary</html>", signed, refresh, scoped, "not the JSON"},
		"led elsewhere":       {strings.Replace(discovery, "BASE/TENANT/oauth2/v2.0/token", "https://evil.example.com/token", 1), signed, refresh, scoped, "token_endpoint is not that"},
		"another issuer":      {strings.Replace(discovery, `"BASE/TENANT/v2.0"`, `"https://evil.example.com"`, 1), signed, refresh, scoped, "the library can't use"},
		"a page":              {discovery, "<html>canary</html>", refresh, scoped, "not the JSON"},
		"two tokens":          {discovery, strings.Replace(signed, "{", `{"access_token":"canary-token-0",`, 1), refresh, scoped, "not the JSON"},
		"another type":        {discovery, strings.Replace(signed, "Bearer", "pop", 1), refresh, scoped, "no bearer token with a life"},
		"no life":             {discovery, strings.Replace(signed, "3600", "0", 1), refresh, scoped, "no bearer token with a life"},
		"no token":            {discovery, strings.Replace(signed, "canary-token-1", "", 1), refresh, scoped, "no access_token"},
		"no refresh token":    {discovery, signed, "{}", scoped, "no refresh_token"},
		"a number":            {discovery, signed, `{"refresh_token":12345678}`, scoped, "no refresh_token"},
		"no scoped token":     {discovery, signed, refresh, "{}", "no access_token"},
		"a break in it":       {discovery, signed, refresh, `{"access_token":"canary\r\nX-Evil: 1"}`, "characters that no credential has"},
	} {
		t.Run(name, func(t *testing.T) {
			url, ca := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answers := map[string]string{"/oauth2/exchange": tc.exchange, "/oauth2/token": tc.token, "/" + contract.Tenant + signInPath: tc.entra, "/" + contract.Tenant + discoveryPath: tc.discovery}
				text := strings.ReplaceAll(answers[r.URL.Path], "BASE", "https://"+r.Host)
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, strings.ReplaceAll(text, "TENANT", contract.Tenant))
			}))
			got, err := issue(t, config(url, ca, containers), containers, "header.payload.signature", publish(containers, "widget"))
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "canary") || got.Header != nil {
				t.Errorf("got %v and %d headers, expected an error with %q that quotes nothing", err, len(got.Header), tc.want)
			}
		})
	}
}

// TestEnvironmentIsLeftAlone: no identity of the machine's own is used, nor its metadata server asked, whatever the environment says.
func TestEnvironmentIsLeftAlone(t *testing.T) {
	cloud, ci := played(t)
	server := credentialtest.NewTLSServer(t, cloud.Handler())
	ca := authority(t, server.Certificate())
	for name, value := range map[string]string{
		"AZURE_TENANT_ID": "evil", "AZURE_CLIENT_ID": "evil", "AZURE_CLIENT_SECRET": "canary", "AZURE_AUTHORITY_HOST": "https://evil.example.com",
		"AZURE_FEDERATED_TOKEN_FILE": "/absent", "IDENTITY_ENDPOINT": "http://127.0.0.1:1", "MSI_ENDPOINT": "http://127.0.0.1:1",
		"HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	if _, err := issue(t, config(server.URL, ca, containers), containers, ci.Token(audience, nil), publish(containers, "widget")); err != nil {
		t.Fatal(err)
	}
	want := []string{"GET /" + contract.Tenant + discoveryPath + "?", "POST /" + contract.Tenant + signInPath, "POST /oauth2/exchange", "POST /oauth2/token"}
	if diff := cmp.Diff(want, server.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestRegistryTokenEnds: what a container registry's token says of its own end counts, where it is sooner.
func TestRegistryTokenEnds(t *testing.T) {
	payload := func(text string) string { return "x." + base64.RawURLEncoding.EncodeToString([]byte(text)) + ".y" }
	for token, want := range map[string]int64{
		payload(`{"exp":1900000000}`): 1900000000, payload(`{"exp":-1}`): 0, payload(`{"exp":"x"}`): 0, payload("x"): 0, "opaque": 0, "a.%.b": 0, "": 0,
	} {
		got := expiryOf(token)
		if want == 0 && !got.IsZero() || want != 0 && got.Unix() != want {
			t.Errorf("%q: got %s, expected %d", token, got, want)
		}
	}
}

func TestProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change    func(*Config)
		ecosystem string
		want      string
	}{
		"an ecosystem that Azure lacks": {func(*Config) {}, "rubygems", "ecosystem is rubygems"},
		"files":                         {func(*Config) {}, "generic", "ecosystem is generic"},
		"a tenant's name":               {func(c *Config) { c.Tenant = "acme.onmicrosoft.com" }, "pypi", `tenant is "acme.onmicrosoft.com"`},
		"every tenant":                  {func(c *Config) { c.Tenant = "common" }, "pypi", `tenant is "common"`},
		"no application":                {func(c *Config) { c.Client = "" }, "pypi", `client is ""`},
		"containers without a registry": {func(c *Config) { c.Registry = "" }, containers, `registry is "", expected the login server`},
		"a registry with a path":        {func(c *Config) { c.Registry = "acme.azurecr.io/x" }, containers, "registry is"},
		"a registry of a feed":          {func(c *Config) { c.Registry = "acme.azurecr.io" }, "npm", "registry does nothing here"},
		"plain HTTP":                    {func(c *Config) { c.Authority = "http://login.example.com" }, "pypi", "expected https and a host alone"},
		"an authority with a path":      {func(c *Config) { c.Authority = "https://login.example.com/x" }, "pypi", "expected https and a host alone"},
		"an authority with a password":  {func(c *Config) { c.Authority = "https://x:hunter2@login.example.com" }, "pypi", "authority: url has a user or a password"},
		"no such CA":                    {func(c *Config) { c.CA = "/absent.pem" }, "pypi", "ca: open"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config("", "", "pypi")
			if tc.ecosystem == containers {
				c.Registry = "acme.azurecr.io"
			}
			tc.change(c)
			_, err := c.Provision(env(tc.ecosystem))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `"internal"`) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
		})
	}
}
