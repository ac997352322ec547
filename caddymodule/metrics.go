package caddymodule

import (
	"errors"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

// The collectors live as long as the process and are registered again with the registry of each configuration, so that
// counters go on over a reload. Their labels are names of the configuration, operations and codes: never a package, a claim
// or anything else that a client chooses.
var (
	requestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: appName, Name: "requests_total",
		Help: "Requests that the gateway has judged, by the code of the refusal (empty: let through).",
	}, []string{"registry", "operation", "credential", "code"})
	uploadBytes = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: appName, Name: "upload_size_bytes",
		Help:    "Sizes of published files.",
		Buckets: prometheus.ExponentialBuckets(16<<10, 8, 7),
	}, []string{"registry"})
	uploadSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: appName, Name: "upload_duration_seconds",
		Help:    "How long uploads took, from the first byte to the registry's answer.",
		Buckets: prometheus.ExponentialBuckets(0.05, 4, 8),
	}, []string{"registry"})
	limitedTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: appName, Name: "limited_total",
		Help: "Requests that were refused by a limit, by its name in the configuration.",
	}, []string{"limit"})
	policyLoads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: appName, Name: "policy_loads_total",
		Help: "Loads of the policy set, by result (ok, failed: at least one file kept its last good version).",
	}, []string{"result"})
	policyCount = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: appName, Name: "policies",
		Help: "Policies that are in force.",
	})
)

func init() {
	for _, name := range limitNames() { // from the beginning, so that a first refusal is an increase
		limitedTotal.WithLabelValues(name)
	}
}

// registerMetrics registers the collectors with the registry of the configuration that is being loaded.
func registerMetrics(ctx caddy.Context) {
	registry := ctx.GetMetricsRegistry()
	if registry == nil {
		return
	}
	for _, c := range []prometheus.Collector{requestsTotal, uploadBytes, uploadSeconds, limitedTotal, policyLoads, policyCount, stateCollector{}} {
		var already prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &already) {
			caddy.Log().Named(appName).Sugar().Errorw("registering metrics", "error", err)
		}
	}
}

// counters are a registry's own counts for the status page; they go on over a reload too.
type counters struct {
	requests, denied, uploads, bytes atomic.Int64
}

var (
	countersMu sync.RWMutex
	countersOf = map[string]*counters{}
)

// countersFor returns the counters of a registry; the names are those of the configuration, so there are few.
func countersFor(registry string) *counters {
	countersMu.RLock()
	c := countersOf[registry]
	countersMu.RUnlock()
	if c != nil {
		return c
	}
	countersMu.Lock()
	defer countersMu.Unlock()
	if c = countersOf[registry]; c == nil {
		c = new(counters)
		countersOf[registry] = c
	}
	return c
}

// meter implements gateway.Meter.
type meter struct{}

// Request implements gateway.Meter.
func (meter) Request(registry, operation, credential string, code model.Code) {
	requestsTotal.WithLabelValues(registry, operation, credential, string(code)).Inc()
	c := countersFor(registry)
	c.requests.Add(1)
	if code != "" {
		c.denied.Add(1)
	}
}

// Upload implements gateway.Meter.
func (meter) Upload(registry string, bytes int64, took time.Duration) {
	uploadBytes.WithLabelValues(registry).Observe(float64(bytes))
	uploadSeconds.WithLabelValues(registry).Observe(took.Seconds())
	c := countersFor(registry)
	c.uploads.Add(1)
	c.bytes.Add(bytes)
}

// Limited implements gateway.Meter.
func (meter) Limited(name string) { limitedTotal.WithLabelValues(name).Inc() }

// stateCollector reads the state of now when it is asked: issuers, audit sinks and spools.
type stateCollector struct{}

var (
	issuerKeys = prometheus.NewDesc(appName+"_issuer_keys", "Usable keys of an issuer.", []string{"issuer"}, nil)
	auditLost  = prometheus.NewDesc(appName+"_audit_lost_total", "Audit events of refusals and outcomes that could not be kept.", []string{"sink"}, nil)
	spools     = prometheus.NewDesc(appName+"_spools", "Uploads that are spooled now.", nil, nil)
	spoolBytes = prometheus.NewDesc(appName+"_spool_bytes", "Their bytes on the disk.", nil, nil)
)

// Describe implements prometheus.Collector.
func (stateCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- issuerKeys
	ch <- auditLost
	ch <- spools
	ch <- spoolBytes
}

// Collect implements prometheus.Collector.
func (stateCollector) Collect(ch chan<- prometheus.Metric) {
	app := active.Load()
	if app == nil {
		return
	}
	s := app.running.Load()
	if s == nil {
		return
	}
	statuses := s.issuerStatuses()
	sort.Slice(statuses, func(i, j int) bool { return statuses[i].Name < statuses[j].Name })
	for _, st := range statuses {
		ch <- prometheus.MustNewConstMetric(issuerKeys, prometheus.GaugeValue, float64(st.Keys), st.Name)
	}
	for _, st := range s.audit.Status() {
		ch <- prometheus.MustNewConstMetric(auditLost, prometheus.CounterValue, float64(st.Lost), st.Sink)
	}
	uploads, bytes := s.limits.Spooled()
	ch <- prometheus.MustNewConstMetric(spools, prometheus.GaugeValue, float64(uploads))
	ch <- prometheus.MustNewConstMetric(spoolBytes, prometheus.GaugeValue, float64(bytes))
}

// Interface guards
var (
	_ gateway.Meter        = meter{}
	_ prometheus.Collector = stateCollector{}
)
