package process

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
)

var (
	portsMu sync.Mutex
	given   = map[int]bool{}
)

// FreePort gives a loopback port that nothing listens on, and never the same one twice in this process.
func FreePort() (int, error) {
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, fmt.Errorf("no free loopback port: %w", err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if !given[port] {
			given[port] = true
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free loopback port in 100 tries")
}

// Answers is a readiness probe: a GET of the URL has the given status.
func Answers(url string, status int) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Accept", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != status {
			return fmt.Errorf("GET %s: got %d, expected %d", url, res.StatusCode, status)
		}
		return nil
	}
}

// Listens is a readiness probe: something accepts connections on the loopback port.
func Listens(port int) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return err
		}
		return conn.Close()
	}
}
