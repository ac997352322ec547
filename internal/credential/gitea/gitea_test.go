package gitea

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

var start = time.Date(2026, 11, 23, 20, 0, 0, 900, time.UTC)

const (
	password = "canary-bot-password"
	replaced = "canary-other-password"
)

// server plays the three calls of Gitea's API, for one bot.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	last   int64
	tokens []played
	// calls are the method and path of each call.
	calls []string
	// answer, where set, answers instead.
	answer http.HandlerFunc
}

// played is a token with what it may do.
type played struct {
	ID     int64    `json:"id"`
	Name   string   `json:"name"`
	SHA1   string   `json:"sha1"`
	Scopes []string `json:"scopes"`
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := new(server)
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, r.Method+" "+r.URL.RequestURI())
	if s.answer != nil {
		s.answer(w, r)
		return
	}
	user, given, _ := r.BasicAuth()
	rest, found := strings.CutPrefix(r.URL.Path, "/sub/api/v1/users/bot/tokens")
	switch {
	case !found:
		http.NotFound(w, r)
	case user != "bot" || given != password && given != replaced:
		http.Error(w, "no", http.StatusUnauthorized)
	case r.Method == http.MethodPost:
		var made played
		_ = json.NewDecoder(r.Body).Decode(&made)
		made = s.add(made.Name, made.Scopes...)
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(made)
	case r.Method == http.MethodGet:
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		newest := slices.Clone(s.tokens)
		slices.Reverse(newest)
		newest = newest[min(len(newest), (page-1)*limit):]
		_ = json.NewEncoder(w).Encode(newest[:min(len(newest), limit)])
	default:
		id, _ := strconv.ParseInt(strings.TrimPrefix(rest, "/"), 10, 64)
		before := len(s.tokens)
		s.tokens = slices.DeleteFunc(s.tokens, func(p played) bool { return p.ID == id })
		if len(s.tokens) == before {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// add makes a token; the lock is held.
func (s *server) add(name string, scopes ...string) played {
	b := make([]byte, 20)
	_, _ = rand.Read(b)
	s.last++
	made := played{ID: s.last, Name: name, SHA1: hex.EncodeToString(b), Scopes: scopes}
	s.tokens = append(s.tokens, made)
	return made
}

// names are the names of the tokens that there are.
func (s *server) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, p := range s.tokens {
		names = append(names, p.Name)
	}
	return names
}

// called are the calls so far.
func (s *server) called() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// scopes are those of the token in a credential; nil where there is no such token.
func (s *server) scopes(c model.Credential) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.tokens {
		if c.Header.Get("Authorization") == "Bearer "+p.SHA1 {
			return p.Scopes
		}
	}
	return nil
}

func target(action model.Action) model.Target {
	return model.Target{Ecosystem: "npm", Registry: "internal", Package: "@acme/widget", Version: "1.0.0", Action: action}
}

func env(logger *slog.Logger) credential.Env {
	return credential.Env{Registry: "internal", Ecosystem: "npm", Logger: logger}
}

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// provision makes a source of the server, with its clock.
func (s *server) provision(t testing.TB, now func() time.Time, change ...func(*Config, *credential.Env)) (*source, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &Config{URL: s.URL + "/sub/", User: "bot", Password: model.Secret("{file." + path + "}"), now: now}
	e := env(silent)
	for _, f := range change {
		f(c, &e)
	}
	src, err := c.Provision(e)
	if err != nil {
		return nil, err
	}
	return src.(*source), nil
}

