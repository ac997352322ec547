package identity

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/trustpub/trustpub/internal/provider"
)

const (
	// defaultLifetime is how long after its iat a token is accepted at most, whatever its exp says.
	defaultLifetime = time.Hour
	longestLifetime = 24 * time.Hour
	// breakGlassLifetime is the longest life of a token that was made by hand.
	breakGlassLifetime = 30 * time.Minute
)

// The algorithms that can be configured. Those with a shared secret and "none" are not among them, nor is RSA-PSS, whose
// parameters implementations disagree on.
var (
	knownAlgorithms   = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "EdDSA"}
	defaultAlgorithms = []string{"RS256", "ES256"}
)

var issuerName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Config is one configured issuer.
type Config struct {
	// Name is how policies, logs and the audit call the issuer; the provider's name by default.
	Name string `json:"name,omitempty"`
	// Provider is the kind of CI.
	Provider string `json:"provider"`
	// URL is what iss must be, byte for byte; empty for the provider's well-known one.
	URL string `json:"url,omitempty"`
	// CAFile holds the CA certificates, in PEM, that the issuer's own certificate must come from; empty: those of the system.
	CAFile string `json:"ca,omitempty"`
	// KeysFile holds the issuer's keys as a JWKS; nothing is then fetched, and CAFile is not needed.
	KeysFile string `json:"keys,omitempty"`
	// MaxLifetime bounds a token's life from its iat, an hour by default.
	MaxLifetime time.Duration `json:"max_lifetime,omitempty"`
	// Algorithms are those that tokens may be signed with, RS256 and ES256 by default.
	Algorithms []string `json:"algorithms,omitempty"`
	// BreakGlass marks the issuer's tokens in the audit: they are made by hand in an emergency. Its keys must be pinned, and its
	// tokens live half an hour at most.
	BreakGlass bool `json:"break_glass,omitempty"`
	// Disabled refuses the issuer's tokens; they are still known as ours, and its policies still claim their packages.
	Disabled bool `json:"disabled,omitempty"`
}

// Options are what an issuer and a verifier need of their surroundings.
type Options struct {
	// Logger takes warnings, never a token; nil discards them.
	Logger *slog.Logger
	// Now is the clock; time.Now by default.
	Now func() time.Time
	// CacheSize is the number of verified tokens that a verifier remembers, 2048 by default.
	CacheSize int

	// fetchTimeout and sleep are replaced by tests.
	fetchTimeout time.Duration
	sleep        func(ctx context.Context, wake <-chan struct{}, d time.Duration) bool
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CacheSize <= 0 {
		o.CacheSize = 2048
	}
	if o.fetchTimeout == 0 {
		o.fetchTimeout = fetchTimeout
	}
	if o.sleep == nil {
		o.sleep = sleep
	}
	return o
}

// Issuer is a configured issuer with its keys. It outlives a reload of the configuration that leaves it unchanged.
type Issuer struct {
	config   Config
	provider *provider.Provider
	key      string
	keys     *keySet
	tokens   *oidc.IDTokenVerifier
	options  Options

	cancel context.CancelFunc
	start  sync.Once
	ended  sync.WaitGroup
}

