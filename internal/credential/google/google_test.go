package google

import (
	"encoding/base64"
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

	contract "github.com/trustpub/trustpub/integration/registry/google"
	"github.com/trustpub/trustpub/integration/registry/trust"
	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

const audience = "packages.example.com"

func env(ecosystem string) credential.Env {
	u, err := url.Parse("https://packages.example.com/acme-prod/releases/")
	if err != nil {
		panic(err)
	}
	return credential.Env{Registry: "internal", Ecosystem: ecosystem, Public: u, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// config is one that leads to a played Google, as the service account or as the federated identity itself.
func config(url, account string) *Config {
	c := &Config{Provider: contract.Provider, ServiceAccount: account, STS: url, IAM: url}
	if account == "" {
		c.IAM = ""
	}
	return c
}

// played is a Google whose provider trusts a development issuer.
func played(t *testing.T) (*contract.Server, *issuer.Server) {
	t.Helper()
	ci, err := issuer.Start(issuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ci.Close() })
	return contract.New(trust.Issuer{URL: ci.URL(), Audiences: []string{audience}, Keys: ci.JWKS, Claims: map[string]string{"repository": "acme/widget"}}), ci
}

// secretOf is the token of a credential, whichever form it has.
func secretOf(c model.Credential) string {
	value := c.Header.Get("Authorization")
	if token, ok := strings.CutPrefix(value, "Bearer "); ok {
		return token
	}
	text, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(value, "Basic "))
	token, _ := strings.CutPrefix(string(text), "oauth2accesstoken:")
	return token
}

func publish(ecosystem, pkg string) model.Target {
	return model.Target{Ecosystem: ecosystem, Registry: "internal", Package: pkg, Version: "1.0", Action: model.ActionPublish}
}

func TestConformance(t *testing.T) {
	for name, tc := range map[string]struct {
		ecosystem, account, member string
		life                       time.Duration
	}{
		"as a service account":          {"pypi", contract.ServiceAccount, contract.ServiceAccount, DefaultLifetime},
		"as the federated identity":     {"npm", "", "federated", time.Hour},
		"containers, as an account":     {"oci", contract.ServiceAccount, contract.ServiceAccount, DefaultLifetime},
		"Maven, as the federated one's": {"maven", "", "federated", time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, ci := played(t)
			var clock credentialtest.Clock
			cloud.Now = clock.Now
			cloud.Members = []string{tc.member}
			server := credentialtest.NewServer(t, cloud.Handler())
			credentialtest.Run(t, credentialtest.Suite{
				Kind: Kind, Env: env(tc.ecosystem), NoSecret: true, Token: ci.Token(audience, map[string]any{"exp": time.Now().Add(3 * time.Hour).Unix()}),
				Targets: []model.Target{publish(tc.ecosystem, "acme-widget"), publish(tc.ecosystem, "other")},
				Config: func(_ testing.TB, c credential.Config, _ model.Secret) credential.Config {
					clock.Set(time.Now)
					*c.(*Config) = *config(server.URL, tc.account)
					if tc.account == "" { // what is known of a second host, that nobody asks
						c.(*Config).IAM = ""
					}
					return c
				},
				Check: func(t testing.TB, target model.Target, got model.Credential) {
					member, reads, writes := cloud.May(secretOf(got))
					if member != tc.member || !reads || writes != (target.Action != model.ActionRead) {
						t.Errorf("got a token of %q that may read: %t, write: %t", member, reads, writes)
					}
				},
				Mint: &credentialtest.Mint{
					Server: server, Cached: true, NotRenewed: true, MaxLife: tc.life,
					Clock: func(c credential.Config, now func() time.Time) {
						c.(*Config).now = now
						clock.Set(now)
					},
					Live: func(got model.Credential) bool {
						_, reads, _ := cloud.May(secretOf(got))
						return reads
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

// TestForms: each protocol's clients send the token in their own way; a read's token can't write.
func TestForms(t *testing.T) {
	cloud, ci := played(t)
	server := httptest.NewServer(cloud.Handler())
	defer server.Close()
	for ecosystem, want := range map[string]string{"pypi": "Basic ", "maven": "Basic ", "npm": "Bearer ", "oci": "Bearer "} {
		t.Run(ecosystem, func(t *testing.T) {
			read := publish(ecosystem, "acme-prod/releases/widget")
			read.Action = model.ActionRead
			got, err := issue(t, config(server.URL, contract.ServiceAccount), ecosystem, ci.Token(audience, nil), read)
			if err != nil {
				t.Fatal(err)
			}
			if header := got.Header.Get("Authorization"); !strings.HasPrefix(header, want) {
				t.Errorf("got %.8q..., expected %q", header, want)
			}
			if _, reads, writes := cloud.May(secretOf(got)); !reads || writes {
				t.Errorf("the token of a read may read: %t, write: %t", reads, writes)
			}
			both, err := issue(t, config(server.URL, contract.ServiceAccount), ecosystem, ci.Token(audience, nil), read, publish(ecosystem, "acme-prod/releases/other"))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, writes := cloud.May(secretOf(both)); !writes {
				t.Error("the token of a request that also publishes may not")
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
		"another audience":    {nil, nil, "elsewhere.example.com", "invalid_grant, " + contract.Provider + ": does the provider have this issuer"},
		"another repository":  {nil, map[string]any{"repository": "acme/gadget"}, audience, "unauthorized_client, " + contract.Provider + ": the provider's attribute condition"},
		"an old token":        {nil, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, audience, "invalid_grant"},
		"another provider":    {func(c *Config, _ *contract.Server) { c.Provider += "-2" }, nil, audience, "invalid_target, " + contract.Provider + "-2: is there such a provider"},
		"no user of it":       {func(_ *Config, s *contract.Server) { s.Users = nil }, nil, audience, "needs roles/iam.workloadIdentityUser on " + contract.ServiceAccount},
		"no such account":     {func(c *Config, _ *contract.Server) { c.ServiceAccount = "other1@acme-prod.iam.gserviceaccount.com" }, nil, audience, "is there a service account other1@"},
		"more than an hour":   {func(c *Config, _ *contract.Server) { c.Lifetime = model.Duration(2 * time.Hour) }, nil, audience, "a lifetime of more than an hour"},
		"a service elsewhere": {func(c *Config, _ *contract.Server) { c.STS += "/elsewhere" }, nil, audience, "got 404, expected 200: does url lead to the API?"},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, ci := played(t)
			server := httptest.NewServer(cloud.Handler())
			defer server.Close()
			c := config(server.URL, contract.ServiceAccount)
			if tc.change != nil {
				tc.change(c, cloud)
			}
			token := ci.Token(tc.aud, tc.claims)
			_, err := issue(t, c, "pypi", token, publish("pypi", "widget"))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), server.URL) {
				t.Errorf("got %v, expected an error with the URL and %q", err, tc.want)
			}
			if err != nil && (strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "ya29")) {
				t.Error("the error quotes a token")
			}
		})
	}
}

// TestUnfitAnswers: what is no answer of Google's gives no credential, and is not quoted.
func TestUnfitAnswers(t *testing.T) {
	const first = `{"access_token":"canary-token-1","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":3600}`
	const second = `{"accessToken":"canary-token-2","expireTime":"2099-01-01T00:00:00Z"}`
	for name, tc := range map[string]struct{ sts, iam, want string }{
		"a page of the STS":     {"<html>canary</html>", second, "not the JSON"},
		"no token":              {strings.Replace(first, "canary-token-1", "", 1), second, "no access_token"},
		"two tokens":            {strings.Replace(first, "{", `{"access_token":"canary-token-0",`, 1), second, "not the JSON"},
		"another type":          {strings.Replace(first, "Bearer", "MAC", 1), second, "no bearer token with a life"},
		"another kind":          {strings.Replace(first, "access_token\",\"token_type", "id_token\",\"token_type", 1), second, "no bearer token with a life"},
		"no life":               {strings.Replace(first, "3600", "0", 1), second, "no bearer token with a life"},
		"a page":                {first, "<html>canary</html>", "not the JSON"},
		"no account's token":    {first, `{"expireTime":"2099-01-01T00:00:00Z"}`, "no accessToken"},
		"no end":                {first, `{"accessToken":"canary-token-2"}`, "no expireTime"},
		"an end in the past":    {first, strings.Replace(second, "2099", "1999", 1), "has expired"},
		"a token with a break":  {first, strings.Replace(second, "canary-token-2", `canary\r\nX-Evil: 1`, 1), "characters that no credential has"},
		"a name in other cases": {first, strings.Replace(second, "accessToken", "AccessToken", 1), "no accessToken"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v1/token" {
					_, _ = io.WriteString(w, tc.sts)
					return
				}
				_, _ = io.WriteString(w, tc.iam)
			}))
			defer server.Close()
			got, err := issue(t, config(server.URL, contract.ServiceAccount), "pypi", "header.payload.signature", publish("pypi", "widget"))
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "canary") || got.Header != nil {
				t.Errorf("got %v and %d headers, expected an error with %q that quotes nothing", err, len(got.Header), tc.want)
			}
		})
	}
}

