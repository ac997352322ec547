package artifactory

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	contract "github.com/trustpub/trustpub/integration/registry/artifactory"
	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

func env(ecosystem, public string) credential.Env {
	u, err := url.Parse(public)
	if err != nil {
		panic(err)
	}
	return credential.Env{Registry: "internal", Ecosystem: ecosystem, Public: u, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func pypiEnv() credential.Env {
	return env("pypi", "https://artifactory.example.com/artifactory/api/pypi/pypi-local/")
}

func pypiTarget(pkg string) model.Target {
	return model.Target{Ecosystem: "pypi", Registry: "internal", Package: pkg, Version: "1.0", File: "x.whl", Action: model.ActionPublish}
}

// bearer is the token of a credential, whichever form it has.
func bearer(c model.Credential) string {
	value := c.Header.Get("Authorization")
	if token, ok := strings.CutPrefix(value, "Bearer "); ok {
		return token
	}
	pair, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(value, "Basic "))
	_, password, _ := strings.Cut(string(pair), ":")
	return password
}

func clocked(c credential.Config, now func() time.Time) { c.(*Config).now = now }

// TestConformanceToken: a token for each upload, which is good for the path of that package alone.
func TestConformanceToken(t *testing.T) {
	server := contract.New(nil)
	api := credentialtest.NewServer(t, server.Handler())
	credentialtest.Run(t, credentialtest.Suite{
		Kind: Kind, Env: pypiEnv(), Secret: server.AdminToken, Other: server.AdminOther,
		Targets: []model.Target{pypiTarget("acme-widget"), pypiTarget("other")},
		Config: func(_ testing.TB, c credential.Config, secret model.Secret) credential.Config {
			c.(*Config).URL, c.(*Config).Token, c.(*Config).User = api.URL, secret, "publisher"
			return c
		},
		Check: func(t testing.TB, target model.Target, got model.Credential) {
			raw := bearer(got)
			other := map[string]string{"acme-widget": "other", "other": "acme-widget"}[target.Package]
			for path, want := range map[string]bool{target.Package + "/1.0/x.whl": true, other + "/1.0/x.whl": false, target.Package + "-evil/1.0/x.whl": false, "x.whl": false} {
				if got := server.May(raw, contract.PyPI, path, "rwa"); got != want {
					t.Errorf("the token may deploy %s: %t, expected %t", path, got, want)
				}
			}
			if server.May(raw, contract.PyPI, target.Package+"/1.0/x.whl", "d") || server.May(raw, contract.NPM, target.Package+"/1.0/x.whl", "w") {
				t.Error("the token may delete, or deploy elsewhere")
			}
		},
		Mint: &credentialtest.Mint{
			Server: api, Revokes: true, MaxLife: mintapi.DefaultLifetime, Clock: clocked,
			Live: func(got model.Credential) bool { return server.Good(bearer(got)) },
		},
	})
}

// TestConformanceProvider: the exchange of the identity token, once for all uploads with it.
func TestConformanceProvider(t *testing.T) {
	ci, err := issuer.Start(issuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ci.Close() })
	server := contract.New(&contract.Provider{
		Name: "github", Issuer: ci.URL(), Audience: "artifactory.example.com", Keys: ci.JWKS, Mapping: "widget",
		Claims: map[string]string{"repository": "acme/widget"}, User: "ci-widget", Scope: "artifact:pypi-local/acme-widget/**:r,w", Life: 30 * time.Minute,
	})
	api := credentialtest.NewServer(t, server.Handler())
	for _, ecosystem := range []string{"pypi", "oci"} {
		t.Run(ecosystem, func(t *testing.T) {
			token := ci.Token("artifactory.example.com", nil)
			target := model.Target{Ecosystem: ecosystem, Registry: "internal", Package: "acme-widget", Version: "1.0", Action: model.ActionPublish}
			other := target
			other.Package = "other"
			credentialtest.Run(t, credentialtest.Suite{
				Kind: Kind, Env: env(ecosystem, "https://artifactory.example.com/v2/"), NoSecret: true, Token: token,
				Targets: []model.Target{target, other},
				Config: func(_ testing.TB, c credential.Config, _ model.Secret) credential.Config {
					c.(*Config).URL, c.(*Config).Provider, c.(*Config).Mapping = api.URL, "github", "widget"
					return c
				},
				Check: func(t testing.TB, _ model.Target, got model.Credential) {
					if !server.May(bearer(got), contract.PyPI, "acme-widget/1.0/x.whl", "w") {
						t.Error("the token may not do what the mapping grants")
					}
					if ecosystem == "oci" && !strings.HasPrefix(got.Header.Get("Authorization"), "Basic ") {
						t.Error("containers need a Basic credential")
					}
				},
				Mint: &credentialtest.Mint{
					Server: api, Cached: true, NotRenewed: true, MaxLife: 30 * time.Minute, Clock: clocked,
					Live: func(got model.Credential) bool { return server.Good(bearer(got)) },
				},
			})
		})
	}
}