// NewIssuer checks a configuration, reads its files and makes the issuer. It does not touch the network.
func NewIssuer(config Config, options Options) (*Issuer, error) {
	options = options.withDefaults()
	p, err := config.resolve()
	if err != nil {
		return nil, err
	}
	i := &Issuer{config: config, provider: p, options: options}
	var roots *x509.CertPool
	var caData, keysData []byte
	if config.CAFile != "" {
		if roots, caData, err = readRoots(config.CAFile); err != nil {
			return nil, fmt.Errorf("issuer %s: %w", config.Name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	i.cancel = cancel
	i.keys = &keySet{
		now:    options.Now,
		logger: options.Logger.With("issuer", config.Name),
		ctx:    ctx,
		failed: make(chan struct{}, 1),
	}
	if config.KeysFile != "" {
		if keysData, err = i.pin(config.KeysFile); err != nil {
			cancel()
			return nil, fmt.Errorf("issuer %s: keys: %w", config.Name, err)
		}
	} else {
		i.keys.fetch = newSource(config.URL, roots, options.fetchTimeout).fetch
	}
	i.key = configKey(config, caData, keysData)
	i.tokens = oidc.NewVerifier(config.URL, signatures{i}, &oidc.Config{
		SupportedSigningAlgs: config.Algorithms,
		// Audience and times are checked in checks.go, more strictly than the library does.
		SkipClientIDCheck: true,
		SkipExpiryCheck:   true,
	})
	return i, nil
}

// resolve fills in the defaults and checks every field.
func (c *Config) resolve() (*provider.Provider, error) {
	p, ok := provider.Get(c.Provider)
	if !ok {
		return nil, fmt.Errorf("issuer provider %q is not known, expected one of %s", c.Provider, strings.Join(provider.Names(), ", "))
	}
	if c.Name == "" {
		c.Name = c.Provider
	}
	if !issuerName.MatchString(c.Name) {
		return nil, fmt.Errorf("issuer name %q: expected lower-case letters, digits, dots, dashes and underscores, beginning with a letter or digit", c.Name)
	}
	var err error
	if c.URL, err = p.IssuerURL(c.URL); err != nil {
		return nil, fmt.Errorf("issuer %s: %w", c.Name, err)
	}
	longest := longestLifetime
	if c.BreakGlass {
		longest = breakGlassLifetime
		if c.KeysFile == "" {
			return nil, fmt.Errorf("issuer %s: break_glass needs keys FILE: its tokens are made offline, with a key of its own", c.Name)
		}
	}
	if c.MaxLifetime == 0 {
		c.MaxLifetime = min(defaultLifetime, longest)
	}
	if c.MaxLifetime < time.Minute || c.MaxLifetime > longest {
		return nil, fmt.Errorf("issuer %s: max_lifetime is %s, expected 1m to %s", c.Name, c.MaxLifetime, longest)
	}
	c.Algorithms = slices.Clone(c.Algorithms)
	if len(c.Algorithms) == 0 {
		c.Algorithms = slices.Clone(defaultAlgorithms)
	}
	for n, alg := range c.Algorithms {
		if !slices.Contains(knownAlgorithms, alg) || slices.Contains(c.Algorithms[:n], alg) {
			return nil, fmt.Errorf("issuer %s: algorithms has %q, expected each of %s at most once", c.Name, alg, strings.Join(knownAlgorithms, ", "))
		}
	}
	return p, nil
}

// pin loads keys from a file.
func (i *Issuer) pin(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	keys, skipped, err := parseKeySet(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	i.keys.mu.Lock()
	defer i.keys.mu.Unlock()
	i.keys.publish(keys, skipped, i.options.Now())
	return data, nil
}

// configKey hashes a configuration with the content of its files.
func configKey(config Config, files ...[]byte) string {
	h := sha256.New()
	// A struct of strings, numbers and bools can always be marshalled.
	data, _ := json.Marshal(config)
	h.Write(data)
	for _, file := range files {
		sum := sha256.Sum256(file)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Name is how policies, logs and the audit call the issuer.
func (i *Issuer) Name() string { return i.config.Name }

// Provider is the name of its kind of CI.
func (i *Issuer) Provider() string { return i.config.Provider }

// Disabled is true for an issuer whose tokens are refused.
func (i *Issuer) Disabled() bool { return i.config.Disabled }

// Key is a hash of the configuration and of the files that it names: two issuers with the same key are interchangeable, so a
// reload keeps the one that has its keys already.
func (i *Issuer) Key() string { return i.key }

// Start begins to fetch the keys in the background and to keep them fresh. It returns at once, and does nothing for pinned
// keys, for a disabled issuer, and when called again.
func (i *Issuer) Start() {
	if i.keys.pinned() || i.config.Disabled {
		return
	}
	i.start.Do(func() {
		i.ended.Go(func() { i.keys.keepFresh(i.options.sleep) })
	})
}

// Close ends all fetches and waits for the background to end. Keys that are there serve until they are too old.
func (i *Issuer) Close() error {
	i.cancel()
	i.ended.Wait()
	i.keys.land()
	return nil
}

// keepFresh fetches before the keys grow old, and with a growing wait while that fails.
func (k *keySet) keepFresh(sleep func(context.Context, <-chan struct{}, time.Duration) bool) {
	for {
		k.mu.Lock()
		wait := k.untilNext()
		var f *flight
		if wait <= 0 {
			f = k.join()
		}
		k.mu.Unlock()
		if f != nil {
			<-f.done // ends soon after the context does
			continue
		}
		if !sleep(k.ctx, k.failed, wait) {
			return
		}
	}
}

// untilNext is how long the next fetch in the background can wait. The caller holds the lock.
func (k *keySet) untilNext() time.Duration {
	s := k.current.Load()
	switch {
	case k.ctx.Err() != nil:
		return time.Hour // sleep sees the end of the context
	case k.failures > 0:
		return k.retryAt.Sub(k.now())
	case s == nil:
		return 0
	default:
		// Between 70 and 80 percent of the time that the keys are believed, so that requests never wait for a fetch.
		age := k.now().Sub(s.fetched)
		if due := keysTTL * 7 / 10; age < due {
			return due - age + jitter(keysTTL/10)
		}
		return 0
	}
}

// land waits for a fetch under way, which ends because its context has.
func (k *keySet) land() {
	k.mu.Lock()
	f := k.flight
	k.mu.Unlock()
	if f != nil {
		<-f.done
	}
}

// sleep waits for d or until woken; false when the context has ended.
func sleep(ctx context.Context, wake <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
		return true
	case <-timer.C:
		return true
	}
}

// Status is what an operator is shown of an issuer.
type Status struct {
	Name     string `json:"name"`
	Provider string `json:"provider"`
	URL      string `json:"url"`
	Disabled bool   `json:"disabled,omitempty"`
	// Pinned is true for keys from a file.
	Pinned bool `json:"pinned,omitempty"`
	// Ready is true while tokens can be verified; Stale while that is done with old keys.
	Ready bool `json:"ready"`
	Stale bool `json:"stale,omitempty"`
	// Keys is the number of usable keys, Skipped says why others are not used.
	Keys    int      `json:"keys"`
	Skipped []string `json:"skipped_keys,omitempty"`
	// Generation counts the changes of the key set.
	Generation uint64 `json:"generation,omitempty"`
	// LastFetch is when the keys were last fetched, or read from their file; LastAttempt when that was last tried.
	LastFetch   time.Time `json:"last_fetch,omitzero"`
	LastAttempt time.Time `json:"last_attempt,omitzero"`
	// LastError is why the last attempt failed, Failures how many have since the last success, NextAttempt the earliest next.
	LastError   string    `json:"last_error,omitempty"`
	Failures    int       `json:"failures,omitempty"`
	NextAttempt time.Time `json:"next_attempt,omitzero"`
}

// Status tells how the issuer is.
func (i *Issuer) Status() Status {
	k := i.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	s := Status{
		Name: i.config.Name, Provider: i.config.Provider, URL: i.config.URL, Disabled: i.config.Disabled, Pinned: k.pinned(),
		LastAttempt: k.attempted, LastError: k.lastError, Failures: k.failures,
	}
	if k.failures > 0 {
		s.NextAttempt = k.retryAt
	}
	if keys := k.current.Load(); keys != nil {
		s.Keys, s.Skipped, s.Generation, s.LastFetch = len(keys.keys), keys.skipped, keys.generation, keys.fetched
		s.Ready = !i.config.Disabled && k.usable(keys)
		s.Stale = !k.fresh(keys)
	}
	return s
}

// errNoIssuers keeps a verifier without issuers from being made: every token would be refused.
var errNoIssuers = errors.New("no issuer is configured: name at least one, as in `issuer github`")
