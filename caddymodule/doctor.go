package caddymodule

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/trustpub/trustpub/internal/cli"
	"github.com/trustpub/trustpub/internal/doctor"
)

// examination is a configuration as the doctor sees it: adapted and provisioned as "caddy run" would, and never started, so that it
// opens no listener, no store and no log.
type examination struct {
	json  []byte
	plain *doctor.Config
	ctx   caddy.Context
	app   *App
	http  *caddyhttp.App
	heard *heard
	files map[string]string // of logs, by log
}

// examine is "caddy trustpub doctor".
func examine(ctx context.Context, o cli.DoctorOptions) (*doctor.Report, error) {
	data, err := readFile(o.Config, o.In)
	if err != nil {
		return nil, err
	}
	x := &examination{heard: &heard{lines: map[string]*strings.Builder{}}}
	if err := x.listen(); err != nil {
		return nil, err
	}
	adapted, warnings, err := adapt(data, o.Config, o.Adapter)
	if err != nil {
		unread := doctor.Finding{Status: doctor.Fail, Message: "it can't be read: " + err.Error(), Help: "correct it; nothing else was looked at"}
		return doctor.Run(ctx, []doctor.Check{finding("config", unread)}, doctor.Options{}), nil
	}
	x.json = adapted
	if x.plain, err = doctor.ParseConfig(adapted); err != nil {
		return nil, err
	}
	checks := []doctor.Check{adaptedCheck(append(warnings, x.heard.warnings(ownLog)...))}
	if err := x.provision(); err != nil {
		checks = append(checks, finding("config", doctor.Finding{
			Status: doctor.Fail, Message: "Caddy would not start with it: " + err.Error(), Help: "correct it; nothing that depends on it was looked at",
		}))
	} else {
		more, err := x.checks(o)
		if err != nil {
			return nil, err
		}
		checks = append(checks, more...)
	}
	lent := new(leases)
	defer func() { _ = lent.releaseAll() }()
	if err := x.keep(lent); err != nil {
		return nil, err
	}
	return doctor.Run(ctx, checks, doctor.Options{Offline: o.Offline, Timeout: o.Timeout, Secrets: x.secrets()}), nil
}

// finding is a check that was made already.
func finding(area string, f doctor.Finding) doctor.Check {
	return doctor.Check{Area: area, What: f.Message, Run: func(context.Context) []doctor.Finding { return []doctor.Finding{f} }}
}

// adaptedCheck passes on what the adapter warns about, such as settings that are deprecated.
func adaptedCheck(warnings []caddyconfig.Warning) doctor.Check {
	return doctor.Check{Area: "config", What: "it can be read", Run: func(context.Context) []doctor.Finding {
		found := []doctor.Finding{{Status: doctor.OK, Message: "it can be read"}}
		for _, w := range warnings {
			if strings.Contains(w.Message, "is not formatted") {
				continue
			}
			found = append(found, doctor.Finding{
				Status: doctor.Warn, Message: warned(w),
				Help: "correct it before a new version of Caddy does not read it any more",
			})
		}
		return found
	}}
}

// warned is a warning with its place, where it has one.
func warned(w caddyconfig.Warning) string {
	text := strings.TrimPrefix(w.Directive+": "+w.Message, ": ")
	if w.Line > 0 {
		text = fmt.Sprintf("%s:%d: %s", w.File, w.Line, text)
	}
	return text
}

// standardConfig is the file that Caddy takes where none is named.
const standardConfig = "Caddyfile"

// readFile reads a configuration.
func readFile(file string, in io.Reader) (data []byte, err error) {
	if file == "-" {
		data, err = io.ReadAll(in)
	} else {
		data, err = os.ReadFile(cmp.Or(file, standardConfig))
	}
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	return data, nil
}

