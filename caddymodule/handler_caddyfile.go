package caddymodule

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective(appName, parseHandler)
	// Before any directive that rewrites the request: what is judged is what the client sent.
	httpcaddyfile.RegisterDirectiveOrder(appName, httpcaddyfile.Before, "method")
}

var errNotPositive = errors.New("expected a positive duration")

// parseHandler reads the directive.
func parseHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return handler, nil
}

// UnmarshalCaddyfile reads the directive:
//
//	trusted_publishing {
//		registry NAME ECOSYSTEM PUBLIC-URL {
//			credential MODULE [ARGS...] { ... }
//			mode       enforce|claimed|observe
//			body       chunked|as_sent|spool
//			audience   AUDIENCE...
//			direct     on|off
//			verify_archive
//			checksum_deploy
//			properties NAME...
//			headers    NAME...
//			query      KEY...
//			exists      PATH
//			spool_limit SIZE
//		}
//		passthrough METHOD PREFIX
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.Errf("%s takes no arguments, only a block", appName)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch d.Val() {
		case "registry":
			var r Registry
			if err := r.unmarshalCaddyfile(d); err != nil {
				return err
			}
			h.Registries = append(h.Registries, r)
		case "passthrough":
			args := d.RemainingArgs()
			if len(args) != 2 {
				return d.Errf("write passthrough METHOD PREFIX, as in \"passthrough POST /+login\"")
			}
			p := Passthrough{Method: args[0], Prefix: args[1]}
			if err := p.check(); err != nil {
				return d.WrapErr(err)
			}
			h.Passthrough = append(h.Passthrough, p)
		default:
			return d.Errf("unrecognized subdirective %q of %s: expected registry or passthrough", d.Val(), appName)
		}
	}
	if len(h.Registries) == 0 {
		return d.Errf("%s needs at least one registry: write \"registry NAME ECOSYSTEM PUBLIC-URL\"", appName)
	}
	return nil
}

// unmarshalCaddyfile reads one registry; the dispenser stands on the word registry.
func (r *Registry) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 3 {
		return d.Errf("write registry NAME ECOSYSTEM PUBLIC-URL, as in \"registry internal-pypi pypi https://pypi.example.com/root/prod/\"")
	}
	r.Name, r.Ecosystem, r.PublicURL = args[0], args[1], args[2]
	if !registryName.MatchString(r.Name) {
		return d.Errf("registry name %q: expected lower-case letters, digits, '.', '_' and '-'", r.Name)
	}
	if _, ok := ecosystems[r.Ecosystem]; !ok {
		return d.Errf("unknown ecosystem %q: this build has %s", r.Ecosystem, ecosystemNames())
	}
	if _, err := parsePublicURL(r.PublicURL); err != nil {
		return d.WrapErr(err)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := r.option(d); err != nil {
			return err
		}
	}
	if r.CredentialRaw == nil {
		return d.Errf("registry %s needs a credential", r.Name)
	}
	checked := *r // check fills in defaults, which the adapted configuration leaves out
	if err := checked.check(); err != nil {
		return d.Errf("registry %s: %v", r.Name, err)
	}
	return nil
}

// option reads one line of a registry's block.
func (r *Registry) option(d *caddyfile.Dispenser) (err error) {
	switch name := d.Val(); name {
	case "credential":
		if r.CredentialRaw != nil {
			return d.Errf("credential is given twice")
		}
		r.CredentialRaw, err = parseGuest(d, credentialNamespace, "credential")
	case "mode":
		err = once(d, name, r.Mode != "", word(&r.Mode, modes))
	case "body":
		err = once(d, name, r.Body != "", word(&r.Body, bodies))
	case "audience":
		err = list(d, &r.Audiences)
	case "headers":
		err = list(d, &r.Headers)
	case "query":
		err = list(d, &r.Query)
	case "direct":
		var direct string
		err = once(d, name, r.DirectOff, word(&direct, []string{"on", "off"}))
		r.DirectOff = direct == "off"
	case "verify_archive":
		r.VerifyArchive = true
		if d.NextArg() {
			err = d.Errf("verify_archive takes no argument")
		}
	case "layout":
		err = once(d, name, r.Layout != "", func(v string) error {
			// The Caddyfile has read {file} as its own shorthand before any directive sees it.
			r.Layout = strings.ReplaceAll(v, "{http.request.uri.path.file}", "{file}")
			return nil
		})
	case "checksum_deploy":
		r.ChecksumDeploy = true
		if d.NextArg() {
			err = d.Errf("checksum_deploy takes no argument")
		}
	case "properties":
		err = list(d, &r.Properties)
	case "mutable_tags":
		err = list(d, &r.MutableTags)
	case "exists":
		err = once(d, name, r.Exists != "", func(v string) error {
			r.Exists = v
			return checkExists(v)
		})
	case "spool_limit":
		err = once(d, name, r.SpoolLimit != 0, func(v string) error {
			size, err := humanize.ParseBytes(v)
			if err != nil || size == 0 || size > math.MaxInt64 {
				return errors.New("expected a size like 500MB or 2GiB")
			}
			r.SpoolLimit = int64(size)
			return nil
		})
	default:
		err = d.Errf("unrecognized subdirective %q of registry: expected credential, mode, body, audience, direct, verify_archive, layout, mutable_tags, checksum_deploy, properties, headers, query, exists or spool_limit", name)
	}
	return err
}

// word takes one of the given words.
func word(into *string, words []string) func(string) error {
	return func(v string) error {
		for _, w := range words {
			if v == w {
				*into = v
				return nil
			}
		}
		return fmt.Errorf("got %q, expected one of %v", v, words)
	}
}

// list takes all arguments; the subdirective may repeat.
func list(d *caddyfile.Dispenser, into *[]string) error {
	name := d.Val()
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Errf("%s needs at least one value", name)
	}
	*into = append(*into, args...)
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Handler)(nil)
