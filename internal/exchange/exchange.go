// Package exchange is the client's side of the gateway's discovery, exchange and revocation (docs/exchange.md), and of PEP 807 for
// other indexes that trust publishers.
package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	wellKnown = "/.well-known/trusted-publishing"
	// timeout bounds one request, maxAnswer what is read of its answer, in bytes.
	timeout   = 30 * time.Second
	maxAnswer = 1 << 20
	// maxLife is the longest life that is believed, in seconds. No gateway gives more.
	maxLife = 24 * 60 * 60
	// version is the newest form of discovery that is understood.
	version = 1
)

// Client asks gateways. It follows no redirect: a token goes to the host that the user named, and nowhere else.
type Client struct {
	http  *http.Client
	agent string
	now   func() time.Time
}

// New makes a client. transport trusts what the caller trusts; nil: the default. agent is the User-Agent.
func New(transport http.RoundTripper, agent string) *Client {
	return &Client{agent: agent, now: time.Now, http: &http.Client{
		Timeout: timeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Registry is a registry of a gateway, as its discovery shows it.
type Registry struct {
	Name      string `json:"name"`
	Ecosystem string `json:"ecosystem"`
	URL       string `json:"url"`
	Audience  string `json:"audience"`
	Exchange  string `json:"exchange"`
	// Revoke is empty where the index has no revocation.
	Revoke string `json:"revoke"`
}

// Token is a publish token. It must never be printed but where the user asked for it.
type Token struct {
	Value string
	// Expiry is by this machine's clock.
	Expiry time.Time
	// Registries are the names of those that it is good for, where the gateway says so.
	Registries []string
}

// Refusal is a gateway's answer that is no success.
type Refusal struct {
	// What was asked for, and the status of the answer.
	What   string
	Status int
	// Code is the stable code, Detail the sentence, Event the id in the gateway's audit; empty where the answer has none.
	Code, Detail, Event string
}

// Error says all that the gateway said.
func (r *Refusal) Error() string {
	text := fmt.Sprintf("%s: the gateway answered %d", r.What, r.Status)
	if r.Detail != "" {
		text += ": " + r.Detail
	}
	return text
}

// CheckURL refuses a URL over which no token may travel.
func CheckURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, fmt.Errorf("the registry's URL is %q, expected one like https://pypi.example.com/acme/prod/", raw)
	case u.User != nil:
		return nil, errors.New("the registry's URL has a user or password in it: leave them out, the token takes their place")
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(u.Hostname()):
	default:
		return nil, fmt.Errorf("the registry's URL is %q, expected https: a token must not travel in the clear", raw)
	}
	u.RawQuery, u.Fragment = "", ""
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Discover finds the registry of a URL: the one whose own URL is its longest beginning, or the host's only one.
func (c *Client) Discover(ctx context.Context, raw string) (*Registry, error) {
	u, err := CheckURL(raw)
	if err != nil {
		return nil, err
	}
	origin := u.Scheme + "://" + u.Host
	body, err := c.do(ctx, "discovery at "+origin+wellKnown, http.MethodGet, origin+wellKnown, "application/json", nil)
	var refusal *Refusal
	if errors.As(err, &refusal) && refusal.Status == http.StatusNotFound {
		return c.pytp(ctx, u, refusal)
	}
	if err != nil {
		return nil, err
	}
	var answer struct {
		Version    int        `json:"version"`
		Registries []Registry `json:"registries"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("%s answered no JSON: is trustpub in front of this host?", origin+wellKnown)
	}
	if answer.Version > version {
		return nil, fmt.Errorf("%s has version %d of the discovery, and this program understands %d: update it", origin, answer.Version, version)
	}
	return choose(u, origin, answer.Registries)
}

// choose finds the registry, and holds its endpoints to the host that was asked.
func choose(u *url.URL, origin string, registries []Registry) (*Registry, error) {
	var best *Registry
	var known []string
	path := strings.TrimSuffix(u.EscapedPath(), "/") + "/"
	for i, reg := range registries {
		known = append(known, printable(reg.URL))
		own, err := url.Parse(reg.URL)
		if err != nil || own.Scheme+"://"+own.Host != origin {
			continue
		}
		if strings.HasPrefix(path, own.EscapedPath()) && (best == nil || len(reg.URL) > len(best.URL)) {
			best = &registries[i]
		}
	}
	if best == nil && len(registries) == 1 && path == "/" {
		best = &registries[0]
	}
	if best == nil {
		return nil, fmt.Errorf("%s has no registry at %s, expected the URL of one of these: %s", origin, u, strings.Join(known, ", "))
	}
	if err := best.check(origin); err != nil {
		return nil, err
	}
	return best, nil
}

// Exchange swaps an identity token for a publish token.
func (c *Client) Exchange(ctx context.Context, reg *Registry, identity string) (Token, error) {
	in := map[string]string{"token": identity}
	media := "application/json"
	if strings.Contains(reg.Exchange, wellKnown) {
		in["registry"] = reg.Name
	} else {
		media = mediaPytp
	}
	body, err := c.do(ctx, "exchange", http.MethodPost, reg.Exchange, media, in)
	if err != nil {
		return Token{}, err
	}
	var out struct {
		Token      string   `json:"token"`
		ExpiresIn  int64    `json:"expires_in"`
		Expires    int64    `json:"expires"`
		Registries []string `json:"registries"`
	}
	// The decoder's error may quote the body, which holds a token.
	if err := json.Unmarshal(body, &out); err != nil || !plainToken.MatchString(out.Token) {
		return Token{}, errors.New("exchange: the answer has no token, or one with characters that no token has")
	}
	t := Token{Value: out.Token, Registries: out.Registries}
	switch {
	case out.ExpiresIn > 0:
		t.Expiry = c.now().Add(time.Duration(min(out.ExpiresIn, maxLife)) * time.Second)
	case out.Expires > 0:
		t.Expiry = time.Unix(min(out.Expires, c.now().Unix()+maxLife), 0)
	default:
		t.Expiry = c.now().Add(15 * time.Minute) // what PEP 807 has as the least
	}
	return t, nil
}

// Revoke ends a publish token.
func (c *Client) Revoke(ctx context.Context, reg *Registry, token string) error {
	if reg.Revoke == "" {
		return nil
	}
	_, err := c.do(ctx, "revocation", http.MethodPost, reg.Revoke, "application/json", map[string]string{"token": token})
	return err
}

// do sends a request and returns the body of a success.
func (c *Client) do(ctx context.Context, what, method, at, accept string, in any) ([]byte, error) {
	var body io.Reader = http.NoBody
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, at, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", c.agent)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, plainError{err})
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, plainError{err})
	}
	if resp.StatusCode/100 != 2 {
		return nil, refusal(what, resp.StatusCode, answer)
	}
	return answer, nil
}

// refusal reads what an answer says of itself; all of it is bounded and printable.
func refusal(what string, status int, body []byte) *Refusal {
	r := &Refusal{What: what, Status: status}
	var problem struct {
		Detail string `json:"detail"`
		Code   string `json:"code"`
		Event  string `json:"event"`
	}
	if err := json.Unmarshal(body, &problem); err == nil {
		r.Detail, r.Code, r.Event = printable(problem.Detail), printable(problem.Code), printable(problem.Event)
	}
	return r
}
