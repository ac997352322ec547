package http

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/credentialtest"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	password = "canary-api-password"
	replaced = "canary-other-password"
)

// mint is an API that makes tokens for one package.
type mint struct {
	mu     sync.Mutex
	last   int
	tokens map[int]played
}

type played struct{ Token, Package, Scope string }

func (m *mint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	user, given, _ := r.BasicAuth()
	id, isToken := strings.CutPrefix(r.URL.Path, "/api/tokens/")
	switch {
	case user != "bot" || given != password && given != replaced:
		http.Error(w, "no", http.StatusUnauthorized)
	case r.Method == http.MethodPost && r.URL.Path == "/api/tokens":
		m.add(w, r)
	case r.Method == http.MethodDelete && isToken && r.URL.Query().Get("package") != "":
		n, _ := strconv.Atoi(id)
		if m.tokens[n].Package != r.URL.Query().Get("package") {
			http.NotFound(w, r)
			return
		}
		delete(m.tokens, n)
		w.WriteHeader(http.StatusNoContent)
	default:
		http.NotFound(w, r)
	}
}

// add makes a token; its request has these members and no others.
func (m *mint) add(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Name    string   `json:"name"`
		Package string   `json:"package"`
		Scopes  []string `json:"scopes"`
		Expires int64    `json:"expires"`
		Fixed   []any    `json:"fixed"`
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&asked); err != nil || len(asked.Scopes) != 1 || asked.Package == "" || asked.Expires == 0 || !strings.HasPrefix(asked.Name, "trustpub-") {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	if diff := cmp.Diff([]any{1.5, true, nil}, asked.Fixed); diff != "" {
		http.Error(w, diff, http.StatusBadRequest)
		return
	}
	b := make([]byte, 20)
	_, _ = rand.Read(b)
	m.last++
	m.tokens[m.last] = played{hex.EncodeToString(b), asked.Package, asked.Scopes[0]}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{
		"id": m.last, "tokens": []string{hex.EncodeToString(b)}, "expires": time.Unix(asked.Expires, 0).UTC().Format(time.RFC3339),
	}})
}

// of is the token of a credential; the zero one where there is none.
func (m *mint) of(c model.Credential) played {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.tokens {
		if c.Header.Get("Authorization") == "Bearer "+p.Token {
			return p
		}
	}
	return played{}
}

var targets = []model.Target{
	{Ecosystem: "npm", Registry: "internal", Package: "@acme/widget", Version: "1.0.0", File: "widget-1.0.0.tgz", Action: model.ActionPublish},
	{Ecosystem: "npm", Registry: "internal", Package: `quo"te`, Version: "2.0.0", Action: model.ActionPublish},
}

func env() credential.Env {
	return credential.Env{Registry: "internal", Ecosystem: "npm", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// good is a configuration of the played API.
func good(url string, secret model.Secret) Config {
	return Config{
		URL: url + "/api", Basic: &Basic{User: "bot", Password: secret}, Mint: &Call{"POST", "/tokens"},
		Body:  `{"name": "trustpub-{expires_unix}-{random}", "package": "{package}", "scopes": ["{scope}"], "expires": "{number:expires_unix}", "fixed": [1.5, true, null]}`,
		Token: "/data/tokens/0", Expiry: &Expiry{"/data/expires", "rfc3339"}, Scope: "write", Reads: true, ReadScope: "read",
		Revoke: &Call{"DELETE", "/tokens/{answer:/data/id}?package={package}"}, Lifetime: model.Duration(10 * time.Minute),
	}
}

func TestConformance(t *testing.T) {
	api := &mint{tokens: map[int]played{}}
	server := credentialtest.NewServer(t, api)
	credentialtest.Run(t, credentialtest.Suite{
		Kind: Kind, Env: env(), Secret: password, Other: replaced, Targets: targets,
		Config: func(_ testing.TB, c credential.Config, s model.Secret) credential.Config {
			*c.(*Config) = good(server.URL, s)
			return c
		},
		Check: func(t testing.TB, target model.Target, got model.Credential) {
			if p := api.of(got); p.Package != target.Package || p.Scope != "write" {
				t.Errorf("got a token for %q with %q, expected one that writes %q", p.Package, p.Scope, target.Package)
			}
		},
		Mint: &credentialtest.Mint{
			Server: server, Revokes: true, MaxLife: 10 * time.Minute,
			Clock: func(c credential.Config, now func() time.Time) { c.(*Config).now = now },
			Live:  func(got model.Credential) bool { return api.of(got).Token != "" },
		},
	})
}

// provision makes a source of an API that answers with a text, and returns what it is sent.
func provision(t *testing.T, answer string, change func(*Config)) (*source, func() []string) {
	t.Helper()
	var mu sync.Mutex
	var sent []string
	server := credentialtest.NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		login := r.Header.Get("Authorization") + r.Header.Get("X-Api-Key")
		sent = append(sent, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", r.Method, r.RequestURI, login, r.Header.Get("Content-Type"), b)))
		_, _ = io.WriteString(w, answer)
	}))
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := good(server.URL, model.Secret("{file."+path+"}"))
	c.now = func() time.Time { return time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC) }
	change(&c)
	src, err := c.Provision(env())
	if err != nil {
		t.Fatal(err)
	}
	return src.(*source), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return sent
	}
}

