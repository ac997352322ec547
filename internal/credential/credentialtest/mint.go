package credentialtest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/model"
)

// Mint describes the API that makes a source's credentials. The suite's Config must use the server and the clock.
type Mint struct {
	// Server plays the API.
	Server *Server
	// Clock gives a configuration the clock of the suite.
	Clock func(c credential.Config, now func() time.Time)
	// Live asks the played API whether it still takes a credential.
	Live func(got model.Credential) bool
	// Revokes says that a credential can be ended early.
	Revokes bool
	// Cached says that one credential serves the uploads of all targets for a part of its life; else each upload has its own.
	Cached bool
	// NotRenewed says that a cached credential is made anew only once it has ended, as one that is made of an identity token.
	NotRenewed bool
	// MaxLife is the longest life that a credential may have.
	MaxLife time.Duration
	// Strand leaves behind, in the played API, what a crash would, some of it expired, and a credential of somebody else; Stranded counts
	// what the source must delete and what it must not. Nil where nothing is left behind.
	Strand   func()
	Stranded func() (expired, others int)
}

// clock is moved by hand, and starts now.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// mints runs what concerns sources with an API.
func (s Suite) mints(t *testing.T) {
	t.Run("Expires", s.test((*run).expires))
	t.Run("IsRevoked", s.test((*run).revoked))
	t.Run("BadAnswers", s.test((*run).badAnswers))
	t.Run("LeavesAnAPIAloneThatIsDown", s.test((*run).leftAlone))
	t.Run("SaysWhenToComeBack", s.test((*run).comeBack))
	t.Run("SurvivesReload", s.test((*run).reloadMint))
	if s.Mint.Cached {
		t.Run("OneCallForMany", s.test((*run).singleFlight))
		if !s.Mint.NotRenewed {
			t.Run("IsRenewedBeforeItsEnd", s.test((*run).renewed))
		}
		t.Run("IsDroppedWhenRefused", s.test((*run).dropped))
	} else {
		t.Run("EachUploadHasItsOwn", s.test((*run).ownEach))
	}
	if s.Mint.Strand != nil {
		t.Run("OrphansAreDeleted", s.test((*run).orphans))
	}
}

// clocked provisions a source with a clock that is moved by hand.
func (r *run) clocked(t testing.TB) (credential.Source, *clock) {
	t.Helper()
	c := &clock{now: time.Now()}
	config := r.Config(t, r.Kind.New(), r.placeholder())
	r.Mint.Clock(config, c.Now)
	src, err := config.Provision(r.Env)
	if err != nil {
		t.Fatalf("provision: %v", err)
	}
	open(t, src)
	return src, c
}

// open hands a source what it keeps, as the module does, and closes it at the end of the test.
func open(t testing.TB, src credential.Source) map[string]io.Closer {
	t.Helper()
	all := map[string]io.Closer{}
	keeper, ok := src.(credential.Keeper)
	if !ok {
		return all
	}
	for _, k := range keeper.Kept() {
		if _, twice := all[k.Key]; twice || k.Key == "" {
			t.Fatalf("key %q is used twice, or empty", k.Key)
		}
		all[k.Key] = k.Open()
		k.Use(all[k.Key])
		t.Cleanup(func() { _ = all[k.Key].Close() })
	}
	return all
}

func (r *run) expires(t *testing.T) {
	src, c := r.clocked(t)
	got := r.issue(t, src, r.Targets[0])
	if life := got.Expiry.Sub(c.Now()); life <= 0 || life > r.Mint.MaxLife+time.Second {
		t.Errorf("got a life of %s, expected up to %s", life, r.Mint.MaxLife)
	}
	if !r.Mint.Live(got) {
		t.Error("the API does not take the credential that it has made")
	}
}

func (r *run) revoked(t *testing.T) {
	src, _ := r.clocked(t)
	got := r.issue(t, src, r.Targets[0])
	if !r.Mint.Revokes {
		if got.Revoke != nil {
			t.Error("got a Revoke, expected none")
		}
		return
	}
	if got.Revoke == nil {
		t.Fatal("got no Revoke")
	}
	for range 2 { // the second finds none, which is as good
		if err := got.Revoke(t.Context()); err != nil {
			t.Errorf("revoke: %v", err)
		}
	}
	if r.Mint.Live(got) {
		t.Error("the API still takes the credential that was revoked")
	}
}