// TestConformanceFixed: a token that is used as it stands.
func TestConformanceFixed(t *testing.T) {
	credentialtest.Run(t, credentialtest.Suite{
		Kind: Kind, Env: pypiEnv(), Secret: "canary-reference-token", Other: "canary-another-token",
		Targets: []model.Target{pypiTarget("acme-widget"), pypiTarget("other")},
		Config: func(_ testing.TB, c credential.Config, secret model.Secret) credential.Config {
			c.(*Config).Fixed = secret
			return c
		},
		Check: func(t testing.TB, _ model.Target, got model.Credential) {
			if got := got.Header.Get("Authorization"); got != "Bearer canary-reference-token" && got != "Bearer canary-another-token" {
				t.Error("got another header")
			}
		},
	})
}

// TestScope: where Artifactory puts the files of each package type, and the rights of each action.
func TestScope(t *testing.T) {
	const base = "https://artifactory.example.com/artifactory/"
	for name, tc := range map[string]struct {
		env    credential.Env
		config Config
		target model.Target
		want   string
	}{
		"pypi":             {env("pypi", base+"api/pypi/pypi-local/"), Config{}, model.Target{Package: "acme-widget", Action: "publish"}, "artifact:pypi-local/acme?widget/**:r,w,a"},
		"pypi, a path":     {env("pypi", base+"api/pypi/pypi-local/"), Config{Path: "{package}/{version}/*"}, model.Target{Package: "acme", Version: "1.0", Action: "publish"}, "artifact:pypi-local/acme/1.0/*:r,w,a"},
		"npm":              {env("npm", base+"api/npm/npm-local/"), Config{}, model.Target{Package: "@acme/widget", Action: "publish"}, "artifact:npm-local/@acme/widget/**:r,w,a"},
		"npm, a tag":       {env("npm", base+"api/npm/npm-local/"), Config{}, model.Target{Package: "widget", Action: "tag"}, "artifact:npm-local/widget/**:r,w,a"},
		"cargo":            {env("cargo", base+"api/cargo/cargo-local/"), Config{}, model.Target{Package: "acme_widget", Action: "publish"}, "artifact:cargo-local/crates/acme_widget/**:r,w,a"},
		"cargo, a yank":    {env("cargo", base+"api/cargo/cargo-local/"), Config{}, model.Target{Package: "acme", Action: "yank"}, "artifact:cargo-local/crates/acme/**:r,w,a,d"},
		"gems":             {env("rubygems", base+"api/gems/gems-local/"), Config{}, model.Target{Package: "acme", Action: "publish"}, "artifact:gems-local/gems/acme-*:r,w,a"},
		"nuget":            {env("nuget", base+"api/nuget/v3/nuget-local/"), Config{}, model.Target{Package: "Acme.Widget", Action: "publish"}, "artifact:nuget-local/**:r,w,a"},
		"nuget, older":     {env("nuget", base+"api/nuget/nuget-local/"), Config{Path: "{package}/**"}, model.Target{Package: "acme", Action: "delete"}, "artifact:nuget-local/acme/**:r,w,a,d"},
		"maven":            {env("maven", base+"libs-release-local/"), Config{}, model.Target{Package: "com.acme:widget.core", Action: "publish"}, "artifact:libs-release-local/com/acme/widget.core/**:r,w,a"},
		"containers":       {env("oci", "https://artifactory.example.com/v2/"), Config{}, model.Target{Package: "docker-local/acme/widget", Action: "publish"}, "artifact:docker-local/acme/widget/**:r,w,a"},
		"of a subdomain":   {env("oci", "https://docker.example.com/v2/"), Config{Repository: "docker-local"}, model.Target{Package: "acme/widget", Action: "read"}, "artifact:docker-local/acme/widget/**:r"},
		"files":            {credential.Env{Registry: "internal", Ecosystem: "generic", Public: env("generic", base+"generic-local/").Public, Layout: "/{package}/{version}/{file}"}, Config{}, model.Target{Package: "acme", Version: "1.0", File: "x.tar.gz", Action: "overwrite"}, "artifact:generic-local/acme/1.0/x.tar.gz:r,w,a,d"},
		"files, no file":   {credential.Env{Registry: "internal", Ecosystem: "generic", Public: env("generic", base+"generic-local/").Public, Layout: "/{package}/{version}/{file}"}, Config{}, model.Target{Package: "acme", Version: "1.0", Action: "read"}, "artifact:generic-local/acme/1.0/**:r"},
		"modules of Go":    {credential.Env{Registry: "internal", Ecosystem: "generic", Public: env("generic", base+"api/go/go-local/").Public, Layout: "/{package}/@v/{file}"}, Config{}, model.Target{Package: "widget", File: "v1.0.0.zip", Action: "publish"}, "artifact:go-local/widget/@v/v1.0.0.zip:r,w,a"},
		"another, by hand": {env("pypi", "https://pypi.example.com/"), Config{Repository: "python"}, model.Target{Package: "a", Action: "publish"}, "artifact:python/a/**:r,w,a"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := newPlace(tc.env, tc.config.Repository, tc.config.Path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.scope([]model.Target{tc.target})
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestScopeOfSeveral: a mount of containers reads one and changes another; what is the same stands once.
func TestScopeOfSeveral(t *testing.T) {
	p, err := newPlace(env("oci", "https://artifactory.example.com/v2/"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	to, from := model.Target{Package: "docker-local/a", Action: "publish"}, model.Target{Package: "docker-local/b", Action: "read"}
	got, err := p.scope([]model.Target{to, from, from})
	if want := "artifact:docker-local/a/**:r,w,a artifact:docker-local/b/**:r"; got != want || err != nil {
		t.Errorf("got %q, %v, expected %q", got, err, want)
	}
	var many []model.Target
	for i := range 30 {
		many = append(many, model.Target{Package: fmt.Sprintf("docker-local/package-%d", i), Action: "read"})
	}
	if _, err := p.scope(many); err == nil || !strings.Contains(err.Error(), "at most 500") {
		t.Errorf("got %v, expected that the scope is too long", err)
	}
	if _, err := p.scope([]model.Target{{Package: "nothing", Action: "publish"}}); err == nil || !strings.Contains(err.Error(), "key of a repository") {
		t.Errorf("got %v for a name without a repository", err)
	}
}

// TestNothingWidens: no name can write a wildcard, another entry or another folder into a scope.
func TestNothingWidens(t *testing.T) {
	for _, pkg := range []string{"", "*", "**", "a/**", "a?b", "a b", "a:w", "a,d", "../other", "a/../b", "/a", "-a", "a\nb", "ä", "a artifact:other/**:d"} {
		for _, ecosystem := range []string{"npm", "generic", "cargo"} {
			p, err := newPlace(credential.Env{Registry: "internal", Ecosystem: ecosystem, Layout: "/{package}/{file}"}, "local", "")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := p.scope([]model.Target{{Package: pkg, File: "x", Action: "publish"}}); err == nil {
				t.Errorf("%s %q: got scope %q, expected a refusal", ecosystem, pkg, got)
			}
		}
	}
}

func TestProvisionRefuses(t *testing.T) {
	const secret = model.Secret("{env.TRUSTPUB_TEST_SECRET}")
	for name, tc := range map[string]struct {
		config Config
		public string
		want   string
	}{
		"no way":                   {Config{URL: "https://x.example.com"}, "", "got 0 of token, provider and fixed"},
		"two ways":                 {Config{URL: "https://x.example.com", Token: secret, Provider: "p"}, "", "got 2 of"},
		"three ways":               {Config{Token: secret, Provider: "p", Fixed: secret}, "", "got 3 of"},
		"no url":                   {Config{Token: secret}, "", "url is absent"},
		"a mapping alone":          {Config{URL: "https://x.example.com", Token: secret, Mapping: "m"}, "", "mapping does nothing here: it goes with provider"},
		"a url of fixed":           {Config{URL: "https://x.example.com", Fixed: secret}, "", "url does nothing here"},
		"a lifetime of provider":   {Config{URL: "https://x.example.com", Provider: "p", Lifetime: model.Duration(time.Hour)}, "", "lifetime does nothing here"},
		"a path of provider":       {Config{URL: "https://x.example.com", Provider: "p", Path: "x"}, "", "path does nothing here"},
		"irrevocable of fixed":     {Config{Fixed: secret, Irrevocable: true}, "", "irrevocable does nothing here"},
		"a short lifetime":         {Config{URL: "https://x.example.com", Token: secret, Lifetime: model.Duration(time.Second)}, "", "lifetime is 1s"},
		"a long lifetime":          {Config{URL: "https://x.example.com", Token: secret, Lifetime: model.Duration(25 * time.Hour)}, "", "lifetime is 25h"},
		"no repository":            {Config{URL: "https://x.example.com", Token: secret}, "https://pypi.example.com/", "repository is absent"},
		"of another type":          {Config{URL: "https://x.example.com", Token: secret}, "https://a.example.com/artifactory/api/npm/npm-local/", "repository is absent"},
		"a bad repository":         {Config{URL: "https://x.example.com", Token: secret, Repository: "a/b"}, "", "repository is"},
		"a path with a colon":      {Config{URL: "https://x.example.com", Token: secret, Path: "{package}:w"}, "", "path is"},
		"a path upwards":           {Config{URL: "https://x.example.com", Token: secret, Path: "{package}/../x"}, "", "path is"},
		"another placeholder":      {Config{URL: "https://x.example.com", Token: secret, Path: "{name}"}, "", "path has {name}"},
		"a lone brace":             {Config{URL: "https://x.example.com", Token: secret, Path: "{package}/{x"}, "", "brace"},
		"a user with a colon":      {Config{Fixed: secret, User: "a:b"}, "", "user is"},
		"a provider with a break":  {Config{URL: "https://x.example.com", Provider: "a\nb"}, "", "provider is"},
		"a certificate that isn't": {Config{URL: "https://x.example.com", Provider: "p", CA: "/nowhere/ca.pem"}, "", "/nowhere/ca.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.public == "" {
				tc.public = "https://artifactory.example.com/artifactory/api/pypi/pypi-local/"
			}
			_, err := tc.config.Provision(env("pypi", tc.public))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `registry "internal"`) {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
		})
	}
}

// TestAnswersThatDoMore: a token that is good for more than was asked for, or for longer, is never used.
func TestAnswersThatDoMore(t *testing.T) {
	good := map[string]any{"token_id": "1", "access_token": "canary-access-token", "expires_in": 900, "scope": "artifact:pypi-local/acme/**:r,w,a", "token_type": "Bearer"}
	for name, tc := range map[string]struct {
		field string
		value any
		want  string
	}{
		"a wider scope":    {"scope", "applied-permissions/user", "scope is another"},
		"one entry more":   {"scope", "artifact:pypi-local/acme/**:r,w,a artifact:other/**:*", "scope is another"},
		"a longer life":    {"expires_in", 901, "expires_in"},
		"no life":          {"expires_in", 0, "expires_in"},
		"another type":     {"token_type", "mac", "token_type"},
		"no id":            {"token_id", "", "token_id"},
		"an id with slash": {"token_id", "../me", "token_id"},
		"no token":         {"access_token", "", "access_token"},
		"a line break":     {"access_token", "canary-access-token\r\nX: y", "access_token"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := map[string]any{}
			for k, v := range good {
				answer[k] = v
			}
			answer[tc.field] = tc.value
			api := credentialtest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(answer) }))
			t.Setenv("TRUSTPUB_TEST_SECRET", "canary-admin")
			src, err := (&Config{URL: api.URL, Token: "{env.TRUSTPUB_TEST_SECRET}"}).Provision(pypiEnv())
			if err != nil {
				t.Fatal(err)
			}
			c, err := src.Issue(t.Context(), pypiTarget("acme"), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "canary-access") || c.Header != nil {
				t.Errorf("got %v, expected a refusal with %q", err, tc.want)
			}
		})
	}
}

