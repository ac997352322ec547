package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trustpub/trustpub/internal/audit"
	"github.com/trustpub/trustpub/internal/identity"
	"github.com/trustpub/trustpub/internal/limit"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/publishtoken"
	"github.com/trustpub/trustpub/internal/store"
	"github.com/trustpub/trustpub/internal/switches"
)

// openTimeout bounds how long one part may take to open.
const openTimeout = 30 * time.Second

// Issuer is an allow-listed issuer of identity tokens.
type Issuer struct {
	// The issuer's name, to which policies and the audit refer. Default: the provider's name.
	Name string `json:"name,omitempty"`

	// The kind of CI behind it: github, gitlab or oidc.
	Provider string `json:"provider"`

	// The issuer's URL, byte for byte as in the iss claim. Default: the provider's well-known one.
	URL string `json:"url,omitempty"`

	// A PEM file with the certificate authority of a private issuer. Default: the system's.
	CA string `json:"ca,omitempty"`

	// A JWKS file with pinned keys: no discovery and no network. Default: keys are fetched from the issuer.
	Keys string `json:"keys,omitempty"`

	// How long a token is good for after its iat, whatever its exp says. Default: 1h.
	MaxLifetime model.Duration `json:"max_lifetime,omitempty"`

	// Signature algorithms. Default: RS256 and ES256.
	Algorithms []string `json:"algorithms,omitempty"`

	// Mark the issuer's tokens in the audit as made by hand in an emergency. Its keys must be pinned, and its tokens live 30
	// minutes at most.
	BreakGlass bool `json:"break_glass,omitempty"`

	// Refuse the issuer's tokens, those already exchanged included; its policies still claim their packages.
	Disabled bool `json:"disabled,omitempty"`
}

// config is the issuer as package identity wants it.
func (i Issuer) config() identity.Config {
	name := i.Name
	if name == "" {
		name = i.Provider
	}
	return identity.Config{
		Name: name, Provider: i.Provider, URL: i.URL, CAFile: i.CA, KeysFile: i.Keys,
		MaxLifetime: time.Duration(i.MaxLifetime), Algorithms: i.Algorithms, Disabled: i.Disabled,
		BreakGlass: i.BreakGlass,
	}
}

// provisionIssuers checks the issuers and loads pinned keys; nothing is fetched yet.
func (a *App) provisionIssuers() error {
	names := map[string]bool{}
	for _, i := range a.Issuers {
		cfg := i.config()
		if names[cfg.Name] {
			return fmt.Errorf("issuer %q is configured twice: give each a name of its own with \"name NAME\"", cfg.Name)
		}
		names[cfg.Name] = true
		issuer, err := identity.NewIssuer(cfg, identity.Options{Logger: relayLogger})
		if err != nil {
			return fmt.Errorf("issuer %s: %w", cfg.Name, err)
		}
		a.issuers = append(a.issuers, issuer)
	}
	if _, err := identity.NewVerifier(a.issuers, identity.Options{Logger: relayLogger}); err != nil {
		return err
	}
	return nil
}

// services are the running parts of one configuration. What is expensive or exclusive is leased from the pool.
type services struct {
	leases
	store    store.Store
	switches *switches.Board
	audit    *audit.Log
	issuers  []*identity.Issuer
	verifier *identity.Verifier
	policies *watched
	// prints names credentials of the registries for the audit; nil where its key cannot be had.
	prints *audit.Fingerprinter
	tokens *publishtoken.Minter
	limits *limit.Limits
}

// open opens everything in the order in which things need each other. After an error the caller gives back what s has.
func (a *App) open(s *services) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), openTimeout)
	defer cancel()
	if err := s.openLimits(); err != nil {
		return err
	}
	for _, step := range []func(context.Context, *services) error{
		a.openStore, a.openAudit, a.openFingerprints, a.openIssuers, a.openTokens, a.openPolicies, a.openHandlers,
	} {
		if err := step(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) openStore(ctx context.Context, s *services) error {
	env := store.Env{DataDir: a.dataDir, Logger: relayLogger}
	key, err := a.store.config.Key(env)
	if err != nil {
		return fmt.Errorf("store %s: %w", a.store.name, err)
	}
	s.store, err = take(&s.leases, "store/"+a.store.name+"/"+key, func() (store.Store, func() error, error) {
		opened, err := a.store.config.Open(ctx, env)
		if err != nil {
			return nil, nil, err
		}
		return opened, opened.Close, nil
	})
	if err != nil {
		return fmt.Errorf("store %s: %w", a.store.name, err)
	}
	if shared, ok := a.store.config.(store.Shared); ok && shared.SharedByNodes() {
		if _, ok := s.store.(store.Leaser); !ok {
			return fmt.Errorf("store %s says that several gateways share it, and %T has no leases, so that two of them could publish one file at once: it must be a caddymodule.LeasingStore", a.store.name, s.store)
		}
	}
	s.switches, err = take(&s.leases, "switches/"+a.store.name+"/"+key, func() (*switches.Board, func() error, error) {
		board, err := switches.Open(ctx, s.store, switches.Options{Logger: relayLogger})
		if err != nil {
			return nil, nil, err
		}
		return board, board.Close, nil
	})
	if err != nil {
		return fmt.Errorf("store %s: %w", a.store.name, err)
	}
	return nil
}

func (a *App) openAudit(ctx context.Context, s *services) error {
	var streams []*audit.Stream
	for _, sink := range a.sinks {
		key, err := sink.config.Key(a.auditEnv())
		if err != nil {
			return fmt.Errorf("audit %s: %w", sink.name, err)
		}
		stream, err := take(&s.leases, "audit/"+key, func() (*audit.Stream, func() error, error) {
			opened, err := sink.config.Open(ctx, a.auditEnv())
			if err != nil {
				return nil, nil, err
			}
			stream, err := audit.OpenStream(ctx, opened, audit.StreamOptions{Name: sink.name, Logger: relayLogger})
			if err != nil {
				return nil, nil, errors.Join(err, opened.Close())
			}
			return stream, stream.Close, nil
		})
		if err != nil {
			return fmt.Errorf("audit %s: %w", sink.name, err)
		}
		streams = append(streams, stream)
	}
	log, err := audit.New(audit.Options{Streams: streams, Logger: relayLogger})
	if err != nil {
		return err
	}
	s.audit = log
	return nil
}

func (a *App) openIssuers(_ context.Context, s *services) error {
	for _, fresh := range a.issuers {
		issuer, err := take(&s.leases, "issuer/"+fresh.Key(), func() (*identity.Issuer, func() error, error) {
			fresh.Start()
			return fresh, fresh.Close, nil
		})
		if err != nil {
			return err
		}
		s.issuers = append(s.issuers, issuer)
	}
	verifier, err := identity.NewVerifier(s.issuers, identity.Options{Logger: relayLogger})
	s.verifier = verifier
	return err
}

// openTokens makes the minter. It isn't shared with another configuration, since it uses that configuration's storage; the
// signing keys lie in the storage and outlive both.
func (a *App) openTokens(_ context.Context, s *services) error {
	minter, err := publishtoken.New(publishtoken.Options{
		Storage: a.ctx.Storage(), Logger: relayLogger, Lifetime: time.Duration(a.TokenLifetime), KeyFile: a.TokenKey,
		Mounted: a.SigningKey,
	})
	s.tokens = minter
	return err
}

func (a *App) openHandlers(_ context.Context, s *services) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range a.handlers {
		if err := h.keep(&s.leases); err != nil {
			return err
		}
		if err := h.start(s); err != nil {
			return err
		}
	}
	return nil
}
