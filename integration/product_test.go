package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/registry"
)

// product is a registry whose program can't be installed: a server of its contract, or with environment variables a live one.
type product struct {
	// url is where its API is, addr what the gateway's site forwards to.
	url, addr string
	// user and secret are the account that makes credentials; header is that of its own API.
	user, secret string
	header       http.Header
	// live is false for the contract's server.
	live bool
}

// startProduct takes the live one that a variable names, or serves the contract.
func startProduct(t *testing.T, variable string, contract http.Handler) product {
	t.Helper()
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	live := os.Getenv(variable)
	if live == "" {
		server := httptest.NewServer(contract)
		t.Cleanup(server.Close)
		return product{url: server.URL, addr: strings.TrimPrefix(server.URL, "http://")}
	}
	return product{url: strings.TrimRight(live, "/"), addr: bridge(t, live), live: true}
}

// setting is an environment variable that a live run needs.
func setting(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: the page of this registry in docs/registries says what a live run needs", name)
	}
	return value
}

// rig is a gateway before a path of the product; the lines are those of its credential, beside url.
func (p product) rig(t *testing.T, kind, ecosystem, path, pkg string, lines []string, files func(context.Context) (map[string]string, error), options ...option) *rig {
	t.Helper()
	reg := &registry.Registry{
		Kind: kind, Addr: p.addr, Path: path, User: p.user, Password: p.secret, Secrets: []string{p.secret}, Files: files, Log: func() string { return "" },
		Credential: "credential " + kind + " {\n\turl " + p.url + "\n\t" + strings.Join(lines, "\n\t") + "\n}",
	}
	policy := strings.Replace(widgetPolicy, "[acme-widget]", `["`+pkg+`"]`, 1)
	return startRig(t, reg, append([]option{withEcosystem(ecosystem), withPolicy("widget.yaml", policy)}, options...)...)
}

// ask is a call of the product's own API with its account; a 404 is nil.
func (p product) ask(ctx context.Context, path string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		return nil, nil, err
	}
	for name, values := range p.header {
		req.Header[name] = values
	}
	if p.user != "" {
		req.SetBasicAuth(p.user, p.secret)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return nil, nil, err
	case res.StatusCode == http.StatusNotFound:
		return nil, nil, nil
	case res.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("GET %s: %s", path, res.Status)
	}
	return b, res.Header, nil
}

// read is ask for a JSON document; what is not there leaves out as it was.
func (p product) read(ctx context.Context, path string, out any) error {
	b, _, err := p.ask(ctx, path)
	if err != nil || b == nil {
		return err
	}
	return json.Unmarshal(b, out)
}
