package devpi

import (
	"bytes"
	"encoding/base64"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"gopkg.in/macaroon.v2"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/model"
)

var start = time.Date(2026, 11, 23, 20, 0, 0, 900, time.UTC)

func now() time.Time { return start }

func target(pkg string) model.Target {
	return model.Target{Ecosystem: "pypi", Registry: "internal", Package: pkg, Version: "1.0", Action: model.ActionPublish}
}

func env(t testing.TB, public string) credential.Env {
	t.Helper()
	u, err := url.Parse(public)
	if err != nil {
		t.Fatal(err)
	}
	return credential.Env{Registry: "internal", Ecosystem: "pypi", Public: u, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

var rootKey = []byte("devpi keeps this")

// newParent makes a token as devpi-tokens does.
func newParent(t testing.TB, id string, caveats ...string) string {
	t.Helper()
	return encode(t, newMacaroon(t, id, "", macaroon.V2, caveats...))
}

func newMacaroon(t testing.TB, id, location string, v macaroon.Version, caveats ...string) *macaroon.Macaroon {
	t.Helper()
	m, err := macaroon.New(rootKey, []byte(id), location, v)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range caveats {
		if err := m.AddFirstPartyCaveat([]byte(c)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// encode is what devpi writes: with an empty location, which our library leaves out.
func encode(t testing.TB, m *macaroon.Macaroon) string {
	t.Helper()
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if b[0] == 2 && m.Location() == "" {
		b = append([]byte{2, 1, 0}, b[1:]...)
	}
	return "devpi-" + base64.RawURLEncoding.EncodeToString(b)
}

// realParent was made by devpi-tokens 1.1.0 on a server that is gone.
const realParent = "devpi-AgEAAhJwdWJsaXNoZXItU2VkZlpkOFYAAg5hbGxvd2VkPXVwbG9hZAACEmV4cGlyZXM9MTgwMzI1Mzk3MAACFmluZGV4ZXM9cHVibGlzaGVyL3Byb2QAAAYgAFVHzxDUq_SJgd0BXqR4V1O-SEvwbDiSHiGAPHClZ-w"

func TestRealParent(t *testing.T) {
	p, err := parseParent(realParent)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := encode(t, p.macaroon), realParent; got != want {
		t.Errorf("got %s, expected it as devpi wrote it", got)
	}
	want := &parent{expires: time.Unix(1803253970, 0), indexes: [][]string{{"publisher/prod"}}, allowed: [][]string{{"upload"}}}
	if diff := cmp.Diff(want, p, cmp.AllowUnexported(parent{}), cmpopts.IgnoreFields(parent{}, "macaroon")); diff != "" {
		t.Errorf("restrictions (-want +got):\n%s", diff)
	}
	if got := string(p.macaroon.Id()); got != "publisher-SedfZd8V" {
		t.Errorf("got id %q", got)
	}
}

// caveatsOf verifies a derived token with the root key, as devpi does, and lists its caveats.
func caveatsOf(t testing.TB, c model.Credential) []string {
	t.Helper()
	raw, ok := strings.CutPrefix(c.Header.Get("Authorization"), "Bearer devpi-")
	if !ok {
		t.Fatal("the credential is no Bearer devpi- token")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(raw)
	if err != nil {
		t.Fatal(err)
	}
	m := new(macaroon.Macaroon)
	if err := m.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	got, err := m.VerifySignature(rootKey, nil)
	if err != nil {
		t.Fatalf("the signature of the derived token: %v", err)
	}
	return got
}

func TestConformance(t *testing.T) {
	credentialtest.Run(t, credentialtest.Suite{
		Kind: Kind, Env: env(t, "https://pypi.example.com/publisher/prod/"),
		Secret: newParent(t, "publisher-LAELQ4gN", "expires=never"), Other: newParent(t, "publisher-BBBBBBBB", "expires=never"),
		Targets: []model.Target{target("acme-widget"), target("other")}, ReadsAnonymous: true, Life: DefaultLifetime, Now: now,
		Config: func(_ testing.TB, c credential.Config, s model.Secret) credential.Config {
			c.(*Config).Token = s
			c.(*Config).now = now
			return c
		},
		Check: func(t testing.TB, target model.Target, got model.Credential) {
			want := "projects=" + target.Package
			for _, c := range caveatsOf(t, got) {
				if c == want {
					return
				}
			}
			t.Errorf("the derived token has no caveat %s", want)
		},
	})
}

// provision makes a source from a parent token in a file.
func provision(t testing.TB, parent string, public string, change ...func(*Config)) (credential.Source, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(parent+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Kind.New().(*Config)
	c.Token, c.now = model.Secret("{file."+path+"}"), now
	for _, f := range change {
		f(c)
	}
	return c.Provision(env(t, public))
}

func TestAllFourCaveatsAlways(t *testing.T) {
	for name, tc := range map[string]struct {
		parent  []string
		public  string
		change  func(*Config)
		caveats []string
		expiry  time.Time
	}{
		"default": {
			[]string{"expires=never"},
			"https://pypi.example.com/publisher/prod/", func(*Config) {},
			[]string{"expires=never", "expires=1795464900", "indexes=publisher/prod", "projects=acme-widget", "allowed=upload"},
			time.Unix(1795464900, 0),
		},
		"no caveats, deep path": {
			nil, "https://pypi.example.com/devpi/publisher/prod/", func(*Config) {},
			[]string{"expires=1795464900", "indexes=publisher/prod", "projects=acme-widget", "allowed=upload"},
			time.Unix(1795464900, 0),
		},
		"index and lifetime": {
			nil, "https://pypi.example.com/", func(c *Config) { c.Index, c.Lifetime = "root/dev", model.Duration(time.Hour) },
			[]string{"expires=1795467600", "indexes=root/dev", "projects=acme-widget", "allowed=upload"},
			time.Unix(1795467600, 0),
		},
		"parent that is narrow already": {
			[]string{"expires=1795464060", "not_before=1795460000", "indexes=x/y, publisher/prod", "projects=Acme_Widget,b", "allowed=upload,pkg_read"},
			"https://pypi.example.com/publisher/prod/", func(*Config) {},
			[]string{
				"expires=1795464060", "not_before=1795460000", "indexes=x/y, publisher/prod", "projects=Acme_Widget,b", "allowed=upload,pkg_read",
				"expires=1795464900", "indexes=publisher/prod", "projects=acme-widget", "allowed=upload",
			},
			time.Unix(1795464060, 0),
		},
	} {
		t.Run(name, func(t *testing.T) {
			src, err := provision(t, newParent(t, "publisher-LAELQ4gN", tc.parent...), tc.public, tc.change)
			if err != nil {
				t.Fatal(err)
			}
			got, err := src.Issue(t.Context(), target("acme-widget"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.caveats, caveatsOf(t, got)); diff != "" {
				t.Errorf("caveats (-want +got):\n%s", diff)
			}
			if !got.Expiry.Equal(tc.expiry) {
				t.Errorf("got expiry %s, expected %s", got.Expiry, tc.expiry)
			}
		})
	}
}

func TestProvisionRefuses(t *testing.T) {
	good := newParent(t, "publisher-LAELQ4gN", "expires=never")
	third := newMacaroon(t, "publisher-LAELQ4gN", "", macaroon.V2)
	if err := third.AddThirdPartyCaveat([]byte("k"), []byte("c"), "https://other.example"); err != nil {
		t.Fatal(err)
	}
	const public = "https://pypi.example.com/publisher/prod/"
	none := func(*Config) {}
	for name, tc := range map[string]struct {
		parent, public string
		change         func(*Config)
		want           string
	}{
		"password":              {"correct-horse", public, none, "no devpi token"},
		"padding":               {good + "=", public, none, "no devpi token"},
		"standard alphabet":     {good[:10] + "+/" + good[12:], public, none, "no devpi token"},
		"cut":                   {good[:len(good)-8], public, none, "no devpi token"},
		"other data behind":     {good + base64.RawURLEncoding.EncodeToString([]byte("xxxxxx")), public, none, "no devpi token"},
		"version 1":             {encode(t, newMacaroon(t, "publisher-LAELQ4gN", "", macaroon.V1)), public, none, "version 2"},
		"too long":              {strings.Repeat("A", maxParent+1), public, none, "at most"},
		"third party":           {encode(t, third), public, none, "third party"},
		"JSON caveat":           {newParent(t, "p-1", `[1,["acme-widget"]]`), public, none, "KEY=VALUE"},
		"unknown caveat":        {newParent(t, "p-1", "foo=1"), public, none, "none of"},
		"expires in words":      {newParent(t, "p-1", "expires=soon"), public, none, "number of seconds"},
		"not_before never":      {newParent(t, "p-1", "not_before=never"), public, none, "number of seconds"},
		"parent of other index": {newParent(t, "p-1", "indexes=publisher/test"), public, none, "indexes publisher/test"},
		"parent for reads":      {newParent(t, "p-1", "allowed=pkg_read"), public, none, "permissions pkg_read"},
		"index from short path": {good, "https://pypi.example.com/prod/", none, "USER/INDEX"},
		"index with a comma":    {good, public, func(c *Config) { c.Index = "a/b,c/d" }, "USER/INDEX"},
		"index with dots":       {good, public, func(c *Config) { c.Index = "../b" }, "USER/INDEX"},
		"index with three":      {good, public, func(c *Config) { c.Index = "a/b/c" }, "USER/INDEX"},
		"short lifetime":        {good, public, func(c *Config) { c.Lifetime = model.Duration(time.Second) }, "lifetime is 1s"},
		"long lifetime":         {good, public, func(c *Config) { c.Lifetime = model.Duration(25 * time.Hour) }, "lifetime is 25h"},
		"no token":              {good, public, func(c *Config) { c.Token = "" }, "token is absent"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := provision(t, tc.parent, tc.public, tc.change)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, expected an error with %q", err, tc.want)
			}
			if strings.Contains(err.Error(), tc.parent) || strings.Contains(err.Error(), good[30:60]) {
				t.Error("the error quotes the token")
			}
		})
	}
	if _, err := Kind.New().Provision(credential.Env{Ecosystem: "npm"}); err == nil || !strings.Contains(err.Error(), "pypi") {
		t.Errorf("got %v for an npm registry, expected a refusal", err)
	}
}

func TestIssueRefuses(t *testing.T) {
	const public = "https://pypi.example.com/publisher/prod/"
	with := func(f func(*model.Target)) model.Target { x := target("acme-widget"); f(&x); return x }
	for name, tc := range map[string]struct {
		caveats []string
		target  model.Target
		want    string
	}{
		"no package":         {nil, target(""), "package"},
		"caveat injection":   {nil, target("a,b"), "package"},
		"not normalised":     {nil, target("Acme_Widget"), "package"},
		"line break":         {nil, target("acme\n"), "package"},
		"delete":             {nil, with(func(t *model.Target) { t.Action = model.ActionDelete }), "action"},
		"no action":          {nil, with(func(t *model.Target) { t.Action = "" }), "action"},
		"other registry":     {nil, with(func(t *model.Target) { t.Registry = "x" }), "registry"},
		"parent's projects":  {[]string{"projects=other"}, target("acme-widget"), "restricted to projects other"},
		"expired parent":     {[]string{"expires=1795000000"}, target("acme-widget"), "expired"},
		"parent not yet":     {[]string{"not_before=1799999999"}, target("acme-widget"), "not valid before"},
		"two parents' times": {[]string{"expires=never", "expires=1795000000"}, target("acme-widget"), "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			src, err := provision(t, newParent(t, "p-1", tc.caveats...), public)
			if err != nil {
				t.Fatal(err)
			}
			_, err = src.Issue(t.Context(), tc.target, nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, expected an error with %q", err, tc.want)
			}
		})
	}
}

func FuzzParent(f *testing.F) {
	f.Add(newParent(f, "publisher-LAELQ4gN", "expires=never"))
	f.Add(newParent(f, "p-1", "indexes=a/b", "projects=A_b, c", "allowed=upload", "not_before=1"))
	f.Add(realParent)
	f.Add("devpi-")
	f.Add("AgEDcHktAAAGIA")
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := parseParent(raw)
		if err != nil {
			return
		}
		b, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(raw, "devpi-"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := p.macaroon.MarshalBinary()
		if err != nil || !bytes.Equal(again, withoutEmptyLocation(b)) {
			t.Fatalf("a second spelling is accepted: %q", raw)
		}
		if _, err := p.attenuate("allowed=upload"); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkIssue(b *testing.B) {
	src, err := provision(b, newParent(b, "publisher-LAELQ4gN", "expires=never"), "https://pypi.example.com/publisher/prod/")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := src.Issue(b.Context(), target("acme-widget"), nil); err != nil {
			b.Fatal(err)
		}
	}
}