// adapt makes JSON of a configuration as "caddy run" does.
func adapt(data []byte, file, adapter string) ([]byte, []caddyconfig.Warning, error) {
	file = cmp.Or(file, standardConfig)
	base := strings.ToLower(filepath.Base(file))
	if adapter == "" && filepath.Ext(base) != ".json" && (strings.HasPrefix(base, "caddyfile") || strings.HasSuffix(base, ".caddyfile")) {
		adapter = "caddyfile"
	}
	if adapter == "" {
		if !json.Valid(data) {
			return nil, nil, fmt.Errorf("%s is not JSON: name its form with --adapter, as in --adapter caddyfile", file)
		}
		return data, nil, nil
	}
	how := caddyconfig.GetAdapter(adapter)
	if how == nil {
		return nil, nil, fmt.Errorf("this Caddy has no adapter %q", adapter)
	}
	return how.Adapt(data, map[string]any{"filename": file})
}

// ownLog is the log of this process, to which Caddy says what it thinks of a configuration while that is adapted.
const ownLog = "doctor"

// listen makes this process hear its own log instead of printing it.
func (x *examination) listen() error {
	x.register()
	own := map[string]json.RawMessage{"admin": json.RawMessage(`{"disabled":true,"config":{"persist":false}}`)}
	if _, err := x.heard.redirect(own); err != nil {
		return err
	}
	own["logging"] = bytes.ReplaceAll(own["logging"], []byte(`"log":"`+caddy.DefaultLoggerName), []byte(`"log":"`+ownLog))
	raw, err := json.Marshal(own)
	if err != nil {
		return err
	}
	for _, raw := range [][]byte{[]byte(quiet), raw} { // the first keeps Caddy from telling on the terminal of the second
		cfg := new(caddy.Config)
		if err := json.Unmarshal(raw, cfg); err != nil {
			return err
		}
		if _, err := caddy.ProvisionContext(cfg); err != nil {
			return err
		}
	}
	return nil
}

// provision makes all modules of the configuration, as "caddy validate" does.
func (x *examination) provision() error {
	config := map[string]json.RawMessage{}
	if err := json.Unmarshal(x.json, &config); err != nil {
		return err
	}
	var err error
	if x.files, err = x.heard.redirect(config); err != nil {
		return err
	}
	if err := shelve(config); err != nil {
		return err
	}
	redirected, err := json.Marshal(config)
	if err != nil {
		return err
	}
	cfg := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(redirected, cfg); err != nil {
		return err
	}
	if x.ctx, err = caddy.ProvisionContext(cfg); err != nil {
		return err
	}
	return x.find()
}

// register adds what only this process has: where logs are heard, and the storage that writes nothing.
func (x *examination) register() {
	for _, module := range []caddy.Module{&ear{heard: x.heard}, new(shelfModule)} {
		if _, err := caddy.GetModule(string(module.CaddyModule().ID)); err != nil {
			caddy.RegisterModule(module)
		}
	}
}

// find takes the apps out of the configuration.
func (x *examination) find() error {
	mod, err := x.ctx.AppIfConfigured(appName)
	if errors.Is(err, caddy.ErrNotConfigured) {
		return errors.New("the global option trusted_publishing is missing, so that there is no gateway")
	}
	if err != nil {
		return err
	}
	x.app = mod.(*App)
	mod, err = x.ctx.AppIfConfigured("http")
	if err == nil {
		x.http = mod.(*caddyhttp.App)
	}
	if len(x.app.declared) == 0 {
		return errors.New("no site has trusted_publishing with a registry, so that nothing is protected")
	}
	return nil
}

// registries are all that the configuration has, by name.
func (x *examination) registries() []*Registry {
	var all []*Registry
	if x.app == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(x.app.declared)) {
		all = append(all, x.app.declared[name].registry)
	}
	return all
}

// keep hands the sources what they keep between requests, for the time of the examination.
func (x *examination) keep(lent *leases) error {
	if x.app == nil {
		return nil
	}
	for _, h := range x.app.handlers {
		if err := h.keep(lent); err != nil {
			return err
		}
	}
	return nil
}

// serverOf finds a server that has a site with the registry.
func (x *examination) serverOf(r *Registry) (*caddyhttp.Server, error) {
	for _, name := range x.plain.ServersOf(r.Name) {
		if x.http != nil && x.http.Servers[name] != nil {
			return x.http.Servers[name], nil
		}
	}
	return nil, doctor.ErrNoSite
}
