package static

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/model"
)

var targets = []model.Target{
	{Ecosystem: "pypi", Registry: "internal", Package: "acme-widget", Version: "1.0", File: "acme_widget-1.0-py3-none-any.whl", Action: model.ActionPublish},
	{Ecosystem: "pypi", Registry: "internal", Package: "other", Version: "2.0", File: "other-2.0.tar.gz", Action: model.ActionPublish},
}

func env() credential.Env {
	return credential.Env{Registry: "internal", Ecosystem: "pypi", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func TestConformance(t *testing.T) {
	forms := map[string]struct {
		config func(model.Secret) *Config
		want   http.Header
	}{
		"basic":  {func(s model.Secret) *Config { return &Config{Basic: &Basic{User: "publisher", Password: s}} }, http.Header{"Authorization": {"Basic cHVibGlzaGVyOmM6b3JyZWN0IGhvcnNl"}}},
		"bearer": {func(s model.Secret) *Config { return &Config{Bearer: s} }, http.Header{"Authorization": {"Bearer c:orrect horse"}}},
		"header": {func(s model.Secret) *Config { return &Config{Header: &Header{Name: "x-nuget-apikey", Value: s}} }, http.Header{"X-Nuget-Apikey": {"c:orrect horse"}}},
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			credentialtest.Run(t, credentialtest.Suite{
				Kind: Kind, Env: env(), Secret: "c:orrect horse", Other: "battery staple", Targets: targets,
				Config: func(_ testing.TB, c credential.Config, s model.Secret) credential.Config {
					*c.(*Config) = *form.config(s)
					return c
				},
				Check: func(t testing.TB, _ model.Target, got model.Credential) {
					if diff := cmp.Diff(form.want, got.Header); diff != "" {
						t.Errorf("header (-want +got):\n%s", diff)
					}
				},
			})
		})
	}
}

func TestProvisionRefuses(t *testing.T) {
	const secret = model.Secret("{env.TRUSTPUB_TEST_SECRET}")
	header := func(name string) *Config { return &Config{Header: &Header{Name: name, Value: secret}} }
	for name, tc := range map[string]struct {
		config *Config
		want   string
	}{
		"nothing":         {&Config{}, "got 0 of"},
		"two":             {&Config{Bearer: secret, Basic: &Basic{User: "u", Password: secret}}, "got 2 of"},
		"three":           {&Config{Bearer: secret, Basic: &Basic{User: "u", Password: secret}, Header: &Header{Name: "X", Value: secret}}, "got 3 of"},
		"no user":         {&Config{Basic: &Basic{Password: secret}}, "user is empty"},
		"colon in user":   {&Config{Basic: &Basic{User: "a:b", Password: secret}}, "colon"},
		"placeholder":     {&Config{Basic: &Basic{User: "{env.USER}", Password: secret}}, "plain name"},
		"line break":      {&Config{Basic: &Basic{User: "a\nb", Password: secret}}, "control character"},
		"no password":     {&Config{Basic: &Basic{User: "u"}}, "basic: a secret must be"},
		"no name":         {header(""), "name is empty"},
		"space in name":   {header("X Key"), "X Key"},
		"colon in name":   {header("X-Key:"), "X-Key:"},
		"host":            {header("host"), "transport"},
		"connection":      {header("Connection"), "transport"},
		"te":              {header("TE"), "transport"},
		"upgrade":         {header("upgrade"), "transport"},
		"framing":         {header("Transfer-Encoding"), "transport"},
		"length":          {header("content-length"), "transport"},
		"proxy":           {header("Proxy-Authorization"), "transport"},
		"outside url":     {header("X-Outside-URL"), "gateway"},
		"forwarded":       {header("x-forwarded-host"), "gateway"},
		"gateway's own":   {header("X-Trustpub-Identity"), "gateway"},
		"literal header":  {&Config{Header: &Header{Name: "X-Key", Value: "hunter2"}}, "header: a secret must be"},
		"request's value": {&Config{Bearer: "{http.request.header.x}"}, "bearer: a secret cannot come from the request"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tc.config.Provision(env())
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `"internal"`) {
				t.Errorf("got %v, expected an error with %q and the registry's name", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Error("the error quotes the secret")
			}
		})
	}
}

func TestIssueRefusesSecretsThatNoHeaderCarries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	src, err := (&Config{Bearer: model.Secret("{file." + path + "}")}).Provision(env())
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"empty": "", "space before": " x", "space after": "x ", "tab": "a\tb", "escape": "a\x1bb", "delete": "a\x7f", "two lines": "a\nb",
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := src.Issue(t.Context(), targets[0], nil)
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, expected an error that names the placeholder", err)
			}
		})
	}
}
