package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/trustpub/trustpub/internal/audit"
	"github.com/trustpub/trustpub/internal/identity"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store"
	"github.com/trustpub/trustpub/policies"
)

// appName is the name of the app, of its global option, of the handler and of its directive.
const appName = "trusted_publishing"

// defaultTokenLifetime and maxTokenLifetime bound publish tokens.
const (
	defaultTokenLifetime = 15 * time.Minute
	maxTokenLifetime     = time.Hour
)

// maxNodes is above any number of gateways that makes sense, and below a port that was taken for one.
const maxNodes = 1000

func init() { caddy.RegisterModule(new(App)) }

// App is what all sites share: who may issue identity tokens, the policies, the publish tokens, the store of claims and
// revocations, and the audit.
type App struct {
	// Files, directories (every *.yaml and *.yml below them) or globs with policies. At least one is required. Relative paths
	// are taken from the folder of the Caddyfile; in JSON, from the folder in which Caddy runs. Edits act without a reload.
	Policies []string `json:"policies,omitempty"`

	// What the files of a path can grant at most, whoever edits them. Default: not bounded.
	PolicyBounds []policies.Bounds `json:"policy_bounds,omitempty"`

	// The allow-listed issuers of identity tokens. At least one is required.
	Issuers []Issuer `json:"issuers,omitempty"`

	// How long a publish token is good for; at most 1h. Default: 15m.
	TokenLifetime model.Duration `json:"token_lifetime,omitempty"`

	// A placeholder for a key that seals the signing keys of publish tokens in Caddy's storage. Default: they are stored as
	// they are, which is right where the storage is private to this service.
	TokenKey model.Secret `json:"token_key,omitempty"`

	// Placeholders for secrets from which the signing keys of publish tokens are derived, in the place of keys in Caddy's storage: the
	// first signs, all verify. Gateways that mount the same secret accept each other's tokens.
	SigningKey []model.Secret `json:"signing_key,omitempty"`

	// Where replay claims and revocations are kept. Default: local, a file in Caddy's data folder.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=trusted_publishing.stores inline_key=module"`

	// How many gateways serve the same registries, each with this configuration. More than one need a store that they share.
	// Default: 1.
	Nodes int `json:"nodes,omitempty"`

	// What callers can make the gateway do at most, and what all uploads together may hold.
	Limits Limits `json:"limits,omitzero"`

	// Where audit events go; all of them get every event. Default: log.
	AuditRaw []json.RawMessage `json:"audit,omitempty" caddy:"namespace=trusted_publishing.audit inline_key=module"`

	ctx     caddy.Context
	logger  *slog.Logger
	dataDir string
	issuers []*identity.Issuer
	limits  settings
	store   named[store.Config]
	sinks   []named[audit.Config]

	mu       sync.Mutex
	handlers []*Handler
	declared map[string]declaration // registries by name
	warned   map[string]bool

	gate    gate
	running atomic.Pointer[services] // nil before Start
	cleaned sync.Once
}

// named is a loaded part with its module's name.
type named[C any] struct {
	name   string
	config C
}

// declaration is a registry as a handler registered it.
type declaration struct {
	fingerprint string
	registry    *Registry
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: appName, New: func() caddy.Module { return new(App) }}
}

// Provision checks the configuration and loads the parts' configurations. It opens nothing.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger = ctx, ctx.Slogger()
	a.dataDir = filepath.Join(dataDir(ctx.Storage()), appName)
	a.declared, a.warned = map[string]declaration{}, map[string]bool{}
	if err := a.check(); err != nil {
		return err
	}
	limits, err := a.Limits.settings()
	if err != nil {
		return err
	}
	a.limits = limits
	if err := a.provisionIssuers(); err != nil {
		return err
	}
	if err := a.loadStore(); err != nil {
		return err
	}
	return a.loadAudit()
}

// check validates the app's own fields.
func (a *App) check() error {
	if len(a.Policies) == 0 {
		return errors.New("no policies are configured: write \"policies PATH\" in the global option trusted_publishing; without one nothing could be published")
	}
	if len(a.Issuers) == 0 {
		return errors.New("no issuer is configured: write \"issuer github\" or \"issuer gitlab https://gitlab.example.com\" in the global option trusted_publishing")
	}
	switch lifetime := time.Duration(a.TokenLifetime); {
	case lifetime == 0:
		a.TokenLifetime = model.Duration(defaultTokenLifetime)
	case lifetime < time.Minute || lifetime > maxTokenLifetime:
		return fmt.Errorf("token_lifetime is %s, expected 1m to 1h: a publish token is meant for one run of one job", lifetime)
	}
	if a.TokenKey != "" && len(a.SigningKey) > 0 {
		return errors.New("both token_key and signing_key are set, expected one: token_key seals keys in the storage, and with signing_key none are there")
	}
	for _, secret := range a.SigningKey {
		if err := secret.Validate(); err != nil {
			return fmt.Errorf("signing_key: %w", err)
		}
	}
	if a.Nodes < 0 || a.Nodes > maxNodes {
		return fmt.Errorf("nodes is %d, expected 1 to %d: how many gateways share the registries", a.Nodes, maxNodes)
	}
	if a.TokenKey != "" {
		if err := a.TokenKey.Validate(); err != nil {
			return fmt.Errorf("token_key: %w", err)
		}
	}
	return nil
}

