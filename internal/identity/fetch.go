package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/provider"
)

const (
	// fetchTimeout bounds each of the two requests of a fetch.
	fetchTimeout = 5 * time.Second
	// maxRedirects are followed, on one host only.
	maxRedirects  = 3
	discoveryPath = "/.well-known/openid-configuration"
)

// source fetches the keys of one issuer.
type source struct {
	issuer string
	client *http.Client
}

// newSource makes a source; roots, where given, are the only CAs it trusts.
func newSource(issuer string, roots *x509.CertPool, timeout time.Duration) *source {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: timeout,
		ForceAttemptHTTP2:   true,
		// One fetch in ten minutes: nothing to keep open, and nothing compressed to blow up.
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &source{issuer: issuer, client: &http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: sameHost,
	}}
}

// sameHost refuses redirects that leave the host or the scheme that was configured.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		return fmt.Errorf("a redirect to another host (%s) is not followed", req.URL.Host)
	}
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	return nil
}

// readRoots reads a file of CA certificates.
func readRoots(file string) (*x509.CertPool, []byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, nil, fmt.Errorf("ca: %s holds no certificate, expected PEM", file)
	}
	return pool, data, nil
}

// fetch asks the issuer where its keys are, and fetches them.
func (s *source) fetch(ctx context.Context) (map[string]verifyKey, []string, error) {
	address, err := s.discover(ctx)
	if err != nil {
		return nil, nil, err
	}
	data, err := s.get(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	keys, skipped, err := parseKeySet(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", address, err)
	}
	return keys, skipped, nil
}

// discover reads the issuer's own description, which must be of exactly this issuer, and gives the address of its keys.
func (s *source) discover(ctx context.Context) (string, error) {
	address := strings.TrimSuffix(s.issuer, "/") + discoveryPath
	data, err := s.get(ctx, address)
	if err != nil {
		return "", err
	}
	metadata, err := parseObject(data)
	if err != nil {
		return "", fmt.Errorf("%s: %w", address, err)
	}
	if got, _ := metadata["issuer"].(string); got != s.issuer {
		return "", fmt.Errorf("%s: issuer is %q, expected %q; configure the issuer exactly as it calls itself", address, shown(got), s.issuer)
	}
	keys, _ := metadata["jwks_uri"].(string)
	if err := s.checkKeysAddress(keys); err != nil {
		return "", fmt.Errorf("%s: jwks_uri: %w", address, err)
	}
	return keys, nil
}

// checkKeysAddress accepts https on any host, since the issuer itself says so over TLS, and plain http only where the issuer
// and its keys are both on this machine.
func (s *source) checkKeysAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("not the URL of a key set") // and not quoted: it may hold a password
	}
	issuer, err := url.Parse(s.issuer)
	if err != nil {
		return errors.New("the issuer's own URL is broken")
	}
	local := provider.IsLoopback(issuer.Hostname())
	switch {
	case provider.IsLoopback(u.Hostname()) && !local:
		return fmt.Errorf("%q: an issuer elsewhere cannot have its keys on this machine", shown(address))
	case u.Scheme == "https", u.Scheme == "http" && local && provider.IsLoopback(u.Hostname()) && issuer.Scheme == "http":
		return nil
	default:
		return fmt.Errorf("%q: must begin with https://", shown(address))
	}
}

// get fetches one small document. Its errors never quote what the issuer sent.
func (s *source) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: not a URL", address)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "trustpub")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err // names method, URL and cause
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: status %d, expected 200", address, resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("GET %s: reading the answer: %w", address, err)
	}
	if len(data) > maxKeySet {
		return nil, fmt.Errorf("GET %s: the answer is larger than %d bytes", address, maxKeySet)
	}
	return data, nil
}
