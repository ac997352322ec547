package distribution

import (
	"encoding/json"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/model"
)

func key(tb testing.TB) (private string, public jose.JSONWebKey) {
	tb.Helper()
	text, public, err := NewKey()
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(text)), public
}

func env() credential.Env {
	return credential.Env{Registry: "main", Ecosystem: "oci", Public: &url.URL{Scheme: "https", Host: "oci.example.com", Path: "/"}, Logger: slog.New(slog.DiscardHandler)}
}

// open reads a token as the registry does.
func open(tb testing.TB, cred model.Credential, public jose.JSONWebKey) claims {
	tb.Helper()
	token, ok := strings.CutPrefix(cred.Header.Get("Authorization"), "Bearer ")
	if !ok {
		tb.Fatalf("got %v, expected a bearer token", cred.Header)
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		tb.Fatal(err)
	}
	if signed.Signatures[0].Header.KeyID != public.KeyID {
		tb.Errorf("the token's key is %q, expected %q", signed.Signatures[0].Header.KeyID, public.KeyID)
	}
	payload, err := signed.Verify(public)
	if err != nil {
		tb.Fatal(err)
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestConformance(t *testing.T) {
	secret, public := key(t)
	other, _ := key(t)
	targets := []model.Target{
		{Ecosystem: "oci", Registry: "main", Package: "acme/widget", Action: model.ActionPublish, Versionless: true},
		{Ecosystem: "oci", Registry: "main", Package: "acme/gadget", Version: "1.0.0", Action: model.ActionOverwrite},
	}
	credentialtest.Run(t, credentialtest.Suite{
		Kind: Kind, Env: env(), Secret: secret, Other: other, Targets: targets, Life: Lifetime,
		Config: func(_ testing.TB, c credential.Config, secret model.Secret) credential.Config {
			c.(*Config).Key = secret
			return c
		},
		Check: func(t testing.TB, target model.Target, got model.Credential) {
			t.Helper()
			want := []access{{"repository", target.Package, []string{"pull", "push"}}}
			if diff := cmp.Diff(want, open(t, got, public).Access); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		},
	})
}

func TestClaims(t *testing.T) {
	secret, public := key(t)
	path := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	source, err := (&Config{Key: model.Secret("{file." + path + "}"), Issuer: "gw", now: func() time.Time { return noon }}).Provision(env())
	if err != nil {
		t.Fatal(err)
	}
	repository := func(name string, actions ...string) access { return access{"repository", name, actions} }
	target := func(name string, action model.Action) model.Target {
		return model.Target{Package: name, Action: action}
	}
	for _, tc := range []struct {
		name    string
		targets []model.Target
		want    []access
	}{
		{"a read", []model.Target{target("a", model.ActionRead)}, []access{repository("a", "pull")}},
		{"a push", []model.Target{target("a", model.ActionPublish)}, []access{repository("a", "pull", "push")}},
		{"a deletion", []model.Target{target("a", model.ActionDelete)}, []access{repository("a", "pull", "delete")}},
		{"a mount", []model.Target{target("a", model.ActionPublish), target("b", model.ActionRead)}, []access{repository("a", "pull", "push"), repository("b", "pull")}},
		{"a question about nothing", []model.Target{target("", model.ActionRead)}, []access{}},
	} {
		cred, err := source.(credential.Joint).IssueAll(t.Context(), tc.targets, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := open(t, cred, public)
		if got.ID == "" {
			t.Errorf("%s: the token has no id", tc.name)
		}
		got.ID = ""
		want := claims{
			Issuer: "gw", Subject: "trustpub", Audience: "oci.example.com", Expiry: noon.Add(time.Minute).Unix(),
			NotBefore: noon.Add(-10 * time.Second).Unix(), IssuedAt: noon.Add(-10 * time.Second).Unix(), Access: tc.want,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
		if !cred.Expiry.Equal(noon.Add(time.Minute)) {
			t.Errorf("%s: expires %v", tc.name, cred.Expiry)
		}
	}
}

func TestProvisionRefuses(t *testing.T) {
	good, _ := key(t)
	rsa := `{"kty":"oct","k":"Y2FuYXJ5LXNlY3JldA"}`
	for name, tc := range map[string]struct {
		text string
		edit func(*Config, *credential.Env)
		want string
	}{
		"another ecosystem":  {good, func(_ *Config, e *credential.Env) { e.Ecosystem = "npm" }, `the registry's ecosystem is "npm", expected oci`},
		"no key":             {good, func(c *Config, _ *credential.Env) { c.Key = "" }, "key is absent"},
		"a literal":          {good, func(c *Config, _ *credential.Env) { c.Key = model.Secret(good) }, "key: a secret must be a placeholder"},
		"another kind":       {rsa, nil, "expected one line with an EC private key"},
		"no JSON":            {"canary-secret", nil, "expected one line with an EC private key"},
		"an issuer in two":   {good, func(c *Config, _ *credential.Env) { c.Issuer = "a b" }, `issuer is "a b"`},
		"a service in quote": {good, func(c *Config, _ *credential.Env) { c.Service = `a"` }, "service is"},
	} {
		path := filepath.Join(t.TempDir(), "key.json")
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, e := &Config{Key: model.Secret("{file." + path + "}")}, env()
		if tc.edit != nil {
			tc.edit(c, &e)
		}
		if _, err := c.Provision(e); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, expected %s", name, err, tc.want)
		}
	}
}

// TestAddKey: the set of the registry never holds a private half.
func TestAddKey(t *testing.T) {
	private, public := key(t)
	set, err := AddKey(nil, public)
	if err != nil || strings.Contains(string(set), `"d"`) {
		t.Fatalf("%s, %v", set, err)
	}
	if set, err = AddKey(set, public); err != nil || strings.Count(string(set), `"kid"`) != 2 {
		t.Errorf("%s, %v", set, err)
	}
	for _, bad := range []string{"{", `{"keys":[` + private + `]}`} {
		if _, err := AddKey([]byte(bad), public); err == nil {
			t.Errorf("%.20s is accepted", bad)
		}
	}
}
