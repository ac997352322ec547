package process

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
)

var (
	portsMu sync.Mutex
	given   = map[int]bool{}
)

// The ports that FreePort gives are below those that a system gives to connections and to whoever asks for any port (from 32768 on), so
// that nobody takes one between its choice and its use.
const (
	firstPort = 15_000
	lastPort  = 31_999
)

// FreePort gives a loopback port that nothing listens on, and never the same one twice in this process.
func FreePort() (int, error) {
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if given[port] {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		l.Close()
		given[port] = true
		return port, nil
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
