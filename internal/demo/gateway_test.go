package demo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/audit"
	"github.com/trustpub/trustpub/internal/audit/file"
	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/distribution"
	"github.com/trustpub/trustpub/internal/credential/static"
	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/cargo"
	"github.com/trustpub/trustpub/internal/ecosystem/generic"
	"github.com/trustpub/trustpub/internal/ecosystem/hex"
	"github.com/trustpub/trustpub/internal/ecosystem/maven"
	"github.com/trustpub/trustpub/internal/ecosystem/npm"
	"github.com/trustpub/trustpub/internal/ecosystem/nuget"
	"github.com/trustpub/trustpub/internal/ecosystem/oci"
	"github.com/trustpub/trustpub/internal/ecosystem/pypi"
	"github.com/trustpub/trustpub/internal/ecosystem/rubygems"
	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/identity"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/publishtoken"
	"github.com/trustpub/trustpub/internal/store/memory"
	"github.com/trustpub/trustpub/internal/switches"
	"github.com/trustpub/trustpub/policies"
)

// plainGateway is the gateway of the demo without Caddy: what the Caddyfile says, on net/http.
type plainGateway struct {
	server *http.Server
	closed []func() error
}

var _ Gateway = (*plainGateway)(nil)

func (g *plainGateway) Stop() error {
	errs := []error{g.server.Close()}
	for _, f := range g.closed {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// facts of the Caddyfile that the plain gateway needs.
var (
	registryIn = regexp.MustCompile(`registry (\S+) (\S+) (\S+) {`)
	issuerIn   = regexp.MustCompile(`issuer github (\S+)`)
	tlsIn      = regexp.MustCompile(`tls "(\S+)" "(\S+)"`)
	layoutIn   = regexp.MustCompile(`layout (\S+)`)
	sourceIn   = regexp.MustCompile(`credential (\S+) {\s+(.+) (\{file\.\S+\})`)
	upstreamIn = regexp.MustCompile(`reverse_proxy (\S+) {`)
)

// startPlain builds a gateway from a Caddyfile of the demo.
func startPlain(t *testing.T) func(ctx context.Context, caddyfile string) (Gateway, error) {
	return func(ctx context.Context, caddyfile string) (Gateway, error) {
		text, err := os.ReadFile(caddyfile)
		if err != nil {
			return nil, err
		}
		in := func(re *regexp.Regexp, group int) string {
			m := re.FindSubmatch(text)
			if m == nil {
				t.Fatalf("the Caddyfile has no %s:\n%s", re, text)
			}
			return string(m[group])
		}
		public, err := url.Parse(in(registryIn, 3))
		if err != nil {
			return nil, err
		}
		site := site{dir: filepath.Dir(caddyfile), name: in(registryIn, 1), protocol: in(registryIn, 2), public: public, issuer: in(issuerIn, 1)}
		if m := layoutIn.FindSubmatch(text); m != nil {
			site.layout = string(m[1])
		}
		source, err := sourceOf(in(sourceIn, 1), strings.Fields(in(sourceIn, 2)), model.Secret(in(sourceIn, 3)))
		if err != nil {
			return nil, err
		}
		g := &plainGateway{}
		cfg, err := g.config(ctx, site, source)
		if err != nil {
			return nil, err
		}
		gw, err := gateway.New(cfg)
		if err != nil {
			return nil, err
		}
		upstream := &url.URL{Scheme: "http", Host: in(upstreamIn, 1)}
		proxy := &httputil.ReverseProxy{
			ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
			Rewrite: func(r *httputil.ProxyRequest) { // what Caddy does
				r.SetURL(upstream)
				r.SetXForwarded()
				r.Out.Host = r.In.Host
			},
		}
		g.server = &http.Server{
			ReadHeaderTimeout: time.Minute, ErrorLog: proxy.ErrorLog,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = gw.ServeHTTP(w, r, r.URL, func(w http.ResponseWriter, r *http.Request) error { proxy.ServeHTTP(w, r); return nil })
			}),
		}
		listener, err := net.Listen("tcp", "127.0.0.1:"+public.Port())
		if err != nil {
			return nil, err
		}
		go func() { _ = g.server.ServeTLS(listener, in(tlsIn, 1), in(tlsIn, 2)) }()
		return g, nil
	}
}

// site is what the Caddyfile says.
type site struct {
	dir, name, protocol, layout, issuer string
	public                              *url.URL
}

// ecosystems are those that the demo can show.
var ecosystems = map[string]ecosystem.Kind{
	"pypi": pypi.Kind, "npm": npm.Kind, "cargo": cargo.Kind, "oci": oci.Kind, "maven": maven.Kind, "generic": generic.Kind,
	"rubygems": rubygems.Kind, "nuget": nuget.Kind, "hex": hex.Kind,
}

// sourceOf is the configuration of a credential.
func sourceOf(source string, option []string, secret model.Secret) (credential.Config, error) {
	switch kind := source + " " + option[0]; kind {
	case "static basic":
		return &static.Config{Basic: &static.Basic{User: option[1], Password: secret}}, nil
	case "static bearer":
		return &static.Config{Bearer: secret}, nil
	case "static header":
		return &static.Config{Header: &static.Header{Name: option[1], Value: secret}}, nil
	case "distribution key":
		return &distribution.Config{Key: secret}, nil
	default:
		return nil, fmt.Errorf("no credential %q", kind)
	}
}

