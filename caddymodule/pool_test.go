package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
)

func TestGateClosesAfterTheLastRequest(t *testing.T) {
	var g gate
	closed := 0
	if first, second := g.enter(), g.enter(); !first || !second {
		t.Fatal("an open gate must let requests in")
	}
	g.leave()
	g.close(func() { closed++ })
	g.close(func() { t.Error("a second close must change nothing") })
	if closed != 0 {
		t.Fatal("closed under a running request")
	}
	if !g.enter() {
		t.Error("while a request runs everything is still open, so another may enter")
	}
	g.leave()
	if closed != 0 {
		t.Fatal("closed under a running request")
	}
	g.leave()
	if closed != 1 {
		t.Fatalf("closed %d times, expected once the last request had left", closed)
	}
	if g.enter() {
		t.Error("a closed gate must let nobody in")
	}
}

func TestGateClosesAtOnceWhenIdle(t *testing.T) {
	var g gate
	closed := false
	g.close(func() { closed = true })
	if !closed {
		t.Error("nobody is inside, so it must close now")
	}
}

func TestLeasesShareAndGiveBack(t *testing.T) {
	var opened, closed int
	open := func() (*int, func() error, error) {
		opened++
		return new(int), func() error { closed++; return nil }, nil
	}
	var a, b leases
	first, err := take(&a, "test/shared", open)
	if err != nil {
		t.Fatal(err)
	}
	second, err := take(&b, "test/shared", open)
	if err != nil {
		t.Fatal(err)
	}
	if first != second || opened != 1 {
		t.Errorf("opened %d times, expected one value for both", opened)
	}
	if err := a.releaseAll(); err != nil || closed != 0 {
		t.Errorf("closed %d times while in use (error %v)", closed, err)
	}
	if err := a.releaseAll(); err != nil {
		t.Errorf("giving back twice: %v", err)
	}
	if err := b.releaseAll(); err != nil || closed != 1 {
		t.Errorf("closed %d times, expected 1 (error %v)", closed, err)
	}
	if _, err := take(&a, "test/failing", func() (int, func() error, error) { return 0, nil, errors.New("no") }); err == nil {
		t.Error("a failed opening must be an error")
	}
	if len(a.keys) != 0 {
		t.Errorf("a failed opening left the lease %v", a.keys)
	}
}

func TestPendingWaits(t *testing.T) {
	p := newPendingCount()
	if err := p.wait(context.Background()); err != nil {
		t.Fatalf("nothing is pending: %v", err)
	}
	p.add(1)
	p.add(1)
	p.add(-1)
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.wait(canceled); err == nil {
		t.Error("one is pending, so the wait must end with its context")
	}
	go p.add(-1)
	if err := p.wait(context.Background()); err != nil {
		t.Error(err)
	}
	p.add(1)
	if err := p.wait(canceled); err == nil {
		t.Error("pending again")
	}
}

func TestRelayFollowsTheLoggerOfNow(t *testing.T) {
	var root atomic.Pointer[slog.Handler]
	logger := slog.New(&relay{root: &root})
	logger.Info("nobody hears this")
	child := logger.With("part", "store").WithGroup("g").With("n", 1)
	var first, second bytes.Buffer
	var h slog.Handler = slog.NewTextHandler(&first, nil)
	root.Store(&h)
	child.Info("one")
	var h2 slog.Handler = slog.NewTextHandler(&second, nil)
	root.Store(&h2)
	child.Info("two")
	if got := first.String(); !strings.Contains(got, "msg=one part=store g.n=1") || strings.Contains(got, "two") {
		t.Errorf("the first logger got %q", got)
	}
	if got := second.String(); !strings.Contains(got, "msg=two part=store g.n=1") {
		t.Errorf("the second logger got %q", got)
	}
}