// badAnswers: an error that names the call and quotes nothing, and no credential; all of it soon.
func (r *run) badAnswers(t *testing.T) {
	for _, mood := range badMoods {
		t.Run(string(mood), func(t *testing.T) {
			src, _ := r.clocked(t)
			r.Mint.Server.Become(mood)
			defer r.Mint.Server.Become(Well)
			ctx := t.Context()
			if mood == Hangs {
				var cancel context.CancelFunc
				ctx, cancel = context.WithCancel(ctx)
				defer cancel()
				go func() {
					<-r.Mint.Server.Arrived()
					cancel()
				}()
			} else {
				drain(r.Mint.Server.Arrived())
			}
			got, err := r.issueWith(ctx, src, r.Targets[0])
			if err == nil || got.Header != nil || got.Revoke != nil {
				t.Fatalf("got error %v and %d headers, expected an error and no credential", err, len(got.Header))
			}
			drain(r.Mint.Server.Arrived())
			text := r.log.String() + everyCause(err)
			if !strings.Contains(text, r.Mint.Server.URL) && mood != Hangs {
				t.Errorf("got %q, expected an error that names the call", text)
			}
			if strings.Contains(text, quoted) {
				t.Error("the answer is quoted in the log or in the error")
			}
			r.hides(t, errors.New(text), model.Credential{})
		})
	}
}

func drain(c <-chan struct{}) {
	for {
		select {
		case <-c:
		default:
			return
		}
	}
}

// everyCause is an error with what it is caused by, as the log shows it.
func everyCause(err error) string {
	text := ""
	for ; err != nil; err = errors.Unwrap(err) {
		text += err.Error() + "\n"
	}
	return text
}

// leftAlone: after a few failures nobody calls any more, all are refused at once, and it recovers by itself.
func (r *run) leftAlone(t *testing.T) {
	src, c := r.clocked(t)
	r.Mint.Server.Become(Fails)
	defer r.Mint.Server.Become(Well)
	before := len(r.Mint.Server.Calls())
	for range 50 {
		_, err := r.issueWith(t.Context(), src, r.Targets[0])
		var denial *model.Denial
		if !errors.As(err, &denial) || denial.Code != model.CodeCredentialUnavailable || denial.Status != http.StatusServiceUnavailable || denial.RetryAfter <= 0 || denial.Hint == "" {
			t.Fatalf("got %v, expected credential_unavailable with 503, a reason and when to come back", err)
		}
	}
	if got := len(r.Mint.Server.Calls()) - before; got > 5 {
		t.Errorf("got %d calls of an API that is down, expected at most 5", got)
	}
	c.Add(10 * time.Minute)
	before = len(r.Mint.Server.Calls())
	for range 50 {
		if _, err := r.issueWith(t.Context(), src, r.Targets[0]); err == nil {
			t.Fatal("got a credential of an API that is down")
		}
	}
	if got := len(r.Mint.Server.Calls()) - before; got != 1 {
		t.Errorf("got %d calls that try again, expected 1", got)
	}
	r.Mint.Server.Become(Well)
	c.Add(10 * time.Minute)
	for range 3 {
		r.Check(t, r.Targets[0], r.issue(t, src, r.Targets[0]))
	}
}

// comeBack: what the API says is what the client is told.
func (r *run) comeBack(t *testing.T) {
	src, c := r.clocked(t)
	r.Mint.Server.Become(Limits)
	defer r.Mint.Server.Become(Well)
	before := len(r.Mint.Server.Calls())
	for range 2 {
		_, err := r.issueWith(t.Context(), src, r.Targets[0])
		var denial *model.Denial
		if !errors.As(err, &denial) || denial.RetryAfter != 17*time.Second {
			t.Fatalf("got %v, expected Retry-After of 17 seconds", err)
		}
	}
	if got := len(r.Mint.Server.Calls()) - before; got != 1 {
		t.Errorf("got %d calls, expected 1: it has asked to be left alone", got)
	}
	r.Mint.Server.Become(Well)
	c.Add(18 * time.Second)
	r.issue(t, src, r.Targets[0])
}

