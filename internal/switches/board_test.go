package switches

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store"
	"github.com/trustpub/trustpub/internal/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock moves when it is told to.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func open(t *testing.T, s store.Store, c *clock, interval time.Duration) *Board {
	t.Helper()
	b, err := Open(t.Context(), s, Options{Now: c.now, Interval: interval})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

var (
	identity = &model.Identity{Issuer: "github", Provider: "github", KeyID: "k1", Claims: map[string]any{"repository_id": "111", "run_id": "9"}}
	target   = model.Target{Ecosystem: "pypi", Registry: "internal-pypi", Package: "acme-widget", Version: "1.0", Action: model.ActionPublish}
)

// TestWhatASwitchStops: each switch stops what it names and nothing beside it.
func TestWhatASwitchStops(t *testing.T) {
	for _, tc := range []struct {
		name     string
		set      model.Switch
		identity string // the field of the identity's denial
		target   string // the field of the target's
	}{
		{name: "issuer", set: model.Switch{Kind: model.SwitchIssuer, Value: "github"}, identity: "issuer"},
		{name: "another issuer", set: model.Switch{Kind: model.SwitchIssuer, Value: "gitlab"}},
		{name: "key", set: model.Switch{Kind: model.SwitchKey, Value: "k1"}, identity: "kid"},
		{name: "key of the issuer", set: model.Switch{Kind: model.SwitchKey, Value: "k1", Issuer: "github"}, identity: "kid"},
		{name: "the same kid of another issuer", set: model.Switch{Kind: model.SwitchKey, Value: "k1", Issuer: "gitlab"}},
		{name: "repository", set: model.Switch{Kind: model.SwitchRepository, Value: "111"}, identity: "repository_id"},
		{name: "another repository", set: model.Switch{Kind: model.SwitchRepository, Value: "11"}},
		{name: "run", set: model.Switch{Kind: model.SwitchRun, Value: "9", Issuer: "github"}, identity: "run_id"},
		{name: "a run with the repository's id", set: model.Switch{Kind: model.SwitchRun, Value: "111"}},
		{name: "registry", set: model.Switch{Kind: model.SwitchRegistry, Value: "internal-pypi"}, target: "registry"},
		{name: "another registry", set: model.Switch{Kind: model.SwitchRegistry, Value: "internal"}},
		{name: "package", set: model.Switch{Kind: model.SwitchPackage, Value: "internal-pypi/acme-widget"}, target: "package"},
		{name: "the package elsewhere", set: model.Switch{Kind: model.SwitchPackage, Value: "staging-pypi/acme-widget"}},
		{name: "policy", set: model.Switch{Kind: model.SwitchPolicy, Value: "widget-release"}, target: "policy"},
		{name: "another policy", set: model.Switch{Kind: model.SwitchPolicy, Value: "widget"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &clock{at: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
			b := open(t, memory.New(c.now), c, time.Hour)
			tc.set.Reason, tc.set.By, tc.set.Until = "incident 12", "alice", c.now().Add(time.Minute)
			if err := b.Set(t.Context(), tc.set); err != nil {
				t.Fatal(err)
			}
			got := []string{field(t, b.Identity(identity)), field(t, b.Target(target, "widget-release"))}
			if diff := cmp.Diff([]string{tc.identity, tc.target}, got); diff != "" {
				t.Errorf("identity and target (-want +got):\n%s", diff)
			}
			read := target
			read.Action = model.ActionRead
			if err := b.Target(read, "widget-release"); err != nil {
				t.Errorf("a read: %v", err)
			}
			c.advance(time.Minute)
			b.view.Load().read = c.now()
			if got := field(t, b.Identity(identity)) + field(t, b.Target(target, "widget-release")); got != "" {
				t.Errorf("it has ended, and still stops %s", got)
			}
		})
	}
}

// field is the field of a switch's denial.
func field(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var d *model.Denial
	if !errors.As(err, &d) || d.Code != model.CodeDeniedByOperator || !strings.Contains(d.Cause.Error(), "incident 12") {
		t.Fatalf("got %v, expected %s with its reason", err, model.CodeDeniedByOperator)
	}
	if strings.Contains(d.Sentence(), "incident") {
		t.Errorf("the client is told the reason: %s", d.Sentence())
	}
	return d.Field
}

func TestRemove(t *testing.T) {
	c := &clock{at: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	b := open(t, memory.New(c.now), c, time.Hour)
	s := model.Switch{Kind: model.SwitchIssuer, Value: "github", Reason: "incident 12", By: "alice"}
	if err := b.Set(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		if found, err := b.Remove(t.Context(), s); err != nil || found != want {
			t.Errorf("Remove: %t, %v, want %t", found, err, want)
		}
	}
	if err := b.Identity(identity); err != nil {
		t.Error(err)
	}
}

// watchedStore tells of each reading, and fails on demand.
type watchedStore struct {
	store.Store
	mu     sync.Mutex
	err    error
	asked  chan struct{}
	closed context.Context
}

func (w *watchedStore) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

func (w *watchedStore) Switches(ctx context.Context) ([]model.Switch, error) {
	defer func() {
		select {
		case w.asked <- struct{}{}:
		case <-w.closed.Done():
		}
	}()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, w.err
	}
	return w.Store.Switches(ctx)
}

// TestSwitchesOfAnotherGateway: what one gateway sets stops the next one's publishes once that has read the store again.
func TestSwitchesOfAnotherGateway(t *testing.T) {
	c := &clock{at: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	one := memory.New(c.now)
	w := &watchedStore{Store: one, asked: make(chan struct{}, 1), closed: t.Context()}
	b := open(t, w, c, time.Millisecond)
	<-w.asked
	if err := one.SetSwitch(t.Context(), model.Switch{Kind: model.SwitchIssuer, Value: "github", Reason: "incident 12"}); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the reading that was under way, one whole one, and the one after which its view must be in force
		<-w.asked
	}
	if got := field(t, b.Identity(identity)); got != "issuer" {
		t.Errorf("stopped by %q, want issuer", got)
	}
}

// TestSwitchesActWithinSeconds: of another gateway, where nothing is configured.
func TestSwitchesActWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := memory.New(time.Now)
		b, err := Open(t.Context(), shared, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if err := shared.SetSwitch(t.Context(), model.Switch{Kind: model.SwitchIssuer, Value: "github", Reason: "incident 12"}); err != nil {
			t.Fatal(err)
		}
		<-time.After(5 * time.Second)
		synctest.Wait()
		if got := field(t, b.Identity(identity)); got != "issuer" {
			t.Errorf("five seconds later it is stopped by %q, want issuer", got)
		}
	})
}

