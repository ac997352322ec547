package codeartifact

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

	contract "github.com/trustpub/trustpub/integration/registry/codeartifact"
	"github.com/trustpub/trustpub/integration/registry/trust"
	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

const audience = "packages.example.com"

func env(ecosystem, public string) credential.Env {
	u, err := url.Parse(public)
	if err != nil {
		panic(err)
	}
	return credential.Env{Registry: "internal", Ecosystem: ecosystem, Public: u, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// config is one that leads to a played AWS.
func config(url string) *Config {
	return &Config{Domain: contract.Domain, Owner: contract.Account, Region: contract.Region, Role: contract.Role, STS: url, Endpoint: url}
}

// played is an AWS whose role trusts a development issuer.
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
	if pair, ok := strings.CutPrefix(value, "Basic "); ok {
		text, _ := base64.StdEncoding.DecodeString(pair)
		_, password, _ := strings.Cut(string(text), ":")
		return password
	}
	return value
}

func TestConformance(t *testing.T) {
	for _, tc := range []struct {
		ecosystem, public string
		packages          [2]string
		arns              [2]string
	}{
		{"pypi", "/pypi/releases/", [2]string{"acme-widget", "other"}, [2]string{"pypi//acme-widget", "pypi//other"}},
		{"npm", "/npm/releases/", [2]string{"@acme/widget", "widget"}, [2]string{"npm/acme/widget", "npm//widget"}},
		{"maven", "/maven/releases/", [2]string{"com.acme:widget", "com:widget"}, [2]string{"maven/com.acme/widget", "maven/com/widget"}},
		{"cargo", "/cargo/releases/", [2]string{"acme_widget", "acme-widget"}, [2]string{"cargo//acme_widget", "cargo//acme-widget"}},
	} {
		t.Run(tc.ecosystem, func(t *testing.T) {
			aws, ci := played(t)
			var clock credentialtest.Clock
			aws.Now = clock.Now
			server := credentialtest.NewServer(t, aws.Handler())
			target := model.Target{Ecosystem: tc.ecosystem, Registry: "internal", Package: tc.packages[0], Version: "1.0", Action: model.ActionPublish}
			other := target
			other.Package = tc.packages[1]
			credentialtest.Run(t, credentialtest.Suite{
				Kind: Kind, Env: env(tc.ecosystem, "https://packages.example.com"+tc.public), NoSecret: true, Token: ci.Token(audience, map[string]any{"exp": time.Now().Add(3 * time.Hour).Unix()}),
				Targets: []model.Target{target, other},
				Config: func(_ testing.TB, c credential.Config, _ model.Secret) credential.Config {
					clock.Set(time.Now)
					*c.(*Config) = *config(server.URL)
					return c
				},
				Check: func(t testing.TB, target model.Target, got model.Credential) {
					raw := secretOf(got)
					for i, pkg := range tc.packages {
						if may := aws.May(raw, "codeartifact:PublishPackageVersion", "package/acme/releases/"+tc.arns[i]); may != (pkg == target.Package && target.Action != model.ActionRead) {
							t.Errorf("the token of %s may publish %s: %t", target.Package, pkg, may)
						}
					}
					if aws.May(raw, "codeartifact:PublishPackageVersion", "package/acme/other/"+tc.arns[0]) {
						t.Error("the token may publish to another repository")
					}
					if !aws.May(raw, "codeartifact:ReadFromRepository", "repository/acme/releases") {
						t.Error("the token may not read the repository")
					}
				},
				Mint: &credentialtest.Mint{
					Server: server, Cached: true, NotRenewed: true, MaxLife: DefaultLifetime,
					Clock: func(c credential.Config, now func() time.Time) {
						c.(*Config).now = now
						clock.Set(now)
					},
					Live: func(got model.Credential) bool { return aws.Good(secretOf(got)) },
				},
			})
		})
	}
}

// issue asks a source of the configuration.
func issue(t *testing.T, c *Config, ecosystem, token string, targets ...model.Target) (model.Credential, error) {
	t.Helper()
	src, err := c.Provision(env(ecosystem, "https://packages.example.com/"+formats[ecosystem]+"/releases/"))
	if err != nil {
		t.Fatal(err)
	}
	return src.(credential.Federated).IssueFederated(t.Context(), targets, &model.Identity{Issuer: "github"}, model.NewIdentityToken(token))
}

func publish(ecosystem, pkg string) model.Target {
	return model.Target{Ecosystem: ecosystem, Registry: "internal", Package: pkg, Version: "1.0", Action: model.ActionPublish}
}

// TestForms: each protocol's clients send the token in their own way.
func TestForms(t *testing.T) {
	for ecosystem, want := range map[string]string{"pypi": "Basic ", "maven": "Basic ", "nuget": "Basic ", "npm": "Bearer ", "rubygems": "Bearer ", "cargo": "eyJ"} {
		t.Run(ecosystem, func(t *testing.T) {
			aws, ci := played(t)
			server := httptest.NewServer(aws.Handler())
			defer server.Close()
			pkg := map[string]string{"maven": "com.acme:widget"}[ecosystem]
			if pkg == "" {
				pkg = "widget"
			}
			got, err := issue(t, config(server.URL), ecosystem, ci.Token(audience, nil), publish(ecosystem, pkg))
			if err != nil {
				t.Fatal(err)
			}
			if header := got.Header.Get("Authorization"); !strings.HasPrefix(header, want) {
				t.Errorf("got %.8q..., expected %q", header, want)
			}
			if user, _, basic := (&http.Request{Header: got.Header}).BasicAuth(); basic && user != "aws" {
				t.Errorf("got user %q, expected aws", user)
			}
		})
	}
}

// TestPolicy holds the whole policy of a session.
func TestPolicy(t *testing.T) {
	const head = `{"Version":"2012-10-17","Statement":[` +
		`{"Effect":"Allow","Action":["codeartifact:GetAuthorizationToken"],"Resource":["arn:aws:codeartifact:eu-central-1:111122223333:domain/acme"]},` +
		`{"Effect":"Allow","Action":["sts:GetServiceBearerToken"],"Resource":["*"],"Condition":{"StringEquals":{"sts:AWSServiceName":"codeartifact.amazonaws.com"}}},` +
		`{"Effect":"Allow","Action":["codeartifact:ReadFromRepository"],"Resource":["arn:aws:codeartifact:eu-central-1:111122223333:repository/acme/releases"]}`
	on := func(actions, pkg string) string {
		return `,{"Effect":"Allow","Action":[` + actions + `],"Resource":["arn:aws:codeartifact:eu-central-1:111122223333:package/acme/releases/` + pkg + `"]}`
	}
	const publishing = `"codeartifact:PublishPackageVersion","codeartifact:PutPackageMetadata"`
	for name, tc := range map[string]struct {
		ecosystem, pkg string
		action         model.Action
		whole          bool
		want, err      string
	}{
		"a publish":                {"pypi", "widget", model.ActionPublish, false, head + on(publishing, "pypi//widget") + "]}", ""},
		"of a scope":               {"npm", "@acme/widget", model.ActionPublish, false, head + on(publishing, "npm/acme/widget") + "]}", ""},
		"of a group":               {"maven", "com.acme:widget", model.ActionOverwrite, false, head + on(publishing, "maven/com.acme/widget") + "]}", ""},
		"of the whole repository":  {"rubygems", "widget", model.ActionPublish, true, head + on(publishing, "ruby/*") + "]}", ""},
		"a tag":                    {"npm", "widget", model.ActionTag, false, head + on(`"codeartifact:PutPackageMetadata"`, "npm//widget") + "]}", ""},
		"a yank":                   {"cargo", "widget", model.ActionYank, false, head + on(`"codeartifact:PutPackageMetadata","codeartifact:UpdatePackageVersionsStatus"`, "cargo//widget") + "]}", ""},
		"a removal":                {"nuget", "acme.widget", model.ActionDelete, false, head + on(`"codeartifact:PutPackageMetadata","codeartifact:DeletePackageVersions"`, "nuget//acme.widget") + "]}", ""},
		"a read":                   {"pypi", "widget", model.ActionRead, false, head + "]}", ""},
		"a wildcard":               {"npm", "wid*", model.ActionPublish, false, "", "can't be narrowed"},
		"a variable":               {"npm", "${aws:x}", model.ActionPublish, false, "", "can't be narrowed"},
		"a slash":                  {"npm", "@acme/a/b", model.ActionPublish, false, "", "can't be narrowed"},
		"a scope alone":            {"npm", "@acme", model.ActionPublish, false, "", "can't be narrowed"},
		"a quote":                  {"npm", `w"],"x":["`, model.ActionPublish, false, "", "can't be narrowed"},
		"no name":                  {"pypi", "", model.ActionPublish, false, "", "can't be narrowed"},
		"an action of nobody":      {"pypi", "widget", "admin", false, "", `action is "admin"`},
		"longer than a policy may": {"npm", strings.Repeat("w", 2000), model.ActionPublish, false, "", "expected at most 2048"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config("https://aws.example.com")
			c.WholeRepository = tc.whole
			s, err := c.source(env(tc.ecosystem, "https://packages.example.com/"+formats[tc.ecosystem]+"/releases/"))
			if err != nil {
				t.Fatal(err)
			}
			target := publish(tc.ecosystem, tc.pkg)
			target.Action = tc.action
			got, err := s.policy([]model.Target{target, target})
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("got error %v, expected %q", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
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
		"another audience":         {nil, nil, "elsewhere.example.com", "InvalidIdentityToken, role " + contract.Role + ": is there an identity provider"},
		"another repository":       {nil, map[string]any{"repository": "acme/gadget"}, audience, "AccessDenied, role " + contract.Role + ": does the role's trust policy"},
		"an old token":             {nil, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, audience, "ExpiredTokenException"},
		"another role":             {func(c *Config, _ *contract.Server) { c.Role += "-other" }, nil, audience, "AccessDenied, role " + contract.Role + "-other"},
		"too long a session":       {func(c *Config, _ *contract.Server) { c.Lifetime = model.Duration(2 * time.Hour) }, nil, audience, "ValidationError, role " + contract.Role + ": lifetime is longer"},
		"another domain":           {func(c *Config, _ *contract.Server) { c.Domain = "other" }, nil, audience, "got 403, expected 200: role " + contract.Role + " needs codeartifact:GetAuthorizationToken"},
		"a role without the right": {func(_ *Config, s *contract.Server) { s.Policy = s.Policy[1:] }, nil, audience, "needs codeartifact:GetAuthorizationToken"},
		"a role without bearers":   {func(_ *Config, s *contract.Server) { s.Policy = append(s.Policy[:1:1], s.Policy[2:]...) }, nil, audience, "sts:GetServiceBearerToken"},
	} {
		t.Run(name, func(t *testing.T) {
			aws, ci := played(t)
			server := httptest.NewServer(aws.Handler())
			defer server.Close()
			c := config(server.URL)
			if tc.change != nil {
				tc.change(c, aws)
			}
			token := ci.Token(tc.aud, tc.claims)
			_, err := issue(t, c, "pypi", token, publish("pypi", "widget"))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), server.URL) {
				t.Errorf("got %v, expected an error with the URL and %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Error("the error quotes the identity token")
			}
		})
	}
}

// TestUnfitAnswers: what is no answer of AWS gives no credential, and is not quoted.
func TestUnfitAnswers(t *testing.T) {
	const session = `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAcanary</AccessKeyId><SecretAccessKey>canary-secret</SecretAccessKey>` +
		`<SessionToken>canary-session</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`
	const good = `{"authorizationToken":"canary-token-1","expiration":1900000000}`
	for name, tc := range map[string]struct{ sts, api, want string }{
		"a page of STS":        {"<html>canary</html>", good, "not that of STS"},
		"no XML":               {"canary", good, "not that of STS"},
		"no key":               {strings.Replace(session, "<AccessKeyId>ASIAcanary</AccessKeyId>", "", 1), good, "0 of AccessKeyId"},
		"two session tokens":   {strings.Replace(session, "<SessionToken>", "<SessionToken>canary-other</SessionToken><SessionToken>", 1), good, "2 of SessionToken"},
		"a secret of spaces":   {strings.Replace(session, "canary-secret", "canary secret 1", 1), good, "characters that no credential has"},
		"a page":               {session, "<html>canary</html>", "not the JSON"},
		"no token":             {session, `{"expiration":1900000000}`, "no authorizationToken"},
		"two tokens":           {session, `{"authorizationToken":"canary-token-1","authorizationToken":"canary-token-2","expiration":1900000000}`, "not the JSON"},
		"no expiration":        {session, `{"authorizationToken":"canary-token-1"}`, "no expiration"},
		"a token with a break": {session, `{"authorizationToken":"canary\r\nX-Evil: 1","expiration":1900000000}`, "characters that no credential has"},
		"one that has expired": {session, `{"authorizationToken":"canary-token-1","expiration":1000000000}`, "has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					_, _ = io.WriteString(w, tc.sts)
					return
				}
				_, _ = io.WriteString(w, tc.api)
			}))
			defer server.Close()
			got, err := issue(t, config(server.URL), "pypi", "header.payload.signature", publish("pypi", "widget"))
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "canary") || got.Header != nil {
				t.Errorf("got %v and %d headers, expected an error with %q that quotes nothing", err, len(got.Header), tc.want)
			}
		})
	}
}

