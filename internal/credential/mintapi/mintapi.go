// Package mintapi is how credential sources call the HTTP API that makes their credentials: over a transport that no proxy of the
// environment sees, within a time, an answer's size and a number of calls at once, without redirects, and with errors that name
// the call and its status but quote neither an answer nor a secret. An API that is down is left alone for a while; whoever asks
// meanwhile is told at once when to come back.
package mintapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/model"
)

// The limits, where Options has none.
const (
	// DefaultTimeout bounds one call, beside the caller's own limit.
	DefaultTimeout = 10 * time.Second
	// DefaultMaxAnswer bounds an answer in bytes.
	DefaultMaxAnswer = 1 << 20
	// maxCalls is how many calls are under way at once; more wait.
	maxCalls = 32
	// maxCA bounds a file of certificates in bytes.
	maxCA = 1 << 20
)

// Options are what a source may set.
type Options struct {
	// CAFile is a PEM file with the certificate authorities that the API's certificate is checked with; empty: the system's.
	CAFile string
	// Timeout bounds one call; zero: DefaultTimeout.
	Timeout time.Duration
	// MaxAnswer bounds an answer in bytes; zero: DefaultMaxAnswer.
	MaxAnswer int64
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// API is one HTTP API. It is safe for concurrent use.
type API struct {
	base, key string
	timeout   time.Duration
	maxAnswer int64
	live      atomic.Pointer[live]
}

// live is what is kept over a reload: the connections, and what is known of an API that is down.
type live struct {
	client  *http.Client
	calls   chan struct{}
	breaker *breaker
}

// Close gives the idle connections back.
func (l *live) Close() error {
	l.client.CloseIdleConnections()
	return nil
}

// New makes the API below a base URL that CheckURL gave. It reads the CA file, and touches no network.
func New(base string, o Options) (*API, error) {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxAnswer == 0 {
		o.MaxAnswer = DefaultMaxAnswer
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	roots, digest, err := readCA(o.CAFile)
	if err != nil {
		return nil, err
	}
	a := &API{base: base, key: "mintapi/" + base + "/" + digest, timeout: o.Timeout, maxAnswer: o.MaxAnswer}
	a.live.Store(&live{
		calls: make(chan struct{}, maxCalls), breaker: newBreaker(o.Now),
		client: &http.Client{
			Transport: &http.Transport{ // Proxy is unset: secrets are for the API alone
				DialContext:         (&net.Dialer{Timeout: o.Timeout}).DialContext,
				TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
				TLSHandshakeTimeout: o.Timeout, ForceAttemptHTTP2: true, DisableCompression: true,
				MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	})
	return a, nil
}

// readCA gives the certificates of a file and a name for them; nil and an empty name without a file.
func readCA(path string) (*x509.CertPool, string, error) {
	if path == "" {
		return nil, "", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("ca: %w", err)
	}
	defer f.Close()
	pem, err := io.ReadAll(io.LimitReader(f, maxCA+1))
	if err != nil {
		return nil, "", fmt.Errorf("ca: %w", err)
	}
	roots := x509.NewCertPool()
	if len(pem) > maxCA || !roots.AppendCertsFromPEM(pem) {
		return nil, "", fmt.Errorf("ca is %s, expected a file of PEM certificates, of at most 1 MiB", path)
	}
	sum := sha256.Sum256(pem)
	return roots, hex.EncodeToString(sum[:]), nil
}

// Kept is what a source that calls the API keeps over a reload: sources with the same base and CA share it, so that an API
// which is down is left alone by all of them.
func (a *API) Kept() credential.Kept {
	return credential.Kept{
		Key:  a.key,
		Open: func() io.Closer { return a.live.Load() },
		Use: func(kept io.Closer) {
			if l, ok := kept.(*live); ok {
				a.live.Store(l)
			}
		},
	}
}

// Base is the URL that the API is below.
func (a *API) Base() string { return a.base }

// CheckURL reads the base of an HTTP API, below a path or not, without the slash at its end. The example is for errors, as in
// "http://gitea:3000".
func CheckURL(text, example string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return "", fmt.Errorf("url is absent, expected where the gateway reaches the API: url %s", example)
	case err != nil:
		return "", fmt.Errorf("url can't be parsed, expected one like %s", example)
	case u.User != nil: // a password, which the message must not quote
		return "", errors.New("url has a user or a password, expected them in settings of their own")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return "", fmt.Errorf("url is %q, expected one like %s", model.OneLine(text, 100), example)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// Call is one request. At most one of Password, Bearer and an Authorization in Header, and at most one of JSON and Form, is set.
type Call struct {
	Method string
	// Path is the escaped path, and the query, below the base; it begins with a slash and holds no secret.
	Path string
	// User and Password make a Basic credential, Bearer a bearer token; Header has further headers.
	User, Password, Bearer string
	Header                 http.Header
	// JSON is the body as JSON, Form as a form.
	JSON any
	Form url.Values
	// Expect are the statuses of a success, the usual one first.
	Expect []int
	// Read takes the answer of a success; its error must not quote it. JSON(&v) reads one document. Nil: the answer says nothing.
	Read func(answer []byte) error
	// Look takes the header of a success, before Read, with the same rule for its error; may be nil.
	Look func(header http.Header) error
	// Hint says what a status means here, for the error; may be nil.
	Hint func(status int) string
	// Refusal is Hint with the answer, for an API that says in it what a status means; it must give words of its own. May be nil.
	Refusal func(status int, answer []byte) string
}

// Do makes a call, and returns its status where it is one of those expected.
func (a *API) Do(ctx context.Context, c Call) (int, error) {
	got, err := a.call(ctx, c, a.request)
	return got.status, err
}

// answer is one of the API's.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call is Do of a request that build makes.
func (a *API) call(ctx context.Context, c Call, build func(context.Context, Call) (*http.Request, error)) (answer, error) {
	l := a.live.Load()
	probe, wait := l.breaker.enter()
	if wait > 0 {
		return answer{}, down(a.describe(c, errors.New("it did not answer before, and is left alone for a while")), wait)
	}
	outcome := ended // what is not said below is no sign of an API that is down
	var retryAfter time.Duration
	defer func() { l.breaker.leave(probe, outcome, retryAfter) }()
	select {
	case l.calls <- struct{}{}:
		defer func() { <-l.calls }()
	case <-ctx.Done():
		outcome = unknown
		return answer{}, a.describe(c, ctx.Err())
	}
	limited, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	got, err := a.send(limited, l.client, c, build)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			outcome = unknown
			return got, a.describe(c, err)
		}
		outcome = failed
		return got, down(a.describe(c, err), firstWait)
	}
	if !slices.Contains(c.Expect, got.status) {
		refused := &Error{Method: c.Method, URL: a.where(c), Status: got.status, Expected: c.Expect[0], Hint: hintOf(c, got)}
		if got.status >= 500 || got.status == http.StatusTooManyRequests {
			outcome, retryAfter = failed, parseRetryAfter(got.header.Get("Retry-After"), l.breaker.now())
			return got, down(refused, max(firstWait, retryAfter))
		}
		return got, refused
	}
	if err := c.take(got); err != nil {
		outcome = failed // who answers in this way may have made a credential that nobody deletes
		return got, a.describe(c, err)
	}
	return got, nil
}

// take hands the answer of a success over.
func (c *Call) take(got answer) error {
	if c.Look != nil {
		if err := c.Look(got.header); err != nil {
			return err
		}
	}
	if c.Read == nil {
		return nil
	}
	return c.Read(got.body)
}

// send is the exchange of messages alone.
func (a *API) send(ctx context.Context, client *http.Client, c Call, build func(context.Context, Call) (*http.Request, error)) (answer, error) {
	req, err := build(ctx, c)
	if err != nil {
		return answer{}, err
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, a.maxAnswer+1))
	if err != nil {
		return answer{}, err
	}
	if int64(len(body)) > a.maxAnswer {
		return answer{}, tooLarge(a.maxAnswer)
	}
	return answer{res.StatusCode, res.Header, body}, nil
}

func (a *API) request(ctx context.Context, c Call) (*http.Request, error) {
	body, contentType, err := bodyOf(c)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, c.Method, a.base+c.Path, bytes.NewReader(body))
	if err != nil {
		return nil, errMalformed
	}
	for name, values := range c.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	switch {
	case c.Bearer != "":
		req.Header.Set("Authorization", "Bearer "+c.Bearer)
	case c.Password != "":
		req.SetBasicAuth(c.User, c.Password)
	}
	return req, nil
}

// where is the call's URL without its query.
func (a *API) where(c Call) string {
	path, _, _ := strings.Cut(c.Path, "?")
	return a.base + path
}
