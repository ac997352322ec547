package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/gateway"
)

func init() { caddy.RegisterModule(new(Handler)) }

// Handler puts trusted publishing in front of the registries of one site. It judges every request of the site: put the
// reverse proxy to the registry behind it, and "respond 404" at the end.
type Handler struct {
	// The registries behind this site; at least one.
	Registries []Registry `json:"registries,omitempty"`

	// Unsafe requests outside every registry that pass with the client's own credential. All others are refused.
	Passthrough []Passthrough `json:"passthrough,omitempty"`

	app          *App
	logger       *slog.Logger
	fingerprints []string
	gateway      atomic.Pointer[gateway.Gateway] // nil before the app has started
}

// Passthrough lets one kind of unsafe request outside every registry through.
type Passthrough struct {
	// The HTTP method, in capitals.
	Method string `json:"method"`
	// The escaped path: exact, or everything below it where it ends in a slash.
	Prefix string `json:"prefix"`
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers." + appName, New: func() caddy.Module { return new(Handler) }}
}

// Provision checks the registries and makes their ecosystems and credential sources. It opens nothing.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Slogger()
	mod, err := ctx.AppIfConfigured(appName)
	if err != nil {
		if errors.Is(err, caddy.ErrNotConfigured) {
			return errors.New("the global option trusted_publishing is missing: it names the issuers and the policies that this handler needs")
		}
		return err
	}
	h.app = mod.(*App)
	if len(h.Registries) == 0 {
		return errors.New("no registry is configured: write \"registry NAME ECOSYSTEM PUBLIC-URL\"")
	}
	for i := range h.Registries {
		fingerprint, err := json.Marshal(h.Registries[i])
		if err != nil {
			return fmt.Errorf("registry %q: %w", h.Registries[i].Name, err)
		}
		h.fingerprints = append(h.fingerprints, compact(fingerprint))
		if err := h.Registries[i].provision(ctx, h.logger); err != nil {
			return fmt.Errorf("registry %q: %w", h.Registries[i].Name, err)
		}
	}
	for _, p := range h.Passthrough {
		if err := p.check(); err != nil {
			return err
		}
	}
	if _, err := gateway.New(h.config(nil)); err != nil {
		return err
	}
	h.warnAboutLogs(ctx)
	registerMetrics(ctx)
	return h.app.register(h)
}

// check validates a passthrough.
func (p Passthrough) check() error {
	switch p.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return fmt.Errorf("passthrough method is %q, expected POST, PUT, PATCH or DELETE (safe requests pass anyway)", p.Method)
	}
	u, err := url.Parse(p.Prefix)
	if err != nil || !strings.HasPrefix(p.Prefix, "/") || u.EscapedPath() != p.Prefix || strings.ContainsAny(p.Prefix, "?#;\\") || strings.Contains(p.Prefix, "//") {
		return fmt.Errorf("passthrough prefix is %q, expected an escaped path like /+login or /+admin/", p.Prefix)
	}
	return nil
}

// config is the gateway's configuration; with nil services, one that can only be checked.
func (h *Handler) config(s *services) gateway.Config {
	cfg := gateway.Config{
		Logger: h.logger, Meter: meter{}, ClientIP: clientIP, BodyIdle: h.app.limits.bodyIdle, BodyRate: h.app.limits.bodyRate,
	}
	for i := range h.Registries {
		cfg.Registries = append(cfg.Registries, h.Registries[i].resolved)
	}
	for _, p := range h.Passthrough {
		cfg.Passthrough = append(cfg.Passthrough, gateway.Passthrough{Method: p.Method, Prefix: p.Prefix})
	}
	if s != nil {
		cfg.Verifier, cfg.Tokens, cfg.Policies, cfg.Store, cfg.Auditor = s.verifier, s.tokens, s.policies, s.store, s.audit
		cfg.Switches, cfg.Limits = s.switches, s.limits
		cfg.Fingerprint = s.prints.Fingerprint
	}
	return cfg
}

// keep hands the sources of credentials what they keep between requests, that of the configuration before where it uses the same.
func (h *Handler) keep(l *leases) error {
	for i := range h.Registries {
		keeper, ok := h.Registries[i].resolved.Source.(credential.Keeper)
		if !ok {
			continue
		}
		for _, kept := range keeper.Kept() {
			v, err := take(l, "credential/"+kept.Key, func() (io.Closer, func() error, error) {
				opened := kept.Open()
				return opened, opened.Close, nil
			})
			if err != nil {
				return err
			}
			kept.Use(v)
		}
	}
	return nil
}

// start makes the gateway; the app calls it from its Start.
func (h *Handler) start(s *services) error {
	g, err := gateway.New(h.config(s))
	if err != nil {
		return err
	}
	h.gateway.Store(g)
	return nil
}

// clientIP is the client's address as Caddy sees it, trusted proxies considered.
func clientIP(r *http.Request) string {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return ip
}

// ServeHTTP hands the request to the gateway.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	g := h.gateway.Load()
	if g == nil {
		if served, err := h.inquired(w, r, next); served {
			return err
		}
	}
	if g == nil || !h.app.gate.enter() {
		// Caddy starts apps in any order, so the server may be up before the policies are loaded.
		w.Header().Set("Retry-After", "1")
		return caddyhttp.Error(http.StatusServiceUnavailable, errors.New("trusted publishing is starting or stopping"))
	}
	defer h.app.gate.leave()
	var original *url.URL
	if o, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		original = o.URL
	}
	return g.ServeHTTP(w, r, original, anew(next))
}

// routeGroups is where Caddy notes in a request's context which groups of routes had their turn. It exports no name for it.
const routeGroups = caddy.CtxKey("route_group")

// anew chooses among "handle" blocks each time that the gateway sends something on: it asks a registry whether a file is there
// before it forwards the file, and the question must not use up the block that the file needs too.
func anew(next caddyhttp.Handler) func(http.ResponseWriter, *http.Request) error {
	var before map[string]struct{}
	asked := false
	return func(w http.ResponseWriter, r *http.Request) error {
		// One request's chain runs once at a time, so what the last run noted can be undone in place.
		if groups, ok := r.Context().Value(routeGroups).(map[string]struct{}); ok {
			if asked {
				clear(groups)
				maps.Copy(groups, before)
			} else if len(groups) > 0 {
				before = maps.Clone(groups)
			}
		}
		asked = true
		return next.ServeHTTP(w, r)
	}
}

// warnAboutLogs looks for access logs that would show a credential.
func (h *Handler) warnAboutLogs(ctx caddy.Context) {
	mod, err := ctx.AppIfConfigured("http")
	if err != nil {
		return
	}
	app, ok := mod.(*caddyhttp.App)
	if !ok {
		return
	}
	for name, server := range app.Servers {
		if server == nil || server.Logs == nil {
			continue
		}
		if server.Logs.ShouldLogCredentials {
			h.app.warnOnce("the access log shows credentials: remove log_credentials (should_log_credentials), or every token and password of a publisher is written to it", "server", name)
		}
		if len(h.Registries) > 0 {
			h.app.warnOnce("the access log shows headers in which clients send credentials, unless its format leaves them out: \"format filter\" with \"request>headers>NAME delete\" for each (docs/operations.md, Logs)",
				"server", name, "headers", strings.Join(shownHeaders(h.Registries), " "))
		}
	}
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
