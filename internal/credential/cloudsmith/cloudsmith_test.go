package cloudsmith

import (
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	contract "github.com/trustpub/trustpub/integration/registry/cloudsmith"
	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

func env() credential.Env {
	return credential.Env{Registry: "internal", Ecosystem: "pypi", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func target(pkg string) model.Target {
	return model.Target{Ecosystem: "pypi", Registry: "internal", Package: pkg, Version: "1.0", File: "x.whl", Action: model.ActionPublish}
}

// played is Cloudsmith with the issuer of the tests, and an identity token.
func played(t testing.TB) (*contract.Server, string) {
	t.Helper()
	ci, err := issuer.Start(issuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ci.Close() })
	server := contract.New(contract.Provider{Issuer: ci.URL(), Keys: ci.JWKS, Claims: map[string]any{"aud": "cloudsmith.example.com", "repository": "acme/widget"}})
	return server, ci.Token("cloudsmith.example.com", nil)
}

// TestConformance: the exchange of the identity token, once for all uploads with it.
func TestConformance(t *testing.T) {
	server, token := played(t)
	api := credentialtest.NewServer(t, server.Handler())
	credentialtest.Run(t, credentialtest.Suite{
		Kind: Kind, Env: env(), NoSecret: true, Token: token, Targets: []model.Target{target("acme-widget"), target("other")},
		Config: func(_ testing.TB, c credential.Config, _ model.Secret) credential.Config {
			c.(*Config).URL, c.(*Config).Organization, c.(*Config).Service = api.URL, contract.Organization, contract.Service
			return c
		},
		Check: func(t testing.TB, _ model.Target, got model.Credential) {
			if !server.Good(got.Header) || !strings.HasPrefix(got.Header.Get("Authorization"), "Basic ") {
				t.Error("the token is not let in, or is no password")
			}
		},
		Mint: &credentialtest.Mint{
			Server: api, Cached: true, NotRenewed: true, MaxLife: contract.Life,
			Clock: func(c credential.Config, now func() time.Time) { c.(*Config).now = now },
			Live:  func(got model.Credential) bool { return server.Good(got.Header) },
		},
	})
}

// TestCarries: what clients send in the header of a token never reaches Cloudsmith.
func TestCarries(t *testing.T) {
	src, err := (&Config{URL: "https://api.cloudsmith.example.com", Organization: "acme", Service: "publisher"}).Provision(env())
	if err != nil {
		t.Fatal(err)
	}
	if got := src.(credential.Carrier).Carries(); len(got) != 1 || got[0] != "X-Api-Key" {
		t.Errorf("got %q, expected X-Api-Key", got)
	}
}

// TestRefusals: the error says what to look at, and quotes neither token nor answer.
func TestRefusals(t *testing.T) {
	jwt := func(payload string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
	}
	for name, tc := range map[string]struct {
		change func(*Config)
		answer func(map[string]any)
		want   string
	}{
		"another service":      {func(c *Config) { c.Service = "other" }, nil, "got 401, expected 201: does the organisation acme have an OIDC provider with this issuer, the claims of the run and the service other?"},
		"another organisation": {func(c *Config) { c.Organization = "other" }, nil, "got 404, expected 201: is url the base of the API, and is there an organisation other?"},
		"no token":             {nil, func(a map[string]any) { delete(a, "token") }, "no token of 8 to"},
		"no JWT":               {nil, func(a map[string]any) { a["token"] = "canary-opaque" }, "no JWT with an exp"},
		"no payload":           {nil, func(a map[string]any) { a["token"] = "canary0.!!!!.canary" }, "no JWT with an exp"},
		"no end":               {nil, func(a map[string]any) { a["token"] = jwt(`{"sub":"canary"}`) }, "no JWT with an exp"},
		"a word as an end":     {nil, func(a map[string]any) { a["token"] = jwt(`{"exp":"soon"}`) }, "no JWT with an exp"},
		"two ends":             {nil, func(a map[string]any) { a["token"] = jwt(`{"exp":9999999999,"exp":1}`) }, "no JWT with an exp"},
		"a past end":           {nil, func(a map[string]any) { a["token"] = jwt(`{"exp":1000000000}`) }, "does not end within the next 24 hours"},
		"a far end": {nil, func(a map[string]any) {
			a["token"] = jwt(fmt.Sprintf(`{"exp":%d}`, time.Now().Add(25*time.Hour).Unix()))
		}, "does not end within the next 24 hours"},
	} {
		t.Run(name, func(t *testing.T) {
			server, token := played(t)
			server.Change = tc.answer
			config := &Config{URL: credentialtest.NewServer(t, server.Handler()).URL, Organization: contract.Organization, Service: contract.Service}
			if tc.change != nil {
				tc.change(config)
			}
			src, err := config.Provision(env())
			if err != nil {
				t.Fatal(err)
			}
			got, err := src.(credential.Federated).IssueFederated(t.Context(), []model.Target{target("acme-widget")}, &model.Identity{Issuer: "github"}, model.NewIdentityToken(token))
			if err == nil || !strings.Contains(err.Error(), tc.want) || got.Header != nil {
				t.Errorf("got %v, expected an error with %q and no credential", err, tc.want)
			}
			if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), token)) {
				t.Error("the error quotes the answer or the token")
			}
		})
	}
}

// TestAnotherRegistry: a token is for its own registry.
func TestAnotherRegistry(t *testing.T) {
	server, token := played(t)
	config := &Config{URL: credentialtest.NewServer(t, server.Handler()).URL, Organization: contract.Organization, Service: contract.Service}
	src, err := config.Provision(env())
	if err != nil {
		t.Fatal(err)
	}
	other := target("acme-widget")
	other.Registry = "other"
	_, err = src.(credential.Federated).IssueFederated(t.Context(), []model.Target{other}, &model.Identity{Issuer: "github"}, model.NewIdentityToken(token))
	if err == nil || !strings.Contains(err.Error(), `registry is "other", expected "internal"`) || server.Exchanges() != 0 {
		t.Errorf("got %v and %d exchanges, expected a refusal and none", err, server.Exchanges())
	}
}

func TestProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no url":                {func(c *Config) { c.URL = "" }, "url is absent"},
		"no organisation":       {func(c *Config) { c.Organization = "" }, `organization is ""`},
		"a path":                {func(c *Config) { c.Organization = "a/b" }, `organization is "a/b"`},
		"a parent":              {func(c *Config) { c.Organization = ".." }, `organization is ".."`},
		"no service":            {func(c *Config) { c.Service = "" }, `service is ""`},
		"a service with blanks": {func(c *Config) { c.Service = "a b" }, `service is "a b"`},
		"a CA that is nowhere":  {func(c *Config) { c.CA = "/nowhere/ca.pem" }, "ca"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Config{URL: "https://api.cloudsmith.example.com", Organization: "acme", Service: "publisher"}
			tc.change(c)
			_, err := c.Provision(env())
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `registry "internal"`) {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
		})
	}
}

// FuzzExpiry: whatever a token is, its end lies in the next day or is refused.
func FuzzExpiry(f *testing.F) {
	now := time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
	f.Add("e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1795467600}`)) + ".c2ln")
	f.Add("a.b.c")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		ends, err := expiry(token, now)
		if err == nil && (!ends.After(now) || ends.After(now.Add(maxLife))) {
			t.Fatalf("%q: got %s", token, ends)
		}
	})
}
