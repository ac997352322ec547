package caddymodule

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/trustpub/trustpub/internal/audit"
	"github.com/trustpub/trustpub/internal/cli"
	"github.com/trustpub/trustpub/internal/doctor"
	"github.com/trustpub/trustpub/internal/publishtoken"
	"github.com/trustpub/trustpub/internal/store"
)

// checks lists all that is looked at, in the order of the report.
func (x *examination) checks(o cli.DoctorOptions) ([]doctor.Check, error) {
	a := x.app
	env := a.policyEnv()
	var all []doctor.Check
	for _, i := range a.issuers {
		all = append(all, doctor.Issuer(i), doctor.IssuerSettings(i))
	}
	all = append(all, doctor.Policies(a.Policies, env))
	var regs []doctor.Registry
	for _, r := range x.registries() {
		one := x.registry(r, doctor.PackageOf(a.Policies, env, r.Name))
		regs = append(regs, one)
		all = append(all, doctor.Mode(one, r.Mode), doctor.Reach(one))
		all = append(all, x.secretChecks(r.Name, r.credential)...)
		all = append(all, doctor.Credential(one))
	}
	all = append(all, x.plain.Upstreams(), x.plain.Around())
	for _, text := range o.Direct {
		r, address, err := doctor.ParseDirect(text, regs)
		if err != nil {
			return nil, &cli.ExitError{Code: cli.ExitUsage, Err: err}
		}
		all = append(all, doctor.Direct(r, address))
	}
	if len(o.Direct) == 0 {
		all = append(all, finding("around", doctor.Finding{
			Status: doctor.Skip, Message: "whether the registries can be reached around the gateway: no address is given",
			Help: "give the registry's own address with --direct NAME=URL, here and on a machine of the jobs",
		}))
	}
	all = append(all, x.storeChecks()...)
	all = append(all, x.auditChecks()...)
	for _, r := range x.registries() {
		all = append(all, x.logCheck(r))
	}
	for _, name := range slices.Sorted(maps.Keys(x.files)) {
		all = append(all, doctor.File("logs", name, x.files[name]))
	}
	return append(all, x.plain.Debug(regs), x.plain.Certificates(regs), x.plain.AdminAPI(caddy.DefaultAdminListen)), nil
}

// registry is a registry as the doctor sees it.
func (x *examination) registry(r *Registry, pkg string) doctor.Registry {
	return doctor.Registry{
		Name: r.Name, Ecosystem: r.Ecosystem, Public: r.public, Source: r.resolved.Source, SourceName: r.sourceName, Package: pkg,
		Ask: func(ctx context.Context, path string, header http.Header) (doctor.Answer, error) {
			server, err := x.serverOf(r)
			if err != nil {
				return doctor.Answer{}, err
			}
			u, err := url.Parse(r.public.Scheme + "://" + r.public.Host + path)
			if err != nil {
				return doctor.Answer{}, err
			}
			q := &inquiry{registry: r.Name, header: header}
			return q.ask(ctx, server, u.String(), nil)
		},
	}
}

// storeChecks look at the store, the storage and the signing keys.
func (x *examination) storeChecks() []doctor.Check {
	a := x.app
	var all []doctor.Check
	all = append(all, x.secretChecks("store "+a.store.name, a.store.config)...)
	all = append(all, doctor.Store(a.store.name, a.store.config, store.Env{DataDir: a.dataDir, Logger: relayLogger})...)
	folder, storage := "", configuredStorage(a.ctx.Storage())
	if fs, is := storage.(*certmagic.FileStorage); is {
		folder = fs.Path
		all = append(all, doctor.Folder("storage", "", folder))
	} else {
		all = append(all, doctor.WriteStorage(storage))
	}
	shared, is := a.store.config.(store.Shared)
	all = append(all, doctor.Nodes(a.Nodes, a.store.name, is && shared.SharedByNodes(), len(a.SigningKey) > 0, folder))
	all = append(all, doctor.TokenLifetime(time.Duration(a.TokenLifetime)))
	what := "the signing keys in the storage"
	if len(a.SigningKey) > 0 {
		what = "signing_key"
	}
	return append(all, doctor.SigningKeys(what, folder == "" && len(a.SigningKey) == 0, func(ctx context.Context) (int, error) {
		minter, err := publishtoken.New(publishtoken.Options{
			Storage: a.ctx.Storage(), Logger: relayLogger, Lifetime: time.Duration(a.TokenLifetime), KeyFile: a.TokenKey, Mounted: a.SigningKey,
		})
		if err != nil {
			return 0, err
		}
		return minter.Inspect(ctx)
	}))
}

// auditChecks look at the files of the audit.
func (x *examination) auditChecks() []doctor.Check {
	var all []doctor.Check
	for _, sink := range x.app.sinks {
		filed, is := sink.config.(audit.Filed)
		if !is {
			continue
		}
		if path, err := filed.File(); err == nil {
			all = append(all, doctor.File("audit", sink.name, path))
		}
	}
	return all
}

// secretChecks look at each secret of a part's configuration.
func (x *examination) secretChecks(subject string, config any) []doctor.Check {
	var all []doctor.Check
	for _, s := range secretsOf(reflect.ValueOf(config), "") {
		path, _ := strings.CutPrefix(string(s.secret), "{file.")
		path, isFile := strings.CutSuffix(path, "}")
		if !isFile || !strings.HasPrefix(string(s.secret), "{file.") {
			path = ""
		}
		all = append(all, doctor.Secret(subject, s.field, string(s.secret), path, s.secret.Resolve))
	}
	return all
}

// secrets are the texts of all secrets, so that none is printed.
func (x *examination) secrets() []string {
	if x.app == nil {
		return nil
	}
	list := secretsOf(reflect.ValueOf(x.app.store.config), "")
	for _, r := range x.registries() {
		list = append(list, secretsOf(reflect.ValueOf(r.credential), "")...)
	}
	for _, s := range append(slices.Clone(x.app.SigningKey), x.app.TokenKey) {
		list = append(list, namedSecret{secret: s})
	}
	var texts []string
	for _, s := range list {
		if text, err := s.secret.Resolve(); err == nil {
			texts = append(texts, text)
		}
	}
	return texts
}
