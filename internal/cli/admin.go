package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// adminTimeout bounds one request to the admin API.
const adminTimeout = 15 * time.Second

// maxAdminAnswer bounds what is read of an answer, in bytes.
const maxAdminAnswer = 16 << 20

// defaultAdmin is where Caddy's admin API listens unless it is told otherwise.
const defaultAdmin = "localhost:2019"

// adminAPI is a running gateway's admin API.
type adminAPI struct {
	network, address string
	client           *http.Client
}

// newAdminAPI reads an address as Caddy writes it: HOST:PORT, or unix//PATH for a socket. An empty one is that of the
// environment variable CADDY_ADMIN, or Caddy's default.
func newAdminAPI(address string) (*adminAPI, error) {
	if address == "" {
		address = os.Getenv("CADDY_ADMIN")
	}
	if address == "" {
		address = defaultAdmin
	}
	a := &adminAPI{network: "tcp", address: address}
	if network, rest, ok := strings.Cut(address, "/"); ok {
		a.network, a.address = network, rest
	}
	switch {
	case a.network == "unix" && a.address != "":
		a.address, _, _ = strings.Cut(a.address, "|") // permission bits of the socket
	case a.network == "tcp":
		if _, _, err := net.SplitHostPort(a.address); err != nil {
			return nil, usagef("--address is %q, expected HOST:PORT or unix//PATH", address)
		}
	default:
		return nil, usagef("--address is %q, expected HOST:PORT or unix//PATH", address)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, a.network, a.address)
	}
	a.client = &http.Client{Timeout: adminTimeout, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	return a, nil
}

// call sends a request and reads the answer into out.
func (a *adminAPI) call(ctx context.Context, method, path string, body io.Reader, out any) error {
	host := a.address
	if a.network == "unix" {
		host = "127.0.0.1" // what Caddy expects of a request through a socket
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, body)
	if err != nil {
		return err
	}
	if a.network != "unix" {
		req.Header.Set("Origin", "http://"+host)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.client.Do(req)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("no admin API listens at %s: is the gateway running here, and is --address the address of its \"admin\" option?", a.address)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAdminAnswer))
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusNotFound && !strings.Contains(string(answer), `"error"`):
		return fmt.Errorf("the Caddy at %s knows nothing of trusted publishing: it was built without the module", a.address)
	case resp.StatusCode/100 != 2:
		return fmt.Errorf("the gateway answered %d: %s", resp.StatusCode, adminMessage(answer))
	}
	return json.Unmarshal(answer, out)
}

// adminMessage is the text of an error of the admin API.
func adminMessage(answer []byte) string {
	var e struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(answer, &e); err == nil && e.Error != "" {
		return e.Error
	}
	return strings.TrimSpace(string(answer))
}