// loadStore loads the store's configuration.
func (a *App) loadStore() error {
	if a.StoreRaw == nil {
		a.StoreRaw = json.RawMessage(`{"` + inlineKey + `":"local"}`)
	}
	name := moduleName(a.StoreRaw)
	mod, err := a.ctx.LoadModule(a, "StoreRaw")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	cfg, err := configOf[store.Config](mod)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	a.store = named[store.Config]{name, cfg}
	if shared, ok := cfg.(store.Shared); a.Nodes > 1 && (!ok || !shared.SharedByNodes()) {
		return fmt.Errorf("nodes is %d, and store %s is seen by one gateway only, so that a token could be used once at each: write \"store redis HOST:PORT\" with a server that all of them reach, or \"nodes 1\" where there is one", a.Nodes, name)
	}
	return nil
}

// loadAudit loads the configurations of the audit's sinks.
func (a *App) loadAudit() error {
	if len(a.AuditRaw) == 0 {
		a.AuditRaw = []json.RawMessage{json.RawMessage(`{"` + inlineKey + `":"log"}`)}
	}
	names := make([]string, len(a.AuditRaw))
	for i, raw := range a.AuditRaw {
		names[i] = moduleName(raw)
	}
	mods, err := a.ctx.LoadModule(a, "AuditRaw")
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	taken := map[string]bool{}
	for i, mod := range mods.([]any) {
		cfg, err := configOf[audit.Config](mod)
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		if err := cfg.Validate(); err != nil {
			return fmt.Errorf("audit %s: %w", names[i], err)
		}
		key, err := cfg.Key(a.auditEnv())
		if err != nil {
			return fmt.Errorf("audit %s: %w", names[i], err)
		}
		if taken[key] {
			return fmt.Errorf("audit %s: the same sink is configured twice", names[i])
		}
		taken[key] = true
		a.sinks = append(a.sinks, named[audit.Config]{names[i], cfg})
	}
	return nil
}

func (a *App) auditEnv() audit.Env { return audit.Env{DataDir: a.dataDir, Logger: relayLogger} }

// register takes a handler's registries during its provisioning. A name belongs to one registry of the whole configuration;
// the very same declaration may come twice, since Caddy copies a site that is served on two ports.
func (a *App) register(h *Handler) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range h.Registries {
		r := &h.Registries[i]
		mine := declaration{h.fingerprints[i], r}
		for name, other := range a.declared {
			same := other.fingerprint == mine.fingerprint
			if name == r.Name && !same {
				return fmt.Errorf("registry %q is declared twice with different settings: policies refer to registries by name, so each name needs one meaning", r.Name)
			}
			if name != r.Name && other.registry.public.String() == r.public.String() {
				return fmt.Errorf("registries %q and %q have the same public URL %s", name, r.Name, r.public)
			}
		}
		a.declared[r.Name] = mine
	}
	a.handlers = append(a.handlers, h)
	return nil
}

// warnOnce logs a warning once per configuration.
func (a *App) warnOnce(message string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.warned[message] {
		a.warned[message] = true
		a.logger.Warn(message, args...)
	}
}

// Start opens what the configuration needs, loads the policies and lets requests in. When something cannot be opened, all is
// given back and the configuration that ran before goes on.
func (a *App) Start() error {
	useFirstLogger(a.logger.Handler())
	s := new(services)
	if err := a.open(s); err != nil {
		return errors.Join(err, s.releaseAll())
	}
	useLogger(a.logger.Handler())
	s.limits.Use(a.limits.Settings)
	s.policies.adopt(a.ctx.Storage(), s.audit)
	a.running.Store(s)
	active.Store(a)
	onExit()
	a.recordStart(s)
	return nil
}

// Stop does nothing: requests may still be running, and Caddy stops the server in any order. Cleanup ends the rest.
func (a *App) Stop() error {
	active.CompareAndSwap(a, nil)
	return nil
}

// Cleanup gives back what Start has taken, once the last request has left.
func (a *App) Cleanup() error {
	a.cleaned.Do(func() {
		s := a.running.Load()
		if s == nil {
			return
		}
		pending.add(1)
		a.gate.close(func() {
			defer pending.add(-1)
			if err := s.releaseAll(); err != nil {
				relayLogger.Error("closing what the old configuration used", "error", err)
			}
		})
	})
	return nil
}

// moduleName reads a raw guest's module name, before LoadModule consumes it.
func moduleName(raw json.RawMessage) string {
	var m map[string]json.RawMessage
	var name string
	if json.Unmarshal(raw, &m) == nil {
		_ = json.Unmarshal(m[inlineKey], &name)
	}
	return name
}

// dataDir is Caddy's data folder: that of its storage where it is kept in files, so that one setting moves both.
func dataDir(storage certmagic.Storage) string {
	if fs, ok := configuredStorage(storage).(*certmagic.FileStorage); ok && fs.Path != "" {
		return fs.Path
	}
	return caddy.AppDataDir()
}

// compact is JSON without white space, for comparing.
func compact(raw []byte) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// active is the app that serves now, for the admin API.
var active atomic.Pointer[App]

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