// TestFixedSaysWhenItHasExpired, and whose it is.
func TestFixedSaysWhenItHasExpired(t *testing.T) {
	now := time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
	jwt := func(claims string) string {
		return "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	live := fmt.Sprintf(`{"sub":"jfac@01/users/ci","exp":%d}`, now.Add(time.Hour).Unix())
	for name, tc := range map[string]struct {
		ecosystem, user, token, want, fails string
	}{
		"a live one":             {"pypi", "", jwt(live), "Bearer " + jwt(live), ""},
		"for containers":         {"oci", "", jwt(live), "Basic " + base64.StdEncoding.EncodeToString([]byte("ci:"+jwt(live))), ""},
		"with a user":            {"oci", "bot", "canary-reference", "Basic " + base64.StdEncoding.EncodeToString([]byte("bot:canary-reference")), ""},
		"of nobody":              {"oci", "", "canary-reference", "", "write user NAME"},
		"expired":                {"pypi", "", jwt(fmt.Sprintf(`{"exp":%d}`, now.Unix())), "", "has expired at 2026-11-23T20:00:00Z"},
		"a space inside":         {"pypi", "", "canary reference", "", "is no token"},
		"short":                  {"pypi", "", "q7", "", "is no token"},
		"three parts, no claims": {"pypi", "", "canary.reference.token", "Bearer canary.reference.token", ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(path, []byte(tc.token), 0o600); err != nil {
				t.Fatal(err)
			}
			src, err := (&Config{Fixed: model.Secret("{file." + path + "}"), User: tc.user, now: func() time.Time { return now }}).Provision(env(tc.ecosystem, "https://a.example.com/"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := src.Issue(t.Context(), model.Target{Registry: "internal", Package: "a"}, nil)
			if got.Header.Get("Authorization") != tc.want || (err == nil) != (tc.fails == "") || err != nil && (!strings.Contains(err.Error(), tc.fails) || strings.Contains(err.Error(), tc.token)) {
				t.Errorf("got %v, expected %q", err, tc.fails)
			}
		})
	}
}

// TestReadOfNothing: what names no package gets no token.
func TestReadOfNothing(t *testing.T) {
	src, err := (&Config{URL: "http://127.0.0.1:1", Token: "{env.TRUSTPUB_TEST_SECRET}"}).Provision(pypiEnv())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := src.Issue(t.Context(), model.Target{Registry: "internal", Action: model.ActionRead}, nil); err != nil || c.Header != nil {
		t.Errorf("got %v and %d headers, expected none", err, len(c.Header))
	}
}

func FuzzScope(f *testing.F) {
	f.Add("acme-widget", "1.0", "x.whl")
	f.Add("a b", "**", "../x")
	f.Fuzz(func(t *testing.T, pkg, version, file string) {
		p := place{ecosystem: "generic", repository: "local", path: "{package}/{version}/{file}"}
		got, err := p.scope([]model.Target{{Package: pkg, Version: version, File: file, Action: model.ActionPublish}})
		if err != nil {
			return
		}
		inner := strings.TrimSuffix(strings.TrimPrefix(got, "artifact:local/"), ":r,w,a")
		if strings.ContainsAny(strings.TrimSuffix(inner, "**"), "*?:, \n") || strings.Contains("/"+inner+"/", "/../") {
			t.Fatalf("%q, %q, %q widen the scope: %s", pkg, version, file, got)
		}
	})
}
