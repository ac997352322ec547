// Package audit turns events into JSON lines with a schema version, a sequence number and a hash chain, and hands them to
// sinks: a JSONL file, or a logger.
package audit

import (
	"context"
	"io"
	"log/slog"

	"github.com/trustpub/trustpub/internal/model"
)

// Sink takes finished lines.
type Sink interface {
	// Write appends lines, each a whole JSON object without its line break, and keeps none of their memory. When it returns nil, all are
	// as durable as the sink can make them. Its context ends when the write should be given up.
	Write(ctx context.Context, lines [][]byte) error
	// Last returns the newest line that the sink holds, so that the chain goes on after a restart; nil where it holds none or
	// cannot say.
	Last(ctx context.Context) ([]byte, error)
	io.Closer
}

// Env is what a sink may know of its surroundings.
type Env struct {
	// DataDir is the folder for durable data.
	DataDir string
	// Logger is where the log sink writes, and where others warn.
	Logger *slog.Logger
}

// Filed is implemented by the configuration of a sink that appends to one file.
type Filed interface {
	// File is its path.
	File() (string, error)
}

// Config is a sink's configuration; see model.Kind for how JSON and Caddyfile map onto its fields.
type Config interface {
	// Key names the resource that is opened once however many configurations use it.
	Key(Env) (string, error)
	// Validate checks the configuration without touching anything.
	Validate() error
	// Open opens the sink.
	Open(ctx context.Context, env Env) (Sink, error)
}

// Kind registers a sink.
type Kind = model.Kind[Config]
