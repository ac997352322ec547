package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/trustpub/trustpub/internal/audit"
	"github.com/trustpub/trustpub/internal/identity"
	"github.com/trustpub/trustpub/internal/model"
)

func init() { caddy.RegisterModule(adminAPI{}) }

// statusPath is the admin API's route.
const statusPath = "/" + appName + "/status"

// adminAPI adds /trusted_publishing/status and /trusted_publishing/deny to Caddy's admin API. Caddy makes it before the apps, so it looks at the
// state of now when it is asked.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api." + appName, New: func() caddy.Module { return new(adminAPI) }}
}

// Routes implements caddy.AdminRouter.
func (adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: statusPath, Handler: caddy.AdminHandlerFunc(serveStatus)},
		{Pattern: denyPath, Handler: caddy.AdminHandlerFunc(serveDeny)},
	}
}

// Status is the answer of the status route. It holds no secret: names, URLs, counts and errors.
type Status struct {
	// Running is false while no configuration with trusted publishing runs; all else is then empty.
	Running    bool                      `json:"running"`
	Issuers    []identity.Status         `json:"issuers"`
	Policies   PolicyStatus              `json:"policies"`
	Registries map[string]RegistryStatus `json:"registries"`
	Store      StoreStatus               `json:"store"`
	Audit      []audit.Status            `json:"audit"`
	// Switches are what operators have stopped.
	Switches []model.Switch `json:"switches"`
}

// PolicyStatus is the policy set in force.
type PolicyStatus struct {
	Hash     string    `json:"hash"`
	Count    int       `json:"count"`
	LastLoad time.Time `json:"last_load,omitzero"`
	// LastError is the first of Errors: files whose last good version is in force instead.
	LastError string   `json:"last_error,omitempty"`
	Errors    []string `json:"errors,omitempty"`
}

// RegistryStatus is one registry with its counts since the process started.
type RegistryStatus struct {
	Ecosystem string `json:"ecosystem"`
	PublicURL string `json:"public_url"`
	Mode      string `json:"mode"`
	Body      string `json:"body"`
	Requests  int64  `json:"requests"`
	Denied    int64  `json:"denied"`
	Uploads   int64  `json:"uploads"`
	Bytes     int64  `json:"bytes"`
}

// StoreStatus is the store of claims and revocations.
type StoreStatus struct {
	Module string `json:"module"`
	Error  string `json:"error,omitempty"`
}

func serveStatus(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: errors.New("the status can only be read: use GET")}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(currentStatus(r.Context()))
}

// currentStatus asks every part how it is.
func currentStatus(ctx context.Context) Status {
	status := Status{Issuers: []identity.Status{}, Registries: map[string]RegistryStatus{}, Audit: []audit.Status{}, Switches: []model.Switch{}}
	app := active.Load()
	if app == nil || !app.gate.enter() {
		return status
	}
	defer app.gate.leave()
	s := app.running.Load()
	if s == nil {
		return status
	}
	status.Running = true
	status.Issuers = s.issuerStatuses()
	status.Policies = s.policies.status()
	status.Audit = s.audit.Status()
	status.Store.Module = app.store.name
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := s.store.Revoked(ctx, "status"); err != nil {
		status.Store.Error = err.Error()
	}
	if list, err := s.switches.List(ctx); err == nil {
		status.Switches = list
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	for name, d := range app.declared {
		c, r := countersFor(name), d.registry.resolved
		status.Registries[name] = RegistryStatus{
			Ecosystem: r.Protocol, PublicURL: r.Public.String(), Mode: string(r.Mode), Body: string(r.Body),
			Requests: c.requests.Load(), Denied: c.denied.Load(), Uploads: c.uploads.Load(), Bytes: c.bytes.Load(),
		}
	}
	return status
}

func (s *services) issuerStatuses() []identity.Status {
	all := make([]identity.Status, 0, len(s.issuers))
	for _, i := range s.issuers {
		all = append(all, i.Status())
	}
	return all
}

// recordStart audits that a configuration has begun to serve.
func (a *App) recordStart(s *services) {
	detail := map[string]string{"store": a.store.name}
	for _, i := range a.Issuers {
		state := "enabled"
		if i.Disabled {
			state = "disabled"
		}
		detail["issuer "+i.config().Name] = i.Provider + ", " + state
	}
	a.mu.Lock()
	for name, d := range a.declared {
		detail["registry "+name] = d.registry.Ecosystem + ", " + d.registry.Mode + ", " + d.registry.public.String()
	}
	a.mu.Unlock()
	s.audit.Note(model.Event{Kind: model.EventConfig, Detail: detail})
}

// exitOnce registers the exit callback once per process.
var exitOnce sync.Once

// onExit makes the process wait for configurations that are still being closed, so that the audit's last lines are written.
func onExit() {
	exitOnce.Do(func() {
		caddy.OnExit(func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			if err := pending.wait(ctx); err != nil {
				relayLogger.Warn("exiting while requests are still running: their last audit events may be lost", "error", err)
			}
		})
	})
}

// Interface guards
var _ caddy.AdminRouter = (*adminAPI)(nil)
