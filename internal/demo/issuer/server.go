package issuer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Server is an issuer that listens on a loopback port.
type Server struct {
	*Issuer
	http *http.Server
	done chan struct{}
}

// Start makes an issuer and serves it on a free loopback port over plain HTTP.
func Start(opts Options) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the development issuer needs a loopback port: %w", err)
	}
	return Serve(listener, "http://"+listener.Addr().String(), opts)
}

// Serve makes an issuer that calls itself url and serves it on a listener, which may be a TLS one.
func Serve(listener net.Listener, url string, opts Options) (*Server, error) {
	i, err := New(url, opts)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s := &Server{
		Issuer: i,
		http:   &http.Server{Handler: i, ReadHeaderTimeout: 10 * time.Second},
		done:   make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(listener) // ends with http.ErrServerClosed
	}()
	return s, nil
}

// Close stops listening and waits until the server has ended; requests under way are cut.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	return err
}

// Shutdown stops listening and lets requests under way end first.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	<-s.done
	return err
}
