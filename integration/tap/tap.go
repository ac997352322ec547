// Package tap stands between two parties of a test, to record what passes or to meddle with it.
package tap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// Tap is a TCP relay in front of a registry that keeps every byte that was sent to it.
type Tap struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	conns []*conversation
	open  map[net.Conn]bool
	wg    sync.WaitGroup
}

type conversation struct {
	mu   sync.Mutex
	sent bytes.Buffer
}

func (c *conversation) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent.Write(p)
}

// Start listens on a free loopback port and relays to target.
func Start(target string) (*Tap, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &Tap{listener: l, target: target, open: map[net.Conn]bool{}}
	t.wg.Add(1)
	go t.accept()
	return t, nil
}

// Addr is where the tap listens.
func (t *Tap) Addr() string { return t.listener.Addr().String() }

func (t *Tap) accept() {
	defer t.wg.Done()
	for {
		client, err := t.listener.Accept()
		if err != nil {
			return
		}
		t.wg.Add(1)
		go t.relay(client)
	}
}

func (t *Tap) relay(client net.Conn) {
	defer t.wg.Done()
	defer client.Close()
	server, err := net.Dial("tcp", t.target)
	if err != nil {
		return
	}
	defer server.Close()
	c := new(conversation)
	t.mu.Lock()
	t.conns = append(t.conns, c)
	t.open[client], t.open[server] = true, true
	t.mu.Unlock()
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(client, server)
		client.Close()
	}()
	// An end of the client's side ends the whole conversation, as it would without the tap: nothing is half closed.
	_, _ = io.Copy(io.MultiWriter(c, server), client)
	server.Close()
	<-back
	t.mu.Lock()
	delete(t.open, client)
	delete(t.open, server)
	t.mu.Unlock()
}

// Sent is the number of bytes that were sent to the registry so far.
func (t *Tap) Sent() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, c := range t.conns {
		c.mu.Lock()
		n += c.sent.Len()
		c.mu.Unlock()
	}
	return n
}

// Raw is everything that was sent to the registry, one conversation after the other.
func (t *Tap) Raw() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []byte
	for _, c := range t.conns {
		c.mu.Lock()
		all = append(all, c.sent.Bytes()...)
		c.mu.Unlock()
	}
	return all
}

// Request is one request as the registry got it.
type Request struct {
	*http.Request
	// Bytes is the body without its framing; Whole is false where it was cut.
	Bytes []byte
	Whole bool
}

// Requests parses what was sent so far.
func (t *Tap) Requests() ([]Request, error) {
	t.mu.Lock()
	conns := append([]*conversation(nil), t.conns...)
	t.mu.Unlock()
	var all []Request
	for _, c := range conns {
		c.mu.Lock()
		r := bufio.NewReader(bytes.NewReader(bytes.Clone(c.sent.Bytes())))
		c.mu.Unlock()
		for {
			if _, err := r.Peek(1); errors.Is(err, io.EOF) {
				break
			}
			req, err := http.ReadRequest(r)
			if err != nil {
				return all, fmt.Errorf("what the registry got is no request: %w", err)
			}
			body, err := io.ReadAll(req.Body)
			all = append(all, Request{Request: req, Bytes: body, Whole: err == nil})
			if err != nil {
				break
			}
		}
	}
	return all, nil
}

// Close cuts every conversation and stops listening.
func (t *Tap) Close() {
	t.listener.Close()
	t.mu.Lock()
	for c := range t.open {
		c.Close()
	}
	t.mu.Unlock()
	t.wg.Wait()
}

// Bodies are the bodies of all uploads that came whole.
func (t *Tap) Bodies() ([][]byte, error) {
	requests, err := t.Requests()
	var all [][]byte
	for _, r := range requests {
		if r.Method == http.MethodPost && r.Whole {
			all = append(all, r.Bytes)
		}
	}
	return all, err
}
