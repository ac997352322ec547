package caddymodule

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// relay is a slog handler that hands records to the logger of the configuration that runs now. What outlives a configuration
// logs through it: the loggers of a configuration that was replaced may write to closed files.
type relay struct {
	root *atomic.Pointer[slog.Handler]
	// derive replays WithAttrs and WithGroup on the handler of now.
	derive []func(slog.Handler) slog.Handler
}

var currentLog atomic.Pointer[slog.Handler]

// relayLogger logs to the running configuration.
var relayLogger = slog.New(&relay{root: &currentLog})

// useLogger makes h the logger of now.
func useLogger(h slog.Handler) { currentLog.Store(&h) }

// useFirstLogger makes h the logger of now if there is none.
func useFirstLogger(h slog.Handler) { currentLog.CompareAndSwap(nil, &h) }

func (r *relay) handler() slog.Handler {
	p := r.root.Load()
	if p == nil {
		return slog.DiscardHandler
	}
	h := *p
	for _, d := range r.derive {
		h = d(h)
	}
	return h
}

// Enabled implements slog.Handler.
func (r *relay) Enabled(ctx context.Context, level slog.Level) bool {
	return r.handler().Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (r *relay) Handle(ctx context.Context, rec slog.Record) error {
	return r.handler().Handle(ctx, rec)
}

// WithAttrs implements slog.Handler.
func (r *relay) WithAttrs(attrs []slog.Attr) slog.Handler {
	return r.with(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (r *relay) WithGroup(name string) slog.Handler {
	return r.with(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (r *relay) with(d func(slog.Handler) slog.Handler) slog.Handler {
	return &relay{root: r.root, derive: append(r.derive[:len(r.derive):len(r.derive)], d)}
}

// Interface guard
var _ slog.Handler = (*relay)(nil)