// reloadMint: a second source of the same configuration goes on with what the first has kept, while the first still works.
func (r *run) reloadMint(t *testing.T) {
	first := r.provision(t)
	kept := open(t, first)
	before := r.issue(t, first, r.Targets[0])
	calls := len(r.Mint.Server.Calls())
	second := r.provision(t)
	if keeper, ok := second.(credential.Keeper); ok {
		for _, k := range keeper.Kept() {
			if old, same := kept[k.Key]; same {
				k.Use(old)
			} else {
				t.Errorf("key %q is another one for the same configuration", k.Key)
			}
		}
	}
	r.Check(t, r.Targets[0], r.issue(t, second, r.Targets[0]))
	if got := len(r.Mint.Server.Calls()) - calls; r.Mint.Cached && got != 0 {
		t.Errorf("got %d calls after the reload, expected none: the credential is kept", got)
	}
	if !r.Mint.Live(before) {
		t.Error("the credential of an upload under way ended with the reload")
	}
	r.Check(t, r.Targets[0], r.issue(t, first, r.Targets[0]))
}

func (r *run) singleFlight(t *testing.T) {
	src, _ := r.clocked(t)
	drain(r.Mint.Server.Arrived())
	r.Mint.Server.Become(Hangs)
	before := len(r.Mint.Server.Calls())
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			got, err := r.issueWith(t.Context(), src, r.Targets[0])
			if err != nil {
				t.Error(err)
				return
			}
			r.Check(t, r.Targets[0], got)
		})
	}
	<-r.Mint.Server.Arrived()
	r.Mint.Server.Become(Well)
	wg.Wait()
	alone, _ := r.clocked(t)
	once := len(r.Mint.Server.Calls()) - before
	r.issue(t, alone, r.Targets[0])
	if one := len(r.Mint.Server.Calls()) - before - once; once != one {
		t.Errorf("got %d calls for 32 uploads at a time, expected %d as for one", once, one)
	}
}

// renewed: nobody is handed a credential that is about to end, nobody waits for the next one while this one is good, and an API that is
// down meanwhile harms nobody.
func (r *run) renewed(t *testing.T) {
	src, c := r.clocked(t)
	first := r.issue(t, src, r.Targets[0])
	life := first.Expiry.Sub(c.Now())
	c.Add(life * 3 / 4)
	drain(r.Mint.Server.Arrived())
	r.Mint.Server.Become(Hangs)
	if got := r.issue(t, src, r.Targets[0]); !got.Expiry.Equal(first.Expiry) {
		t.Error("got another credential while the renewal hangs, expected the first")
	}
	<-r.Mint.Server.Arrived()
	r.Mint.Server.Become(Well)
	c.Add(life / 4)
	got := r.issue(t, src, r.Targets[0])
	if !got.Expiry.After(c.Now()) || !r.Mint.Live(got) {
		t.Errorf("got a credential that ends at %s, expected one that lives at %s", got.Expiry, c.Now())
	}
	r.Check(t, r.Targets[0], got)
}

func (r *run) dropped(t *testing.T) {
	src, c := r.clocked(t)
	first := r.issue(t, src, r.Targets[0])
	if first.Refused == nil {
		t.Fatal("got no Refused, expected one: the credential is kept for others")
	}
	before := len(r.Mint.Server.Calls())
	first.Refused() // it is new: another one would be refused as well
	r.issue(t, src, r.Targets[0])
	if got := len(r.Mint.Server.Calls()) - before; got != 0 {
		t.Errorf("got %d calls after a new credential was refused, expected none", got)
	}
	c.Add(time.Minute / 2)
	first.Refused()
	r.issue(t, src, r.Targets[0])
	if got := len(r.Mint.Server.Calls()) - before; got == 0 {
		t.Error("the credential that the registry refused is handed out again")
	}
}

func (r *run) ownEach(t *testing.T) {
	src, _ := r.clocked(t)
	first, second := r.issue(t, src, r.Targets[0]), r.issue(t, src, r.Targets[0])
	for name := range first.Header {
		if first.Header.Get(name) == second.Header.Get(name) {
			t.Errorf("header %s is the same for two uploads", name)
		}
	}
}

func (r *run) orphans(t *testing.T) {
	r.Mint.Strand()
	expired, others := r.Mint.Stranded()
	if expired == 0 || others == 0 {
		t.Fatalf("got %d expired and %d others, expected some of each", expired, others)
	}
	src, _ := r.clocked(t)
	r.issue(t, src, r.Targets[0])
	left, kept := r.Mint.Stranded()
	if left != 0 || kept < others {
		t.Errorf("got %d expired and %d others after an upload, expected none and %d", left, kept, others)
	}
}
