package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

const audience = "https://pypi.example.com"

var audiences = []string{"pypi.example.com", audience}

// noon is when tests begin; a whole second, since tokens know no finer time.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// testClock is a clock that only tests move.
type testClock struct{ at atomic.Int64 }

func newClock() *testClock {
	c := &testClock{}
	c.at.Store(noon.UnixNano())
	return c
}

func (c *testClock) now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *testClock) advance(d time.Duration) { c.at.Add(int64(d)) }

// rig is a verifier with one issuer, and the development issuer behind it.
type rig struct {
	*Verifier
	clock  *testClock
	dev    *issuer.Server
	issuer *Issuer
}

// devKeys shares one development issuer among the tests that neither rotate nor break it: making keys is slow.
var sharedDev = sync.OnceValues(func() (*issuer.Server, error) {
	return issuer.Start(issuer.Options{Now: func() time.Time { return noon }})
})

func newDev(t testing.TB, clock *testClock) *issuer.Server {
	t.Helper()
	dev, err := issuer.Start(issuer.Options{Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Errorf("closing the development issuer: %v", err)
		}
	})
	return dev
}

func newIssuer(t testing.TB, config Config, options Options) *Issuer {
	t.Helper()
	i, err := NewIssuer(config, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Errorf("closing issuer %s: %v", i.Name(), err)
		}
	})
	return i
}

func newVerifier(t testing.TB, clock *testClock, issuers ...*Issuer) *Verifier {
	t.Helper()
	v, err := NewVerifier(issuers, Options{Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// newRig makes a rig of its own; change, where given, changes the configuration.
func newRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	clock := newClock()
	return rigOn(t, clock, newDev(t, clock), change)
}

// sharedRig makes a rig on the shared development issuer.
func sharedRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	dev, err := sharedDev()
	if err != nil {
		t.Fatal(err)
	}
	return rigOn(t, newClock(), dev, change)
}

func rigOn(t testing.TB, clock *testClock, dev *issuer.Server, change func(*Config)) *rig {
	t.Helper()
	config := Config{Provider: "github", URL: dev.URL()}
	if change != nil {
		change(&config)
	}
	i := newIssuer(t, config, Options{Now: clock.now})
	return &rig{Verifier: newVerifier(t, clock, i), clock: clock, dev: dev, issuer: i}
}

func (r *rig) token() string { return r.dev.Token(audience, nil) }

// deny gives the denial of a token, and fails the test if there is none.
func (r *rig) deny(t testing.TB, raw string) *model.Denial {
	t.Helper()
	_, err := r.Verify(t.Context(), raw, audiences)
	return asDenial(t, raw, err)
}

// asDenial also checks that nothing of the token is in the error or below it.
func asDenial(t testing.TB, raw string, err error) *model.Denial {
	t.Helper()
	var d *model.Denial
	if !errors.As(err, &d) {
		t.Fatalf("got %v, want a denial", err)
	}
	for e := error(d); e != nil; e = errors.Unwrap(e) {
		for part := range strings.SplitSeq(raw, ".") {
			if len(part) >= 16 && strings.Contains(e.Error(), part) {
				t.Errorf("the error holds a part of the token: %v", e)
			}
		}
	}
	return d
}

// accept fails the test unless the token is accepted.
func (r *rig) accept(t testing.TB, raw string) *model.Identity {
	t.Helper()
	id, err := r.Verify(t.Context(), raw, audiences)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	return id
}

// want compares what clients are told of a denial.
func want(t testing.TB, d *model.Denial, code model.Code, field string) {
	t.Helper()
	type told struct {
		Code  model.Code
		Field string
	}
	if diff := cmp.Diff(told{code, field}, told{d.Code, d.Field}); diff != "" {
		t.Errorf("denial (-want +got):\n%s%v", diff, d)
	}
}

// failWith makes the development issuer answer every request with a status.
func (r *rig) failWith(status int) {
	r.dev.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "the body of an error page that no message may quote", status)
		return true
	})
}

// on answers one path of the development issuer, and lets the rest through.
func (r *rig) on(path string, f http.HandlerFunc) {
	r.dev.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.URL.Path != path {
			return false
		}
		f(w, req)
		return true
	})
}

// stepper replaces the sleep of the background: it tells each wait, and ends it when told to.
type stepper struct {
	asked chan time.Duration
	goOn  chan struct{}
}

func newStepper() *stepper {
	return &stepper{asked: make(chan time.Duration), goOn: make(chan struct{})}
}

func (s *stepper) sleep(ctx context.Context, wake <-chan struct{}, d time.Duration) bool {
	select { // a wake-up that is due already comes first
	case <-wake:
		return true
	default:
	}
	select {
	case s.asked <- d:
	case <-ctx.Done():
		return false
	}
	select {
	case <-s.goOn:
		return true
	case <-ctx.Done():
		return false
	}
}

// TestMain also looks for goroutines that outlive their issuer.
func TestMain(m *testing.M) {
	code := m.Run()
	if dev, err := sharedDev(); err == nil {
		if err := dev.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "closing the shared development issuer:", err)
			code = 1
		}
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
