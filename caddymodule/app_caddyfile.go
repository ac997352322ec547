package caddymodule

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/trustpub/trustpub/internal/model"
)

func init() { httpcaddyfile.RegisterGlobalOption(appName, parseApp) }

// parseApp reads the global option. It may be given once.
func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next()
		return nil, d.Errf("the global option %s is given twice", appName)
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: appName, Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile reads the global option:
//
//	trusted_publishing {
//		policies PATH... {
//			registry NAME...
//			packages PATTERN...
//			actions  ACTION...
//			issuer   NAME...
//			FIELD    VALUE...
//		}
//		issuer PROVIDER [URL] {
//			name         NAME
//			ca           FILE
//			keys         FILE
//			max_lifetime DURATION
//			algorithms   NAME...
//			disabled
//		}
//		token_lifetime DURATION
//		token_key      SECRET
//		signing_key    SECRET...
//		nodes          NUMBER
//		limits {
//			LIMIT VALUE|off
//		}
//		store          MODULE [ARGS...] { ... }
//		audit          PATH
//		audit          MODULE [ARGS...] { ... }
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	if d.NextArg() {
		return d.Errf("%s takes no arguments, only a block", appName)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := a.option(d); err != nil {
			return err
		}
	}
	return nil
}

// option reads one line of the global option.
func (a *App) option(d *caddyfile.Dispenser) error {
	switch name := d.Val(); name {
	case "policies":
		return a.unmarshalPolicies(d)
	case "issuer":
		var issuer Issuer
		if err := issuer.unmarshalCaddyfile(d); err != nil {
			return err
		}
		a.Issuers = append(a.Issuers, issuer)
	case "token_lifetime":
		return once(d, name, a.TokenLifetime != 0, func(v string) error { return duration(&a.TokenLifetime, v) })
	case "token_key":
		return once(d, name, a.TokenKey != "", func(v string) error {
			a.TokenKey = model.Secret(v)
			return a.TokenKey.Validate()
		})
	case "signing_key":
		if a.SigningKey != nil {
			return d.Errf("signing_key is given twice: write all secrets in one line, the one that signs first")
		}
		return a.signingKeys(d)
	case "nodes":
		return once(d, name, a.Nodes != 0, func(v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 {
				return errors.New("expected a whole number, 1 or more")
			}
			a.Nodes = n
			return nil
		})
	case "limits":
		if a.Limits != (Limits{}) {
			return d.Errf("limits is given twice: write all limits in one block")
		}
		return a.Limits.unmarshalCaddyfile(d)
	case "store":
		if a.StoreRaw != nil {
			return d.Errf("store is given twice")
		}
		raw, err := parseGuest(d, storeNamespace, "store")
		a.StoreRaw = raw
		return err
	case "audit":
		raw, err := parseAudit(d)
		a.AuditRaw = append(a.AuditRaw, raw)
		return err
	default:
		return d.Errf("unrecognized subdirective %q of %s: expected policies, issuer, token_lifetime, token_key, signing_key, nodes, limits, store or audit", name, appName)
	}
	return nil
}

// signingKeys reads the secrets of a line.
func (a *App) signingKeys(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Errf("signing_key needs at least one secret, as in {file./run/secrets/trustpub-signing-key}")
	}
	for _, arg := range args {
		secret := model.Secret(arg)
		if err := secret.Validate(); err != nil {
			return d.Errf("signing_key: %v", err)
		}
		a.SigningKey = append(a.SigningKey, secret)
	}
	return nil
}

// parseAudit reads an audit sink: a module, or a path as a short form of "audit file PATH". What contains a slash or a dot is
// a path; module names have neither.
func parseAudit(d *caddyfile.Dispenser) (json.RawMessage, error) {
	if !d.NextArg() {
		return nil, d.Errf("audit needs a path or the name of its module")
	}
	if !strings.ContainsAny(d.Val(), `/\.`) {
		d.Prev()
		return parseGuest(d, auditNamespace, "audit sink")
	}
	path := besideCaddyfile(d, d.Val())
	if d.NextArg() {
		return nil, d.Errf("too many arguments after audit PATH: write \"audit file PATH { ... }\" for settings")
	}
	if d.NextBlock(d.Nesting()) {
		return nil, d.Errf("audit PATH takes no block: write \"audit file PATH { ... }\"")
	}
	return caddyconfig.JSON(map[string]string{inlineKey: "file", "path": path}, nil), nil
}

// unmarshalCaddyfile reads one issuer; the dispenser stands on the word issuer.
func (i *Issuer) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch len(args) {
	case 2:
		i.URL = args[1]
		fallthrough
	case 1:
		i.Provider = args[0]
	default:
		return d.Errf("write issuer PROVIDER [URL], as in \"issuer github\" or \"issuer gitlab https://gitlab.example.com\"")
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := i.option(d); err != nil {
			return err
		}
	}
	if i.Name == "" {
		i.Name = i.Provider
	}
	return nil
}

// option reads one line of an issuer's block.
func (i *Issuer) option(d *caddyfile.Dispenser) error {
	switch name := d.Val(); name {
	case "name":
		return once(d, name, i.Name != "", func(v string) error { i.Name = v; return nil })
	case "ca":
		return once(d, name, i.CA != "", func(v string) error { i.CA = besideCaddyfile(d, v); return nil })
	case "keys":
		return once(d, name, i.Keys != "", func(v string) error { i.Keys = besideCaddyfile(d, v); return nil })
	case "max_lifetime":
		return once(d, name, i.MaxLifetime != 0, func(v string) error { return duration(&i.MaxLifetime, v) })
	case "algorithms":
		args := d.RemainingArgs()
		if len(args) == 0 {
			return d.Errf("algorithms needs at least one of RS256, ES256, ...")
		}
		i.Algorithms = append(i.Algorithms, args...)
	case "break_glass":
		i.BreakGlass = true
		if d.NextArg() {
			return d.Errf("break_glass takes no argument")
		}
	case "disabled":
		i.Disabled = true
		if d.NextArg() {
			return d.Errf("disabled takes no argument")
		}
	default:
		return d.Errf("unrecognized subdirective %q of issuer: expected name, ca, keys, max_lifetime, algorithms, break_glass or disabled", name)
	}
	return nil
}

// once reads the one value of a subdirective that may be given once. Its errors never quote the value.
func once(d *caddyfile.Dispenser, name string, given bool, set func(string) error) error {
	if given {
		return d.Errf("%s is given twice", name)
	}
	if !d.NextArg() {
		return d.Errf("%s needs a value", name)
	}
	if err := set(d.Val()); err != nil {
		return d.Errf("%s: %v", name, err)
	}
	if d.NextArg() {
		return d.Errf("too many arguments after %s", name)
	}
	return nil
}

// duration reads a positive duration.
func duration(into *model.Duration, v string) error {
	if err := into.UnmarshalText([]byte(v)); err != nil {
		return err
	}
	if time.Duration(*into) <= 0 {
		return errNotPositive
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*App)(nil)
