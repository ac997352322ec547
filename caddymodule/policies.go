package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/trustpub/trustpub/internal/audit"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/policies"
)

// watched is a policy watcher that configurations with the same inputs share: an edit, its last good version and the
// generation of the policies go on over a reload.
type watched struct {
	*policies.Watcher
	storage lastGood
	audit   atomic.Pointer[audit.Log]

	mu   sync.Mutex
	last policies.LoadReport
	at   time.Time
}

func (a *App) openPolicies(ctx context.Context, s *services) error {
	env := a.policyEnv()
	inputs, err := json.Marshal([]any{a.Policies, env, a.dataDir})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(inputs)
	key := hex.EncodeToString(sum[:])
	storage := a.ctx.Storage()
	s.policies, err = take(&s.leases, "policies/"+key, func() (*watched, func() error, error) {
		w := new(watched)
		w.storage.use(storage, a.lastGoodKey())
		w.audit.Store(s.audit)
		watcher, err := policies.NewWatcher(a.Policies, env, policies.WatchOptions{
			LastGood: &w.storage, Logger: relayLogger, OnLoad: w.loaded,
		})
		if err != nil {
			return nil, nil, err
		}
		w.Watcher = watcher
		if err := watcher.Start(ctx); err != nil {
			return nil, nil, err
		}
		return w, func() error { watcher.Close(); return nil }, nil
	})
	return err
}

// policyEnv is what policies may refer to.
func (a *App) policyEnv() policies.Env {
	env := policies.Env{Registries: map[string]string{}, Bounds: a.PolicyBounds}
	a.mu.Lock()
	for name, d := range a.declared {
		env.Registries[name] = d.registry.Ecosystem
	}
	a.mu.Unlock()
	for _, i := range a.Issuers {
		cfg := i.config()
		env.Issuers = append(env.Issuers, policies.Issuer{Name: cfg.Name, Provider: cfg.Provider, Disabled: cfg.Disabled})
	}
	return env
}

// adopt points a shared watcher at the parts of the configuration that runs now.
func (w *watched) adopt(storage certmagic.Storage, log *audit.Log) {
	w.storage.swap(storage)
	w.audit.Store(log)
}

// loaded hears of each load: it is counted, audited, and shown on the status page.
func (w *watched) loaded(report policies.LoadReport) {
	w.mu.Lock()
	w.last, w.at = report, time.Now()
	w.mu.Unlock()
	result := "ok"
	detail := map[string]string{"hash": report.Hash, "policies": strconv.Itoa(report.Policies)}
	for _, f := range report.Errors {
		result = "failed"
		detail["error "+f.File] = f.Error()
	}
	detail["result"] = result
	policyLoads.WithLabelValues(result).Inc()
	policyCount.Set(float64(report.Policies))
	if log := w.audit.Load(); log != nil {
		log.Note(model.Event{Kind: model.EventPolicies, Detail: detail})
	}
}

// lastGoodKey is where the last good policies are kept. It depends on the paths alone: a changed set of registries or
// issuers must not lose them.
func (a *App) lastGoodKey() string {
	sum := sha256.Sum256([]byte(strings.Join(a.Policies, "\x00")))
	return appName + "/policies/" + hex.EncodeToString(sum[:8]) + ".json"
}

// lastGood keeps the last good policies in the storage of the configuration that runs now.
type lastGood struct {
	key     string
	storage atomic.Pointer[certmagic.Storage]
}

func (l *lastGood) use(storage certmagic.Storage, key string) {
	l.key = key
	l.swap(storage)
}

func (l *lastGood) swap(storage certmagic.Storage) { l.storage.Store(&storage) }

// Load reads the last good policies; fs.ErrNotExist where there are none.
func (l *lastGood) Load(ctx context.Context) ([]byte, error) {
	return (*l.storage.Load()).Load(ctx, l.key)
}

// Store writes them.
func (l *lastGood) Store(ctx context.Context, b []byte) error {
	return (*l.storage.Load()).Store(ctx, l.key, b)
}

// status is the policy set as the status page shows it.
func (w *watched) status() PolicyStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := PolicyStatus{Hash: w.last.Hash, Count: w.last.Policies, LastLoad: w.at}
	for _, f := range w.last.Errors {
		st.Errors = append(st.Errors, f.Error())
	}
	if len(st.Errors) > 0 {
		st.LastError = st.Errors[0]
	}
	return st
}