// TestInvariantDenyByDefaultUntilTheStoreIsThere: a board opens without its store, refuses everything, and judges once it was
// read; a store that fails in another way keeps it from opening.
func TestInvariantDenyByDefaultUntilTheStoreIsThere(t *testing.T) {
	c := &clock{at: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	w := &watchedStore{Store: memory.New(c.now), asked: make(chan struct{}, 100), closed: t.Context()}
	w.fail(errors.New("the file is damaged"))
	if b, err := Open(t.Context(), w, Options{Now: c.now, Interval: time.Hour}); err == nil {
		_ = b.Close()
		t.Error("Open: want an error of a store that is broken")
	}
	w.fail(fmt.Errorf("%w: connection refused", store.ErrUnavailable))
	b := open(t, w, c, time.Hour)
	var d *model.Denial
	if err := b.Identity(identity); !errors.As(err, &d) || d.Code != model.CodeStoreUnavailable {
		t.Errorf("before the store is there: %v, want %s", err, model.CodeStoreUnavailable)
	}
	w.fail(nil)
	if err := b.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Identity(identity); err != nil {
		t.Errorf("once it is there: %v", err)
	}
}

// TestInvariantDenyByDefaultWithoutTheStore: a store that cannot be read refuses everything once the view is too old.
func TestInvariantDenyByDefaultWithoutTheStore(t *testing.T) {
	c := &clock{at: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	w := &watchedStore{Store: memory.New(c.now), asked: make(chan struct{}, 100), closed: t.Context()}
	b := open(t, w, c, time.Hour)
	w.fail(errors.New("connection refused"))
	c.advance(maxAge)
	if err := errors.Join(b.Identity(identity), b.Target(target, "")); err != nil {
		t.Errorf("young enough: %v", err)
	}
	c.advance(time.Second)
	for _, err := range []error{b.Identity(identity), b.Target(target, "")} {
		var d *model.Denial
		if !errors.As(err, &d) || d.Code != model.CodeStoreUnavailable {
			t.Errorf("too old: %v, want %s", err, model.CodeStoreUnavailable)
		}
	}
	if _, err := Open(t.Context(), w, Options{Now: c.now}); err == nil {
		t.Error("a board opened that could not read its store")
	}
}
