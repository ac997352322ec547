package doctor

import (
	"context"
	"crypto/tls"
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
	// directTimeout is how long a registry may take to be found; a firewall that drops packets takes all of it.
	directTimeout = 5 * time.Second
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 1 << 20
)

// ParseDirect reads NAME=URL, or a URL alone where there is one registry.
func ParseDirect(text string, registries []Registry) (Registry, *url.URL, error) {
	name, address, named := strings.Cut(text, "=")
	if !named || strings.Contains(name, ":") {
		name, address = "", text
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return Registry{}, nil, errors.New("--direct: expected NAME=URL with the registry's own address, as in internal-pypi=http://registry.example.com:3141/root/prod/")
	}
	var names []string
	for _, r := range registries {
		names = append(names, r.Name)
		if r.Name != name && (name != "" || len(registries) > 1) {
			continue
		}
		if strings.EqualFold(r.Public.Host, u.Host) {
			return r, nil, fmt.Errorf("--direct: %s is the gateway's own host, expected the address of the registry behind it", u.Host)
		}
		return r, u, nil
	}
	if name == "" {
		return Registry{}, nil, fmt.Errorf("--direct: which registry is meant? Write NAME=URL with one of %s", strings.Join(names, ", "))
	}
	return Registry{}, nil, fmt.Errorf("--direct: no registry is called %q, expected one of %s", name, strings.Join(names, ", "))
}

// behind is what to do with a registry that is reachable.
const behind = "let only the gateway reach it: bind it to loopback or a private network, or put a firewall in front of it"

// Direct tries to reach a registry around the gateway, without a credential.
func Direct(r Registry, address *url.URL) Check {
	c := Check{Area: "around", Subject: r.Name, What: "that " + address.Host + " does not answer as the registry", Network: true}
	c.Run = func(ctx context.Context) []Finding {
		got, err := askDirectly(ctx, address)
		if err != nil && !unreachable(err) {
			return []Finding{warning(behind, "%s answers, though not as a web server (%s): is the scheme of the URL right?", address.Host, reason(err))}
		}
		if err != nil {
			return []Finding{ok("%s can't be reached from this machine (%s); look from the machines of jobs and publishers too", address.Host, reason(err))}
		}
		inside, err := r.Ask(ctx, r.Public.EscapedPath(), nil)
		switch {
		case err == nil && inside.Status == got.Status:
			return []Finding{failure(behind, "%s answers as the registry does (%s): whoever has a password of the registry publishes past the gateway", address.Host, status(got.Status))}
		case got.Status < http.StatusBadRequest || got.Status == http.StatusUnauthorized:
			return []Finding{failure(behind, "%s answers %s: whoever has a password of the registry publishes past the gateway", address.Host, status(got.Status))}
		}
		return []Finding{warning(behind, "%s answers %s: something is reachable there", address.Host, status(got.Status))}
	}
	return c
}

// askDirectly asks as anybody would who is not bothered by a certificate.
func askDirectly(ctx context.Context, address *url.URL) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, directTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("User-Agent", "trustpub")
	client := &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // whoever goes around the gateway skips it too; nothing is sent that is secret
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return Answer{}, err
	}
	return Answer{Status: res.StatusCode, Body: body}, nil
}

// unreachable is true where no connection came about.
func unreachable(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	var timeout net.Error
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &dns) || errors.As(err, &timeout) && timeout.Timeout()
}

// reason is what of an error of net/http the reader wants to know.
func reason(err error) string {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "no answer"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.Err
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err.Error()
	}
	return err.Error()
}