// TestEnvironmentIsLeftAlone: an account of the machine's own is never used, nor asked for, whatever the environment says.
func TestEnvironmentIsLeftAlone(t *testing.T) {
	aws, ci := played(t)
	server := credentialtest.NewServer(t, aws.Handler())
	profile := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(profile, []byte("[default]\naws_access_key_id = AKIAcanary\naws_secret_access_key = canary\nrole_arn = arn:aws:iam::999999999999:role/evil\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIAcanary", "AWS_SECRET_ACCESS_KEY": "canary", "AWS_PROFILE": "default", "AWS_CONFIG_FILE": profile, "AWS_REGION": "us-east-1",
		"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1",
		"AWS_ROLE_ARN": "arn:aws:iam::999999999999:role/evil", "AWS_WEB_IDENTITY_TOKEN_FILE": profile, "AWS_CA_BUNDLE": profile, "AWS_USE_FIPS_ENDPOINT": "true",
	} {
		t.Setenv(name, value)
	}
	if _, err := issue(t, config(server.URL), "pypi", ci.Token(audience, nil), publish("pypi", "widget")); err != nil {
		t.Fatal(err)
	}
	want := []string{"POST /", "POST /v1/authorization-token?domain=acme&domain-owner=111122223333&duration=0"}
	if diff := cmp.Diff(want, server.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestEndpoints are those of the region, unless others are written.
func TestEndpoints(t *testing.T) {
	for region, want := range map[string][2]string{
		"eu-central-1": {"https://sts.eu-central-1.amazonaws.com", "https://codeartifact.eu-central-1.amazonaws.com"},
		"us-east-1":    {"https://sts.us-east-1.amazonaws.com", "https://codeartifact.us-east-1.amazonaws.com"},
		"cn-north-1":   {"https://sts.cn-north-1.amazonaws.com.cn", "https://codeartifact.cn-north-1.amazonaws.com.cn"},
	} {
		c := config("")
		c.Region = region
		s, err := c.source(env("pypi", "https://packages.example.com/pypi/releases/"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, [2]string{s.STS, s.Endpoint}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", region, diff)
		}
		if len(s.Kept()) != 3 {
			t.Errorf("%s: got %d kept, expected the tokens and what is known of two hosts", region, len(s.Kept()))
		}
	}
}

func TestProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change            func(*Config)
		ecosystem, public string
		want              string
	}{
		"an ecosystem without tokens": {func(*Config) {}, "oci", "/v2/", "ecosystem is oci"},
		"files":                       {func(*Config) {}, "generic", "/generic/releases/", "ecosystem is generic"},
		"no domain":                   {func(c *Config) { c.Domain = "" }, "pypi", "/pypi/releases/", `domain is "", expected domain acme`},
		"a domain in capitals":        {func(c *Config) { c.Domain = "ACME" }, "pypi", "/pypi/releases/", `domain is "ACME"`},
		"a short account":             {func(c *Config) { c.Owner = "1111" }, "pypi", "/pypi/releases/", `owner is "1111"`},
		"no region":                   {func(c *Config) { c.Region = "frankfurt" }, "pypi", "/pypi/releases/", `region is "frankfurt"`},
		"a user for a role":           {func(c *Config) { c.Role = "arn:aws:iam::111122223333:user/x" }, "pypi", "/pypi/releases/", "role is"},
		"another format's URL":        {func(*Config) {}, "pypi", "/npm/releases/", `repository is "", expected the public URL to have it, as in /pypi/NAME/`},
		"a repository of wildcards":   {func(c *Config) { c.Repository = "rel*" }, "pypi", "/x/", `repository is "rel*"`},
		"too short a life":            {func(c *Config) { c.Lifetime = model.Duration(time.Minute) }, "pypi", "/pypi/releases/", "lifetime is 1m0s"},
		"too long a life":             {func(c *Config) { c.Lifetime = model.Duration(13 * time.Hour) }, "pypi", "/pypi/releases/", "lifetime is 13h0m0s"},
		"a URL with a password":       {func(c *Config) { c.STS = "https://x:hunter2@sts.example.com" }, "pypi", "/pypi/releases/", "sts: url has a user or a password"},
		"no URL":                      {func(c *Config) { c.Endpoint = "vpce" }, "pypi", "/pypi/releases/", "endpoint: url is"},
		"no such CA":                  {func(c *Config) { c.CA = "/absent.pem" }, "pypi", "/pypi/releases/", "ca: open"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config("")
			tc.change(c)
			_, err := c.Provision(env(tc.ecosystem, "https://packages.example.com"+tc.public))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `"internal"`) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
		})
	}
}
