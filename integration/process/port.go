package process

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/trustpub/trustpub/internal/loopback"
)

// FreePort gives a loopback port that is nobody else's as long as this process runs, whoever starts and ends servers on it.
func FreePort() (int, error) {
	held, err := loopback.Hold()
	if err != nil {
		return 0, err
	}
	return held.Number, nil
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
