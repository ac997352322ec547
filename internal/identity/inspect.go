package identity

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Leeway is how far the clocks of an issuer and of the gateway may be apart.
const Leeway = leeway

// Inspection is what an issuer answers when it is asked as the gateway asks it.
type Inspection struct {
	// KeysURL is where it says its keys are, Keys how many of them can be used, Skipped why others can't.
	KeysURL string
	Keys    int
	Skipped []string
	// Usable are the configured algorithms for which it has a key.
	Usable []string
	// Skew is how far its clock is ahead of ours; Dated is false where it does not tell the time.
	Skew  time.Duration
	Dated bool
}

// Inspect asks the issuer for its description and its keys, whatever is cached and without caching anything. Keys that are pinned
// are counted, and nothing is asked.
func (i *Issuer) Inspect(ctx context.Context) (Inspection, error) {
	var found Inspection
	if i.keys.pinned() {
		pinned := i.keys.current.Load()
		found.count(pinned.keys, pinned.skipped, i.config.Algorithms)
		return found, nil
	}
	var roots *x509.CertPool
	if i.config.CAFile != "" {
		var err error
		if roots, _, err = readRoots(i.config.CAFile); err != nil {
			return found, err
		}
	}
	s := newSource(i.config.URL, roots, i.options.fetchTimeout)
	clock := &clockReader{next: s.client.Transport, now: i.options.Now}
	s.client.Transport = clock
	address, err := s.discover(ctx)
	if err != nil {
		return found, err
	}
	found.KeysURL = address
	data, err := s.get(ctx, address)
	found.Skew, found.Dated = clock.skew()
	if err != nil {
		return found, err
	}
	keys, skipped, err := parseKeySet(data)
	if err != nil {
		return found, fmt.Errorf("%s: %w", address, err)
	}
	found.count(keys, skipped, i.config.Algorithms)
	return found, nil
}

// Pinned is true for an issuer whose keys come from a file.
func (i *Issuer) Pinned() bool { return i.keys.pinned() }

// URL is what iss is, byte for byte.
func (i *Issuer) URL() string { return i.config.URL }

// Algorithms are those that its tokens may be signed with.
func (i *Issuer) Algorithms() []string { return slices.Clone(i.config.Algorithms) }

// MaxLifetime bounds a token's life.
func (i *Issuer) MaxLifetime() time.Duration { return i.config.MaxLifetime }

// BreakGlass is true for an issuer whose tokens are made by hand in an emergency.
func (i *Issuer) BreakGlass() bool { return i.config.BreakGlass }

// count takes the keys in.
func (f *Inspection) count(keys map[string]verifyKey, skipped, algorithms []string) {
	f.Keys, f.Skipped = len(keys), skipped
	for _, alg := range algorithms {
		for _, key := range keys {
			if key.fits(alg) {
				f.Usable = append(f.Usable, alg)
				break
			}
		}
	}
}

// clockReader reads the time that a server tells in the header Date of its newest answer.
type clockReader struct {
	next http.RoundTripper
	now  func() time.Time

	mu    sync.Mutex
	ahead time.Duration
	dated bool
}

// RoundTrip implements http.RoundTripper.
func (c *clockReader) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := c.now()
	res, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answered := c.now()
	date, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return res, nil
	}
	// What a cache gives out was written Age seconds ago.
	if age, err := strconv.ParseInt(res.Header.Get("Age"), 10, 32); err == nil && age > 0 {
		date = date.Add(time.Duration(age) * time.Second)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead, c.dated = offBy(date, asked, answered), true
	return res, nil
}

func (c *clockReader) skew() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead, c.dated
}

// offBy is how far a clock that shows whole seconds is certainly away from ours: zero where it may be right.
func offBy(date, asked, answered time.Time) time.Duration {
	switch {
	case date.After(answered):
		return date.Sub(answered)
	case date.Add(time.Second).Before(asked):
		return date.Add(time.Second).Sub(asked)
	}
	return 0
}

// Interface guard
var _ http.RoundTripper = (*clockReader)(nil)
