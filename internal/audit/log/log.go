// Package log is the audit sink that writes events to the process's log, one message each, with the event's fields as
// attributes.
package log

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/trustpub/trustpub/internal/audit"
)

// Kind registers the sink as `audit log`.
var Kind = audit.Kind{Name: "log", New: func() audit.Config { return new(Config) }}

// Message is what every audit event is logged as.
const Message = "audit"

// Config says at which level events are logged.
type Config struct {
	// Level is "debug", "info" (the default), "warn" or "error".
	Level string `json:"level,omitempty"`
}

var _ audit.Config = (*Config)(nil)

// Key is the logger itself: each configuration has its own, and none is exclusive.
func (c *Config) Key(env audit.Env) (string, error) {
	return fmt.Sprintf("audit-log:%p:%s", env.Logger, c.Level), c.Validate()
}

// Validate checks the level.
func (c *Config) Validate() error {
	_, err := c.level()
	return err
}

func (c *Config) level() (slog.Level, error) {
	switch c.Level {
	case "", "info":
		return slog.LevelInfo, nil
	case "debug":
		return slog.LevelDebug, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("audit log: level is %q, expected debug, info, warn or error", c.Level)
}

// Open makes the sink; the logger comes from the surroundings.
func (c *Config) Open(_ context.Context, env audit.Env) (audit.Sink, error) {
	level, err := c.level()
	if err != nil {
		return nil, err
	}
	if env.Logger == nil {
		return nil, errors.New("audit log: there is no logger to write to")
	}
	return &sink{logger: env.Logger, level: level}, nil
}

type sink struct {
	logger *slog.Logger
	level  slog.Level
	closed atomic.Bool
}

var _ audit.Sink = (*sink)(nil)

// Write logs each line. A logger whose level hides audit events would lose them silently, so that is an error.
func (s *sink) Write(ctx context.Context, lines [][]byte) error {
	if s.closed.Load() {
		return fmt.Errorf("audit log: %w", audit.ErrClosed)
	}
	if !s.logger.Enabled(ctx, s.level) {
		return fmt.Errorf("audit log: the log does not take level %s, expected one that does: lower the log's level or raise the sink's", s.level)
	}
	for _, line := range lines {
		attrs, err := attributes(line)
		if err != nil {
			return err
		}
		s.logger.LogAttrs(ctx, s.level, Message, attrs...)
	}
	return nil
}

// Last says nothing: a log cannot be read back, so each start begins a chain.
func (s *sink) Last(context.Context) ([]byte, error) { return nil, nil }

// Close ends the sink; the logger stays its owner's.
func (s *sink) Close() error {
	if s.closed.Swap(true) {
		return fmt.Errorf("audit log: %w", audit.ErrClosed)
	}
	return nil
}

// attributes turns a line into attributes, in the line's order. The event's time is called event_time, since a log record
// has a time of its own.
func attributes(line []byte) ([]slog.Attr, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("audit log: the line is not a JSON object")
	}
	var attrs []slog.Attr
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		name := fmt.Sprint(key)
		if name == "time" {
			name = "event_time"
		}
		attrs = append(attrs, attribute(name, value))
	}
	return attrs, nil
}

func attribute(name string, value any) slog.Attr {
	if n, ok := value.(json.Number); ok {
		if i, err := n.Int64(); err == nil {
			return slog.Int64(name, i)
		}
	}
	return slog.Any(name, value)
}
