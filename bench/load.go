package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// dial connects to a side.
func dial(ctx context.Context, addr string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}

// refused stands for any status of a refusal: whether a key is unknown or not known yet depends on when it was asked for last.
const refused = -1

// request is one whole request, sent as it is.
type request []byte

// newRequest writes the head of a request with a token; size is that of the body, negative for one in chunks.
func newRequest(method, path, addr, token, contentType string, size int64) request {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAuthorization: Bearer %s\r\n", method, path, addr, token)
	if contentType != "" {
		fmt.Fprintf(&b, "Content-Type: %s\r\n", contentType)
	}
	switch {
	case size < 0:
		b.WriteString("Transfer-Encoding: chunked\r\n")
	case size > 0:
		fmt.Fprintf(&b, "Content-Length: %d\r\n", size)
	}
	b.WriteString("\r\n")
	return request(b.String())
}

// crowd sends requests over a number of connections, each of which waits for its answer, until next has no more. It returns how many
// were answered with the status.
func crowd(ctx context.Context, addr string, connections, status int, next func() request) (int, error) {
	var wait sync.WaitGroup
	var mu sync.Mutex
	var failed error
	total := 0
	for range connections {
		wait.Go(func() {
			n, err := caller(ctx, addr, status, next)
			mu.Lock()
			defer mu.Unlock()
			total += n
			if failed == nil {
				failed = err
			}
		})
	}
	wait.Wait()
	return total, failed
}

// caller is one connection; it connects again where the answer says that the connection ends.
func caller(ctx context.Context, addr string, status int, next func() request) (n int, err error) {
	for r := next(); r != nil; {
		conn, err := dial(ctx, addr)
		if err != nil {
			return n, err
		}
		in := bufio.NewReader(conn)
		for open := true; r != nil && open; r = next() {
			if _, err := conn.Write(r); err != nil {
				_ = conn.Close()
				return n, fmt.Errorf("sending: %w", err)
			}
			if open, err = answered(in, status); err != nil {
				_ = conn.Close()
				return n, err
			}
			n++
		}
		if err := conn.Close(); err != nil {
			return n, err
		}
	}
	return n, nil
}

// answered reads an answer, and says whether the connection stays open.
func answered(in *bufio.Reader, status int) (open bool, err error) {
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	if res.StatusCode != status && (status != refused || res.StatusCode < http.StatusBadRequest) {
		return false, fmt.Errorf("got %s, expected %d: %.300s", res.Status, status, body)
	}
	return !res.Close, res.Body.Close()
}

// transfer sends one large request.
func transfer(ctx context.Context, addr string, head request, body io.Reader) error {
	conn, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(head); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{body}, make([]byte, 256<<10)); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	_, err = answered(bufio.NewReader(conn), http.StatusOK)
	return err
}

// until gives the same request until the time is over.
func until(duration time.Duration, r request) func() request {
	end := time.Now().Add(duration)
	return func() request {
		if time.Now().After(end) {
			return nil
		}
		return r
	}
}

// each gives each of the requests once.
func each(requests []request) func() request {
	var mu sync.Mutex
	return func() request {
		mu.Lock()
		defer mu.Unlock()
		if len(requests) == 0 {
			return nil
		}
		r := requests[0]
		requests = requests[1:]
		return r
	}
}
