// Package credentialtest is the conformance suite of credential sources: what the gateway relies on, whatever the registry.
// A new source runs it beside its own tests.
package credentialtest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/model"
)

// Suite describes one source.
type Suite struct {
	// Kind is the source.
	Kind credential.Kind
	// Env is given to Provision; the suite sets its Logger.
	Env credential.Env
	// Secret is a value that the source accepts, as it lies in its file; Other another one, for replacement.
	Secret, Other string
	// Config makes a configuration whose secret is the placeholder. It is given a fresh value of Kind.New each time.
	Config func(t testing.TB, c credential.Config, secret model.Secret) credential.Config
	// Targets are uploads of different packages.
	Targets []model.Target
	// Check fails the test where a credential is not for exactly this target.
	Check func(t testing.TB, target model.Target, got model.Credential)
	// ReadsAnonymous says that reads get the zero credential; else they get one like an upload's.
	ReadsAnonymous bool
	// Life is how long a credential lives at the longest, of a source without a mint API; zero: it can't say. Now is
	// the clock that Config sets; nil: time.Now.
	Life time.Duration
	Now  func() time.Time
	// NoSecret says that the configuration has no secret, as of a source that only federates.
	NoSecret bool
	// Mint describes the API that makes the credentials; nil where the source makes them by itself.
	Mint *Mint
	// Identity is whom the credentials are for; the zero one has an issuer only. Token is the identity token itself, for a source that
	// federates.
	Identity model.Identity
	Token    string
}

// run is the state of one test.
type run struct {
	Suite
	path string
	log  *syncBuffer
}

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	t.Run("IssuesForExactlyTheTarget", s.test((*run).exact))
	t.Run("Reads", s.test((*run).reads))
	if !s.NoSecret {
		t.Run("NeverLogsTheSecret", s.test((*run).silent))
		t.Run("MissingSecretIsAWarning", s.test((*run).missing))
		t.Run("ReplacedSecretActs", s.test((*run).replaced))
		t.Run("RefusesLiterals", s.test((*run).literals))
	}
	t.Run("ConcurrentUse", s.test((*run).concurrent))
	t.Run("HeadersAreNotShared", s.test((*run).notShared))
	t.Run("ConfigRoundTrips", s.test((*run).roundTrips))
	if s.Token != "" {
		t.Run("NeedsTheIdentityToken", s.test((*run).needsToken))
	}
	if s.Mint != nil {
		s.mints(t)
	} else {
		t.Run("SurvivesReload", s.test((*run).reload))
	}
}

func (s Suite) test(f func(*run, *testing.T)) func(*testing.T) {
	return func(t *testing.T) {
		r := &run{Suite: s, path: filepath.Join(t.TempDir(), "secret"), log: new(syncBuffer)}
		r.Env.Logger = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		r.write(t, s.Secret)
		f(r, t)
	}
}

func (r *run) placeholder() model.Secret { return model.Secret("{file." + r.path + "}") }

