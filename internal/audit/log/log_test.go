package log

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/audit"
	"github.com/trustpub/trustpub/internal/model"
)

// logger writes without times, so that the output can be compared.
func logger(w *bytes.Buffer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func TestOneMessageWithAttributes(t *testing.T) {
	var out bytes.Buffer
	s, err := Kind.New().Open(t.Context(), audit.Env{Logger: logger(&out, slog.LevelInfo)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.New(audit.Options{Sinks: []audit.Sink{s}})
	if err != nil {
		t.Fatal(err)
	}
	event := model.Event{
		Time: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), ID: "a", Kind: model.EventDecision, Message: "no policy", Size: 12,
		Target: &model.Target{Registry: "internal-pypi", Action: model.ActionPublish},
	}
	if err := errors.Join(l.Record(t.Context(), event), l.Close()); err != nil {
		t.Fatal(err)
	}
	want := `level=INFO msg=audit v=1 seq=1 prev=` + strings.Repeat("0", 64) +
		` event_time=2030-01-02T03:04:05Z event=a kind=decision message="no policy"` +
		` target="map[action:publish ecosystem: registry:internal-pypi]" size=12` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if err := s.Write(t.Context(), nil); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Write after Close: %v, want audit.ErrClosed", err)
	}
	if err := s.Close(); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Close: %v, want audit.ErrClosed", err)
	}
}

// TestHiddenLevelIsAnError: a log that does not take the events would lose them silently.
func TestHiddenLevelIsAnError(t *testing.T) {
	var out bytes.Buffer
	env := audit.Env{Logger: logger(&out, slog.LevelError)}
	s, err := (&Config{}).Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), [][]byte{[]byte("{}")}); err == nil || !strings.Contains(err.Error(), "does not take level INFO") {
		t.Errorf("Write: %v", err)
	}
	s, err = (&Config{Level: "error"}).Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), [][]byte{[]byte(`{"a":1.5,"b":[true]}`)}); err != nil || out.String() != "level=ERROR msg=audit a=1.5 b=[true]\n" {
		t.Errorf("Write: %v, %q", err, &out)
	}
	for _, line := range []string{"", "[]", `{"a"`, `{"a":`, `{"a":}`} {
		if err := s.Write(t.Context(), [][]byte{[]byte(line)}); err == nil {
			t.Errorf("Write(%q): want an error", line)
		}
	}
}

func TestConfig(t *testing.T) {
	var a, b bytes.Buffer
	first, second := audit.Env{Logger: logger(&a, 0)}, audit.Env{Logger: logger(&b, 0)}
	keyOf := func(c Config, env audit.Env) string {
		key, err := c.Key(env)
		if err != nil {
			t.Error(err)
		}
		return key
	}
	one, again, other := keyOf(Config{}, first), keyOf(Config{Level: ""}, first), keyOf(Config{}, second)
	if one != again || one == other {
		t.Error("the key must be the logger's own")
	}
	for _, level := range []string{"", "debug", "info", "warn", "error"} {
		if err := (&Config{Level: level}).Validate(); err != nil {
			t.Errorf("level %q: %v", level, err)
		}
	}
	bad := &Config{Level: "loud"}
	_, keyErr := bad.Key(first)
	_, openErr := bad.Open(t.Context(), first)
	for name, err := range map[string]error{"Validate": bad.Validate(), "Key": keyErr, "Open": openErr} {
		if err == nil || !strings.Contains(err.Error(), `level is "loud", expected debug, info, warn or error`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (&Config{}).Open(t.Context(), audit.Env{}); err == nil {
		t.Error("Open without a logger: want an error")
	}
}