// TestEnvironmentIsLeftAlone: no account of the machine's own is used, nor its metadata server asked, whatever the environment says.
func TestEnvironmentIsLeftAlone(t *testing.T) {
	cloud, ci := played(t)
	server := credentialtest.NewServer(t, cloud.Handler())
	key := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(key, []byte(`{"type":"service_account","client_email":"evil@x.iam.gserviceaccount.com","private_key":"canary"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"GOOGLE_APPLICATION_CREDENTIALS": key, "GOOGLE_CLOUD_PROJECT": "evil", "GCE_METADATA_HOST": "127.0.0.1:1", "GOOGLE_CLOUD_UNIVERSE_DOMAIN": "evil.example.com",
		"GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES": "1", "HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	if _, err := issue(t, config(server.URL, contract.ServiceAccount), "pypi", ci.Token(audience, nil), publish("pypi", "widget")); err != nil {
		t.Fatal(err)
	}
	want := []string{"POST /v1/token", "POST /v1/projects/-/serviceAccounts/" + contract.ServiceAccount + ":generateAccessToken"}
	if diff := cmp.Diff(want, server.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change    func(*Config)
		ecosystem string
		want      string
	}{
		"an ecosystem without uploads": {func(*Config) {}, "cargo", "ecosystem is cargo"},
		"no provider":                  {func(c *Config) { c.Provider = "" }, "pypi", `provider is ""`},
		"the project's name":           {func(c *Config) { c.Provider = strings.Replace(c.Provider, "123456789012", "acme-prod", 1) }, "pypi", "with the project's number"},
		"a provider with dots":         {func(c *Config) { c.Provider += "/../x" }, "pypi", "provider is"},
		"an account of somebody":       {func(c *Config) { c.ServiceAccount = "jo@example.com" }, "pypi", `service_account is "jo@example.com"`},
		"an account with a path":       {func(c *Config) { c.ServiceAccount = "pub/../x@acme.iam.gserviceaccount.com" }, "pypi", "service_account is"},
		"a life of nobody":             {func(c *Config) { c.ServiceAccount, c.Lifetime = "", model.Duration(time.Hour) }, "pypi", "lifetime does nothing here"},
		"an API that nobody asks":      {func(c *Config) { c.ServiceAccount, c.IAM = "", "https://iam.example.com" }, "pypi", "iam does nothing here"},
		"too long a life":              {func(c *Config) { c.Lifetime = model.Duration(13 * time.Hour) }, "pypi", "lifetime is 13h0m0s"},
		"a URL with a password":        {func(c *Config) { c.STS = "https://x:hunter2@sts.example.com" }, "pypi", "sts: url has a user or a password"},
		"no URL":                       {func(c *Config) { c.IAM = "iam" }, "pypi", "iam: url is"},
		"no such CA":                   {func(c *Config) { c.CA = "/absent.pem" }, "pypi", "ca: open"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config("", contract.ServiceAccount)
			tc.change(c)
			_, err := c.Provision(env(tc.ecosystem))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `"internal"`) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
		})
	}
	c := config("", contract.ServiceAccount)
	s, err := c.source(env("pypi"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"https://sts.googleapis.com", "https://iamcredentials.googleapis.com"}, []string{s.STS, s.IAM}); diff != "" {
		t.Errorf("the services (-want +got):\n%s", diff)
	}
}