func (r *run) write(t testing.TB, secret string) {
	t.Helper()
	if err := os.WriteFile(r.path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (r *run) provision(t testing.TB) credential.Source {
	t.Helper()
	src, err := r.Config(t, r.Kind.New(), r.placeholder()).Provision(r.Env)
	if err != nil {
		t.Fatalf("provision: %v", err)
	}
	return src
}

func (r *run) issue(t testing.TB, src credential.Source, target model.Target) model.Credential {
	t.Helper()
	c, err := r.issueWith(t.Context(), src, target)
	if err != nil {
		t.Fatalf("issue for %s: %v", target.Package, err)
	}
	return c
}

// issueWith asks as the gateway does.
func (r *run) issueWith(ctx context.Context, src credential.Source, target model.Target) (model.Credential, error) {
	id := r.Identity
	if id.Issuer == "" {
		id.Issuer = "github"
	}
	switch s := src.(type) {
	case credential.Federated:
		return s.IssueFederated(ctx, []model.Target{target}, &id, model.NewIdentityToken(r.Token))
	case credential.Joint:
		return s.IssueAll(ctx, []model.Target{target}, &id)
	}
	return src.Issue(ctx, target, &id)
}

// needsToken: a source that federates has nothing to give to whom has no identity token.
func (r *run) needsToken(t *testing.T) {
	src := r.provision(t)
	if _, ok := src.(credential.Federated); !ok {
		t.Fatal("the source does not federate, and the suite has a token")
	}
	got, err := src.Issue(t.Context(), r.Targets[0], &model.Identity{Issuer: "github"})
	if err == nil || got.Header != nil {
		t.Errorf("got error %v and %d headers without a token, expected a refusal", err, len(got.Header))
	}
}

// reload: a second source of the same configuration works beside the first, as they do while requests of the first are under way.
func (r *run) reload(t *testing.T) {
	first := r.provision(t)
	r.issue(t, first, r.Targets[0])
	second := r.provision(t)
	for _, src := range []credential.Source{second, first} {
		r.Check(t, r.Targets[0], r.issue(t, src, r.Targets[0]))
	}
}

func (r *run) exact(t *testing.T) {
	src := r.provision(t)
	for _, target := range r.Targets {
		got := r.issue(t, src, target)
		now := time.Now
		if r.Now != nil {
			now = r.Now
		}
		if life := got.Expiry.Sub(now()); r.Mint == nil && r.Life > 0 && (life <= 0 || life > r.Life) {
			t.Errorf("got a life of %s, expected up to %s", life, r.Life)
		}
		if len(got.Header) == 0 {
			t.Fatalf("got no header for an upload of %s", target.Package)
		}
		for name, values := range got.Header {
			if name != http.CanonicalHeaderKey(name) || len(values) != 1 || values[0] == "" {
				t.Errorf("got header %q with %d values, expected a canonical name and one value", name, len(values))
			}
		}
		r.Check(t, target, got)
	}
}

func (r *run) reads(t *testing.T) {
	target := r.Targets[0]
	target.Action, target.Version, target.File = model.ActionRead, "", ""
	got := r.issue(t, r.provision(t), target)
	if r.ReadsAnonymous != (len(got.Header) == 0) {
		t.Errorf("got %d headers for a read, expected anonymous: %t", len(got.Header), r.ReadsAnonymous)
	}
}

// silent looks for the secret, as it is and as a Basic credential holds it, in the log and in errors.
func (r *run) silent(t *testing.T) {
	src := r.provision(t)
	issued := r.issue(t, src, r.Targets[0])
	r.write(t, r.Secret+"\nsecond line")
	_, err := r.issueWith(t.Context(), src, r.Targets[0])
	if err == nil {
		t.Error("a secret with a line break inside was accepted")
	}
	if _, err = r.Config(t, r.Kind.New(), r.placeholder()).Provision(r.Env); err == nil && r.log.String() == "" {
		t.Error("a secret with a line break inside was accepted at provision, without a warning")
	}
	r.hides(t, err, issued)
}

// hides fails where the log or an error quotes a secret.
func (r *run) hides(t testing.TB, err error, issued model.Credential) {
	t.Helper()
	text := r.log.String()
	if err != nil {
		text += err.Error()
	}
	secrets := []string{r.Secret, r.Other, base64.StdEncoding.EncodeToString([]byte(r.Secret))}
	if r.Token != "" {
		secrets = append(secrets, r.Token, r.Token[strings.LastIndexByte(r.Token, '.')+1:])
	}
	for _, v := range issued.Header {
		_, tail, found := strings.Cut(v[0], " ")
		if !found {
			tail = v[0]
		}
		secrets = append(secrets, tail)
	}
	for _, secret := range secrets {
		if secret != "" && strings.Contains(text, secret) {
			t.Errorf("a secret is in the log or in an error")
		}
	}
}

func (r *run) missing(t *testing.T) {
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	src := r.provision(t)
	if log := r.log.String(); !strings.Contains(log, "WARN") || !strings.Contains(log, r.path) {
		t.Errorf("got log %q, expected a warning that names the placeholder", log)
	}
	_, err := r.issueWith(t.Context(), src, r.Targets[0])
	if err == nil || !strings.Contains(err.Error(), string(r.placeholder())) {
		t.Errorf("got error %v, expected one that names %s", err, r.placeholder())
	}
	r.write(t, r.Secret)
	r.Check(t, r.Targets[0], r.issue(t, src, r.Targets[0]))
}

func (r *run) replaced(t *testing.T) {
	src := r.provision(t)
	before := r.issue(t, src, r.Targets[0])
	r.write(t, r.Other)
	after := r.issue(t, src, r.Targets[0])
	for name := range before.Header {
		if before.Header.Get(name) == after.Header.Get(name) {
			t.Errorf("header %s is still made of the replaced secret", name)
		}
	}
}

func (r *run) concurrent(t *testing.T) {
	src := r.provision(t)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			target := r.Targets[i%len(r.Targets)]
			c, err := r.issueWith(t.Context(), src, target)
			if err != nil {
				t.Error(err)
				return
			}
			r.Check(t, target, c)
			c.Header.Set("X-Scribble", "by the caller")
		})
	}
	wg.Wait()
}

// notShared: the gateway may change what it was given.
func (r *run) notShared(t *testing.T) {
	src := r.provision(t)
	first := r.issue(t, src, r.Targets[0])
	for name := range first.Header {
		first.Header[name][0] = "scribble"
	}
	for name, v := range r.issue(t, src, r.Targets[0]).Header {
		if v[0] == "scribble" {
			t.Errorf("header %s is shared between two credentials", name)
		}
	}
}

func (r *run) literals(t *testing.T) {
	for _, literal := range []model.Secret{model.Secret(r.Secret), "{http.request.header.X}", "{file.relative}", ""} {
		_, err := r.Config(t, r.Kind.New(), literal).Provision(r.Env)
		if err == nil {
			t.Errorf("secret %.9q... was accepted, expected only {file./absolute/path} and {env.NAME}", literal)
		} else if strings.Contains(err.Error(), r.Secret) {
			t.Error("the error quotes the literal secret")
		}
	}
}

// roundTrips: configurations travel as JSON.
func (r *run) roundTrips(t *testing.T) {
	b, err := json.Marshal(r.Config(t, r.Kind.New(), r.placeholder()))
	if err != nil {
		t.Fatal(err)
	}
	again := r.Kind.New()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(again); err != nil {
		t.Fatal(err)
	}
	src, err := again.Provision(r.Env)
	if err != nil {
		t.Fatalf("provision what came back from JSON: %v", err)
	}
	r.issue(t, src, r.Targets[0])
}

// syncBuffer is a log that many goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