// config wires the neighbours.
func (g *plainGateway) config(ctx context.Context, site site, credentials credential.Config) (gateway.Config, error) {
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	iss, err := identity.NewIssuer(identity.Config{Name: "github", Provider: "github", URL: site.issuer}, identity.Options{Logger: logger})
	if err != nil {
		return gateway.Config{}, err
	}
	iss.Start()
	verifier, err := identity.NewVerifier([]*identity.Issuer{iss}, identity.Options{Logger: logger})
	if err != nil {
		return gateway.Config{}, err
	}
	sink, err := (&file.Config{Path: filepath.Join(site.dir, "audit.jsonl")}).Open(ctx, audit.Env{DataDir: site.dir, Logger: logger})
	if err != nil {
		return gateway.Config{}, err
	}
	log, err := audit.New(audit.Options{Sinks: []audit.Sink{sink}, Logger: logger})
	if err != nil {
		return gateway.Config{}, err
	}
	set, err := policies.NewWatcher([]string{filepath.Join(site.dir, "policies")}, policyEnv(site.name, site.protocol), policies.WatchOptions{
		Logger: logger, OnLoad: func(report policies.LoadReport) { log.Note(loadEvent(report)) },
	})
	if err != nil {
		return gateway.Config{}, err
	}
	if err := set.Start(ctx); err != nil {
		return gateway.Config{}, err
	}
	tokens, err := publishtoken.New(publishtoken.Options{Storage: new(oneFile), Logger: logger})
	if err != nil {
		return gateway.Config{}, err
	}
	eco, err := ecosystems[site.protocol].New(ecosystem.Settings{Registry: site.name, Public: site.public, Layout: site.layout})
	if err != nil {
		return gateway.Config{}, err
	}
	source, err := credentials.Provision(credential.Env{Registry: site.name, Ecosystem: site.protocol, Public: site.public, Logger: logger})
	if err != nil {
		return gateway.Config{}, err
	}
	// The store is made with a start in the past: the tokens of this test are as old as the process.
	start := time.Now().Add(-time.Minute)
	first := true
	claims := memory.New(func() time.Time {
		if first {
			first = false
			return start
		}
		return time.Now()
	})
	board, err := switches.Open(ctx, claims, switches.Options{Logger: logger})
	if err != nil {
		return gateway.Config{}, err
	}
	g.closed = append(g.closed, func() error { iss.Close(); set.Close(); return nil }, board.Close, log.Close, claims.Close)
	return gateway.Config{
		Registries: []gateway.Registry{{
			Name: site.name, Protocol: site.protocol, Ecosystem: eco, Public: site.public,
			Audiences: gateway.DefaultAudiences(site.protocol, site.public), Source: source,
		}},
		Verifier: verifier, Tokens: tokens, Policies: set, Switches: board, Store: claims, Auditor: log, Meter: noMeter{}, Logger: logger, SpoolDir: site.dir,
	}, nil
}

// policyEnv is what the demo's policies may refer to.
func policyEnv(registry, ecosystem string) policies.Env {
	return policies.Env{
		Registries: map[string]string{registry: ecosystem}, Issuers: []policies.Issuer{{Name: "github", Provider: "github"}},
	}
}

// loadEvent is a load as the audit has it.
func loadEvent(report policies.LoadReport) model.Event {
	detail := map[string]string{"result": "ok"}
	for _, e := range report.Errors {
		detail["result"], detail["error "+e.File] = "failed", e.Error()
	}
	return model.Event{Kind: model.EventPolicies, Detail: detail}
}

// explainPlainly is the explanation without the command line; the token was made a moment ago, so its claims are believed.
func explainPlainly(_ context.Context, token string, q Question) (string, error) {
	_, middle, _ := strings.Cut(token, ".")
	middle, _, _ = strings.Cut(middle, ".")
	payload, err := base64.RawURLEncoding.DecodeString(middle)
	if err != nil {
		return "", err
	}
	id := &model.Identity{Issuer: "github", Provider: "github"}
	if err := json.Unmarshal(payload, &id.Claims); err != nil {
		return "", err
	}
	set, err := policies.Load([]string{q.Policies}, policyEnv(q.Registry, q.Ecosystem))
	if err != nil {
		return "", err
	}
	return set.Explain(id, model.Target{Ecosystem: q.Ecosystem, Registry: q.Registry, Package: q.Package, Action: model.ActionPublish}).String(), nil
}

type noMeter struct{}

func (noMeter) Request(string, string, string, model.Code) {}
func (noMeter) Upload(string, int64, time.Duration)        {}
func (noMeter) Limited(string)                             {}

// oneFile is a storage for one process.
type oneFile struct{ value []byte }

func (s *oneFile) Load(context.Context, string) ([]byte, error) {
	if s.value == nil {
		return nil, os.ErrNotExist
	}
	return s.value, nil
}
func (s *oneFile) Store(_ context.Context, _ string, v []byte) error { s.value = v; return nil }
func (s *oneFile) Lock(context.Context, string) error                { return nil }
func (s *oneFile) Unlock(context.Context, string) error              { return nil }