// TestForms: what is sent and what the registry gets, in each form.
func TestForms(t *testing.T) {
	const plain = `{"token":"token-of-the-api","id":7,"user":"robot$7","ttl":60}`
	usual := func(c *Config) {
		c.Token, c.Expiry, c.Body, c.Revoke = "/token", nil, "", nil
		c.Bearer, c.Basic = c.Basic.Password, nil
	}
	for name, tc := range map[string]struct {
		change func(*Config)
		answer string
		sent   []string
		want   model.Credential
	}{
		"the least": {func(*Config) {}, plain, []string{"POST /api/tokens Bearer " + password}, model.Bearer("token-of-the-api")},
		"a form": {func(c *Config) {
			c.Form = []string{"grant_type=client_credentials", "scope=repo:{package}:{action}&x=y"}
		}, plain, []string{
			"POST /api/tokens Bearer " + password + " application/x-www-form-urlencoded grant_type=client_credentials&scope=repo%3A%40acme%2Fwidget%3Apublish%26x%3Dy",
		}, model.Bearer("token-of-the-api")},
		"a path and a query": {func(c *Config) {
			c.Mint = &Call{"PUT", "/p/{package}/{http.request.uri.path.file}?v={version}&p={package}"}
		}, plain, []string{
			"PUT /api/p/%40acme%2Fwidget/widget-1.0.0.tgz?v=1.0.0&p=%40acme%2Fwidget Bearer " + password,
		}, model.Bearer("token-of-the-api")},
		"a header of the API's": {
			func(c *Config) { c.Header, c.Bearer = &Header{"x-api-key", c.Bearer}, "" }, plain,
			[]string{"POST /api/tokens " + password},
			model.Bearer("token-of-the-api"),
		},
		"no login":            {func(c *Config) { c.Bearer = "" }, plain, []string{"POST /api/tokens"}, model.Bearer("token-of-the-api")},
		"basic for the user":  {func(c *Config) { c.Present = []string{"basic", "bot"} }, plain, []string{"POST /api/tokens Bearer " + password}, model.Basic("bot", "token-of-the-api")},
		"basic by the answer": {func(c *Config) { c.Present = []string{"basic", "{answer:/user}"} }, plain, []string{"POST /api/tokens Bearer " + password}, model.Basic("robot$7", "token-of-the-api")},
		"a header":            {func(c *Config) { c.Present = []string{"header", "x-nuget-apikey"} }, plain, []string{"POST /api/tokens Bearer " + password}, model.Credential{Header: http.Header{"X-Nuget-Apikey": {"token-of-the-api"}}}},
		"seconds":             {func(c *Config) { c.Expiry = &Expiry{"/ttl", "seconds"} }, plain, []string{"POST /api/tokens Bearer " + password}, model.Bearer("token-of-the-api")},
		"a revocation with a body": {
			func(c *Config) {
				c.Revoke, c.RevokeBody = &Call{"POST", "/revoke"}, `{"id": "{number:answer:/id}", "token": "{answer:/token}", "why": "over"}`
			}, plain, []string{
				"POST /api/tokens Bearer " + password,
				"POST /api/revoke Bearer " + password + ` application/json {"id":7,"token":"token-of-the-api","why":"over"}`,
			}, model.Bearer("token-of-the-api"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			src, sent := provision(t, tc.answer, func(c *Config) {
				usual(c)
				tc.change(c)
			})
			got, err := src.Issue(t.Context(), targets[0], nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.Revoke != nil {
				if err := got.Revoke(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(tc.want.Header, got.Header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			life := 10 * time.Minute
			if name == "seconds" {
				life = time.Minute
			}
			if diff := cmp.Diff(src.now().Add(life), got.Expiry); diff != "" {
				t.Errorf("expiry (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.sent, sent()); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadsAreAnonymousUnlessAskedFor(t *testing.T) {
	src, sent := provision(t, `{}`, func(c *Config) { c.Reads, c.ReadScope = false, "" })
	read := targets[0]
	read.Action = model.ActionRead
	got, err := src.Issue(t.Context(), read, nil)
	if err != nil || got.Header != nil || len(sent()) > 0 {
		t.Errorf("got %v, %d headers and the calls %q, expected none", err, len(got.Header), sent())
	}
}

// TestAnswers breaks one thing of an answer at a time; the error names the place, and quotes nothing.
func TestAnswers(t *testing.T) {
	whole := `{"data":{"id":7,"tokens":["canary-of-the-answer"],"expires":"2026-11-23T20:05:00Z"}}`
	for name, tc := range map[string]struct{ old, replacement, want string }{
		"good":                    {"", "", ""},
		"no token":                {`["canary-of-the-answer"]`, `[]`, "no text at /data/tokens/0"},
		"a token that is null":    {`"canary-of-the-answer"`, `null`, "no text at /data/tokens/0"},
		"an empty token":          {`canary-of-the-answer`, ``, "no text at /data/tokens/0"},
		"a short token":           {`canary-of-the-answer`, `canary`, "8 to"},
		"a line break":            {`canary-of-the-answer`, `canary\r\nX: canary`, "characters that no credential has"},
		"another kind":            {`["canary-of-the-answer"]`, `"canary-of-the-answer"`, "no text at /data/tokens/0"},
		"no expiry":               {`expires`, `canary`, "no text at /data/expires"},
		"an expiry in words":      {`2026-11-23T20:05:00Z`, `canary tomorrow`, "no time like"},
		"an expiry that is over":  {`2026-11-23T20:05:00Z`, `2026-11-23T20:00:00Z`, "over already"},
		"a member twice":          {`"id"`, `"tokens":["canary"],"id"`, "not the JSON"},
		"more than one document":  {`}}`, `}}{"canary":1}`, "not the JSON"},
		"a list":                  {whole, `["canary"]`, "no text at /data/tokens/0"},
		"an index with a zero":    {`"tokens":[`, `"tokens":{"00":"canary"},"x":[`, "no text at /data/tokens/0"},
		"nothing":                 {whole, ``, "not the JSON"},
		"no id for the end of it": {`"id":7,`, ``, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(whole, tc.old) {
				t.Fatalf("no %q", tc.old)
			}
			src, _ := provision(t, strings.Replace(whole, tc.old, tc.replacement, 1), func(*Config) {})
			got, err := src.Issue(t.Context(), targets[0], nil)
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, expected an error with %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the answer is quoted: %v", err)
			}
			if strings.HasPrefix(name, "no id") {
				if err := got.Revoke(t.Context()); err == nil || !strings.Contains(err.Error(), "/data/id") {
					t.Errorf("got %v, expected that there is no id", err)
				}
			}
		})
	}
}

// TestPathsRefuse: no value becomes another folder.
func TestPathsRefuse(t *testing.T) {
	for _, version := range []string{"", ".", ".."} {
		src, sent := provision(t, `{}`, func(c *Config) { c.Mint.Path = "/a/{version}/b" })
		target := targets[0]
		target.Version = version
		if _, err := src.Issue(t.Context(), target, nil); err == nil || !strings.Contains(err.Error(), "{version}") || len(sent()) > 0 {
			t.Errorf("version %q: got %v and the calls %q, expected a refusal without a call", version, err, sent())
		}
	}
}

func TestProvisionRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no url":                    {func(c *Config) { c.URL = "" }, "url is absent"},
		"a url with a query":        {func(c *Config) { c.URL += "?x" }, "url is"},
		"two logins":                {func(c *Config) { c.Bearer = c.Basic.Password }, "got 2 of basic, bearer and header"},
		"a literal":                 {func(c *Config) { c.Basic.Password = "hunter2" }, "the secret of the API: a secret must be"},
		"a login without a user":    {func(c *Config) { c.Basic.User = "" }, "basic: the user is empty"},
		"a login header":            {func(c *Config) { c.Header, c.Basic = &Header{"Host", c.Basic.Password}, nil }, "header: the name"},
		"no mint":                   {func(c *Config) { c.Mint = nil }, "mint is absent"},
		"another method":            {func(c *Config) { c.Mint.Method = "post" }, `method is "post"`},
		"a relative path":           {func(c *Config) { c.Mint.Path = "tokens" }, "below url"},
		"a path with dots":          {func(c *Config) { c.Mint.Path = "/a/../b" }, "below url"},
		"a path with a fragment":    {func(c *Config) { c.Mint.Path = "/a#b" }, "below url"},
		"a path with blanks":        {func(c *Config) { c.Mint.Path = "/a b" }, "below url"},
		"an unknown placeholder":    {func(c *Config) { c.Mint.Path = "/{name}" }, "placeholder {name}, expected one of {registry}"},
		"an answer too soon":        {func(c *Config) { c.Mint.Path = "/{answer:/id}" }, "where there is no answer"},
		"an open brace":             {func(c *Config) { c.Mint.Path = "/{package" }, "without a closing"},
		"a closing brace":           {func(c *Config) { c.Mint.Path = "/package}" }, "without an opening"},
		"a body that is no JSON":    {func(c *Config) { c.Body = `{"a": {package}}` }, "the body has a text that is no JSON"},
		"a body with a placeholder": {func(c *Config) { c.Body = `{"a": ["{nope}"]}` }, "placeholder {nope}"},
		"a number of nothing":       {func(c *Config) { c.Body = `{"a": "{number:nope}"}` }, "placeholder {nope}"},
		"a body and a form":         {func(c *Config) { c.Form = []string{"a=b"} }, "body and form"},
		"a form without a value":    {func(c *Config) { c.Body, c.Form = "", []string{"a"} }, "expected NAME=VALUE"},
		"a form's placeholder":      {func(c *Config) { c.Body, c.Form = "", []string{"a={b}"} }, "form: a has the placeholder {b}"},
		"no token":                  {func(c *Config) { c.Token = "" }, "token is absent"},
		"a token without a slash":   {func(c *Config) { c.Token = "token" }, "token has a pointer"},
		"an expiry of no form":      {func(c *Config) { c.Expiry.Form = "days" }, "rfc3339, unix or seconds"},
		"an expiry of no pointer":   {func(c *Config) { c.Expiry.Pointer = "x" }, "expiry has a pointer"},
		"present in another way":    {func(c *Config) { c.Present = []string{"cookie", "x"} }, "neither bearer"},
		"present a header of ours":  {func(c *Config) { c.Present = []string{"header", "X-Trustpub-Identity"} }, "present header"},
		"present a user's colon":    {func(c *Config) { c.Present = []string{"basic", "a:b"} }, "present basic"},
		"a read scope for nobody":   {func(c *Config) { c.Reads = false }, "read_scope without reads"},
		"a revoke body by itself":   {func(c *Config) { c.Revoke, c.RevokeBody = nil, "{}" }, "revoke_body without revoke"},
		"revoke of another method":  {func(c *Config) { c.Revoke.Method = "PURGE" }, "revoke: the method"},
		"too short a life":          {func(c *Config) { c.Lifetime = model.Duration(time.Second) }, "lifetime is 1s"},
		"too long a life":           {func(c *Config) { c.Lifetime = model.Duration(48 * time.Hour) }, "lifetime is 48h"},
		"no such CA":                {func(c *Config) { c.CA = "/absent.pem" }, "ca: open"},
	} {
		t.Run(name, func(t *testing.T) {
			c := good("https://registry.example.com", "{env.TRUSTPUB_TEST_SECRET}")
			tc.change(&c)
			_, err := c.Provision(env())
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), `"internal"`) {
				t.Errorf("got %v, expected an error with the registry and %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Error("the error quotes the secret")
			}
		})
	}
}