func (s *server) source(t testing.TB, now func() time.Time, change ...func(*Config, *credential.Env)) *source {
	t.Helper()
	src, err := s.provision(t, now, change...)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func at(when *time.Time) func() time.Time { return func() time.Time { return *when } }

func issue(t testing.TB, src *source, target model.Target) model.Credential {
	t.Helper()
	c, err := src.Issue(t.Context(), target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConformance(t *testing.T) {
	s := newServer(t)
	api := credentialtest.NewServer(t, s)
	credentialtest.Run(t, credentialtest.Suite{
		Kind: Kind, Env: env(silent), Secret: password, Other: replaced,
		Targets: []model.Target{target(model.ActionPublish), {Ecosystem: "npm", Registry: "internal", Package: "other", Version: "1.0.0", Action: model.ActionPublish}},
		Config: func(_ testing.TB, c credential.Config, secret model.Secret) credential.Config {
			c.(*Config).URL, c.(*Config).User, c.(*Config).Password = api.URL+"/sub", "bot", secret
			return c
		},
		Mint: &credentialtest.Mint{
			Server: api, Revokes: true, MaxLife: mintapi.DefaultLifetime,
			Clock: func(c credential.Config, now func() time.Time) { c.(*Config).now = now },
			Live:  func(got model.Credential) bool { return s.scopes(got) != nil },
			Strand: func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.add(mintapi.TemporaryName(time.Now().Add(-time.Hour)))
				s.add(mintapi.TemporaryName(time.Now().Add(time.Hour)))
				s.add("ci")
			},
			Stranded: func() (expired, others int) {
				for _, name := range s.names() {
					if mintapi.Orphaned(name, time.Now()) {
						expired++
					} else {
						others++
					}
				}
				return expired, others
			},
		},
		Check: func(t testing.TB, _ model.Target, got model.Credential) {
			if diff := cmp.Diff([]string{"write:package"}, s.scopes(got)); diff != "" {
				t.Errorf("the token's scopes (-want +got):\n%s", diff)
			}
		},
	})
}

func TestOneTokenForOneRequest(t *testing.T) {
	for action, scope := range map[model.Action]string{
		model.ActionPublish: "write:package", model.ActionOverwrite: "write:package", model.ActionDelete: "write:package", model.ActionRead: "read:package",
	} {
		t.Run(string(action), func(t *testing.T) {
			s := newServer(t)
			c := issue(t, s.source(t, at(&start)), target(action))
			if diff := cmp.Diff([]string{scope}, s.scopes(c)); diff != "" {
				t.Errorf("scopes (-want +got):\n%s", diff)
			}
			want := start.Add(mintapi.DefaultLifetime).Truncate(time.Second)
			if !c.Expiry.Equal(want) {
				t.Errorf("got expiry %s, expected %s", c.Expiry, want)
			}
			if names := s.names(); len(names) != 1 || !strings.HasPrefix(names[0], fmt.Sprintf("trustpub-%d-", want.Unix())) {
				t.Errorf("got tokens %q, expected one with the expiry in its name", names)
			}
			for range 2 { // the second finds none, which is as good
				if err := c.Revoke(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if names := s.names(); len(names) != 0 {
				t.Errorf("got tokens %q after the revocation, expected none", names)
			}
		})
	}
}

func TestForm(t *testing.T) {
	s := newServer(t)
	for ecosystem, scheme := range map[string]string{"oci": "Basic ", "npm": "Bearer ", "nuget": "Bearer ", "cargo": "Bearer ", "generic": "Bearer "} {
		src := s.source(t, at(&start), func(_ *Config, e *credential.Env) { e.Ecosystem = ecosystem })
		if got := issue(t, src, target(model.ActionPublish)).Header; len(got) != 1 || !strings.HasPrefix(got.Get("Authorization"), scheme) {
			t.Errorf("%s: got %d headers, expected Authorization with %s", ecosystem, len(got), scheme)
		}
	}
}

func TestOrphans(t *testing.T) {
	s := newServer(t)
	now := start
	name := func(ago time.Duration) string { return mintapi.TemporaryName(start.Add(-ago)) }
	keep := []string{
		"ci", "trustpub", "trustpub-1-a", "trustpub-1-0123456789abcdef-mine", "my-trustpub-1-0123456789abcdef",
		"trustpub-1-0123456789ABCDEF", "trustpub--1-0123456789abcdef", name(-time.Hour), name(mintapi.Leeway - time.Second),
	}
	for _, n := range append(slices.Clone(keep), name(mintapi.Leeway+time.Second), name(time.Hour), "trustpub-1-0123456789abcdef") {
		s.add(n)
	}
	src := s.source(t, at(&now))
	revoke := func() {
		if err := issue(t, src, target(model.ActionPublish)).Revoke(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	revoke()
	if diff := cmp.Diff(keep, s.names()); diff != "" {
		t.Errorf("tokens after the first upload (-want +got):\n%s", diff)
	}
	s.add(name(time.Hour))
	before := len(s.called())
	revoke()
	if diff := cmp.Diff([]string{"POST", "DELETE"}, methods(s.called()[before:])); diff != "" {
		t.Errorf("calls of an upload that looks for no orphans (-want +got):\n%s", diff)
	}
	now = now.Add(mintapi.DefaultLifetime)
	revoke() // by now the younger of those kept before has expired too
	if diff := cmp.Diff(keep[:len(keep)-1], s.names()); diff != "" {
		t.Errorf("tokens after a lifetime (-want +got):\n%s", diff)
	}
}

func methods(calls []string) []string {
	var all []string
	for _, c := range calls {
		method, _, _ := strings.Cut(c, " ")
		all = append(all, method)
	}
	return all
}

// TestSweepIsBounded: after an outage there may be any number of orphans.
func TestSweepIsBounded(t *testing.T) {
	s := newServer(t)
	for range 300 {
		s.add(mintapi.TemporaryName(start.Add(-time.Hour)))
	}
	now := start
	src := s.source(t, at(&now))
	for round := 1; round <= 2; round++ {
		before := len(s.called())
		issue(t, src, target(model.ActionPublish))
		if got := len(s.called()) - before; got > 1+mintapi.SweepPages+mintapi.SweepMost {
			t.Errorf("round %d: %d calls, expected at most %d", round, got, 1+mintapi.SweepPages+mintapi.SweepMost)
		}
		if got, want := len(s.names()), 300-round*mintapi.SweepMost+round; got != want {
			t.Errorf("round %d: %d tokens are left, expected %d", round, got, want)
		}
		now = now.Add(mintapi.DefaultLifetime)
	}
}

// TestSweepFails: the upload has its token, so it goes on.
func TestSweepFails(t *testing.T) {
	s := newServer(t)
	var log strings.Builder
	src := s.source(t, at(&start), func(_ *Config, e *credential.Env) { e.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"id":7,"sha1":"0123456789abcdef0123456789abcdef01234567"}`)
			return
		}
		http.Error(w, "no", http.StatusInternalServerError)
	}
	if c := issue(t, src, target(model.ActionPublish)); c.Header.Get("Authorization") == "" {
		t.Error("got no credential")
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "got 500") {
		t.Errorf("got log %q, expected a warning with the status", log.String())
	}
}

func TestIssueFails(t *testing.T) {
	const quoted = "0123456789abcdef0123456789abcdef01234567"
	reply := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); fmt.Fprint(w, body) }
	}
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"the password is wrong": {reply(401, password+quoted), "got 401, expected 201: check user bot"},
		"no rights":             {reply(403, quoted), "got 403"},
		"no such user":          {reply(404, quoted), "is there a user bot"},
		"the name is taken":     {reply(400, quoted), "got 400"},
		"a failure":             {reply(500, quoted), "got 500"},
		"no JSON":               {reply(201, "<html>"+quoted), "not the JSON"},
		"no token":              {reply(201, `{"id":1}`), "no token"},
		"no id":                 {reply(201, `{"sha1":"`+quoted+`"}`), "no id"},
		"a line break":          {reply(201, `{"id":1,"sha1":"`+quoted+`\r\nX: y"}`), "characters"},
		"an endless answer":     {reply(201, strings.Repeat(" ", mintapi.DefaultMaxAnswer+1)), "larger than"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/sub/api/v1/users/bot/tokens?again", http.StatusTemporaryRedirect)
		}, "redirects are not followed"},
		"a cut answer": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			s.answer = tc.answer
			c, err := s.source(t, at(&start)).Issue(t.Context(), target(model.ActionPublish), nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(strings.ToUpper(err.Error()), "POST") {
				t.Errorf("got %v, expected an error with the call and %q", err, tc.want)
			}
			if err != nil && (strings.Contains(err.Error(), password) || strings.Contains(err.Error(), quoted)) {
				t.Error("the error holds a secret")
			}
			if c.Header != nil || len(s.called()) != 1 {
				t.Errorf("got a credential or %d calls, expected none and one", len(s.called()))
			}
		})
	}
}

func TestIssueEndsWithItsContext(t *testing.T) {
	s := newServer(t)
	src := s.source(t, at(&start))
	ctx, cancel := context.WithCancel(t.Context())
	s.answer = func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see the end of the connection
		cancel()
		<-r.Context().Done()
	}
	if _, err := src.Issue(ctx, target(model.ActionPublish), nil); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("got %v, expected the context's end", err)
	}
}

func TestIssueRefusesAnotherRegistry(t *testing.T) {
	s := newServer(t)
	other := target(model.ActionPublish)
	other.Registry = "other"
	if _, err := s.source(t, at(&start)).Issue(t.Context(), other, nil); err == nil || len(s.called()) != 0 {
		t.Errorf("got %v and %d calls, expected a refusal without any", err, len(s.called()))
	}
}

func TestProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no url":             {func(c *Config) { c.URL = "" }, "url is absent"},
		"no scheme":          {func(c *Config) { c.URL = "gitea:3000" }, "expected one like"},
		"another scheme":     {func(c *Config) { c.URL = "ftp://gitea" }, "expected one like"},
		"no host":            {func(c *Config) { c.URL = "http:///x" }, "expected one like"},
		"a query":            {func(c *Config) { c.URL = "http://gitea/?x" }, "expected one like"},
		"an empty query":     {func(c *Config) { c.URL = "http://gitea/?" }, "expected one like"},
		"a fragment":         {func(c *Config) { c.URL = "http://gitea/#x" }, "expected one like"},
		"a password in url":  {func(c *Config) { c.URL = "http://bot:" + password + "@gitea" }, "in settings of their own"},
		"no text":            {func(c *Config) { c.URL = "http://" + password + "\x7f" }, "can't be parsed"},
		"no user":            {func(c *Config) { c.User = "" }, "user is"},
		"a user with a path": {func(c *Config) { c.User = "../admin" }, "user is"},
		"a user with colon":  {func(c *Config) { c.User = "a:b" }, "user is"},
		"no password":        {func(c *Config) { c.Password = "" }, "password is absent"},
		"a short lifetime":   {func(c *Config) { c.Lifetime = model.Duration(time.Second) }, "lifetime is 1s"},
		"a long lifetime":    {func(c *Config) { c.Lifetime = model.Duration(25 * time.Hour) }, "lifetime is 25h"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newServer(t).provision(t, at(&start), func(c *Config, _ *credential.Env) { tc.change(c) })
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `registry "internal"`) {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Error("the error quotes the password")
			}
		})
	}
}

func BenchmarkIssue(b *testing.B) {
	s := newServer(b)
	src := s.source(b, at(&start))
	for b.Loop() {
		if err := issue(b, src, target(model.ActionPublish)).Revoke(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
