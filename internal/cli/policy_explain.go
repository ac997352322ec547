package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/identity"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
)

// explaining is one run of `policy explain`.
type explaining struct {
	token, event, audit     string
	pkg, version, registry  string
	action, at, format      string
	issuer, issuerURL, keys string
	audiences, paths        []string
	gateway                 gatewayFlags
	limit                   int
	now                     func() time.Time
	question                policies.Question
	set                     *policies.Set
	checked, rejection      string
	recorded                *model.Event
}

func policyExplainCommand(opts Options) *cobra.Command {
	e := &explaining{now: opts.Now}
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Say why a run may or may not publish a package, and what is missing",
		Long: `Say why a run may or may not publish a package: the gateway's own sentence, then every policy, the nearest first, field by
field.

The run comes from an identity token (--token FILE, or - for the standard input) or from an event of the audit (--event ID
--audit FILE); what the audit does not keep of a run is shown as unknown. The token is never printed. Its signature is checked
only with --keys (the issuer's key set as a file) or --issuer-url (its keys are fetched).

Without --package the question is that of an exchange. Exit codes: 0 allowed, 1 denied, 2 the command line is wrong.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("got %d arguments, expected none: policies are named with --policies", len(args))
			}
			return e.run(cmd)
		},
	}
	f := cmd.Flags()
	f.StringVar(&e.token, "token", "", "a file with the identity token, or - for the standard input")
	f.StringVar(&e.event, "event", "", "the id of an event of the audit, as a denial shows it")
	f.StringVar(&e.audit, "audit", "", "the audit file that has the event, or - for the standard input")
	f.StringVar(&e.pkg, "package", "", "the package; none: an exchange")
	f.StringVar(&e.version, "version", "", "its version; none: what needs it is left open")
	f.StringVar(&e.registry, "registry", "", "the registry; may be left out where the policies name one only")
	f.StringVar(&e.action, "action", "", "the action (default publish)")
	f.StringSliceVar(&e.paths, "policies", []string{"policies"}, "policy files, directories or globs")
	f.StringVar(&e.at, "at", "", "the moment to judge at, as 2027-01-31T12:00:00Z (default now, or the event's)")
	f.StringVar(&e.issuer, "issuer", "", "the configured name of the token's issuer, where its iss does not tell")
	f.StringVar(&e.issuerURL, "issuer-url", "", "check the token as one of this issuer; its keys are fetched unless --keys has them")
	f.StringVar(&e.keys, "keys", "", "check the token's signature with this JWKS file")
	f.StringSliceVar(&e.audiences, "audience", nil, "the audiences that the registry accepts (default: the token's own)")
	e.gateway.register(cmd)
	f.IntVar(&e.limit, "limit", 10, "how many policies to show; 0: all")
	f.StringVar(&e.format, "format", "text", "text or json")
	return cmd
}

// run answers the question. A denial is an error that says no more than the output.
func (e *explaining) run(cmd *cobra.Command) error {
	if err := e.checkFlags(); err != nil {
		return err
	}
	moment := e.now()
	if e.event != "" {
		if err := e.findEvent(cmd); err != nil {
			return err
		}
		moment = e.recorded.Time
	}
	if e.at != "" {
		at, err := parseMoment(e.at)
		if err != nil {
			return err
		}
		moment = at
	}
	env, err := e.gateway.env(e.paths)
	if err != nil {
		return err
	}
	env.Now = func() time.Time { return moment }
	if e.set, err = policies.Load(e.paths, env); err != nil {
		return invalid(err)
	}
	if e.event != "" {
		err = e.askEvent(env)
	} else {
		err = e.askToken(cmd, env, moment)
	}
	if err == nil {
		err = e.aim(env)
	}
	if err != nil {
		return err
	}
	return e.answer(cmd.OutOrStdout(), e.set.Rank(e.question))
}

func (e *explaining) checkFlags() error {
	e.question.Limit = e.limit
	switch {
	case (e.token == "") == (e.event == ""):
		return usagef("expected --token FILE (or - for the standard input), or --event ID with --audit FILE")
	case (e.event == "") != (e.audit == ""):
		return usagef("expected --event ID and --audit FILE together")
	case e.event != "" && (e.keys != "" || e.issuerURL != "" || len(e.audiences) > 0):
		return usagef("got --keys, --issuer-url or --audience with --event, expected them with --token: the audit has no token to check")
	case e.format != "text" && e.format != "json":
		return usagef("--format is %q, expected text or json", e.format)
	case e.action != "" && !slices.Contains(model.Actions(), model.Action(e.action)):
		return usagef("--action is %q, expected one of %v", e.action, model.Actions())
	case e.limit < 0:
		return usagef("--limit is %d, expected 0 or more", e.limit)
	}
	return nil
}

// parseMoment reads a date (its beginning, UTC) or a moment.
func parseMoment(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, nil
		}
	}
	return time.Time{}, usagef("--at is %q, expected a moment such as 2027-01-31T12:00:00Z, or a date", s)
}

// findEvent looks for the event with the run and the target: the decision, or the exchange.
func (e *explaining) findEvent(cmd *cobra.Command) error {
	err := eachEvent(cmd, e.audit, func(event model.Event) {
		if event.ID == e.event && event.Kind != model.EventOutcome {
			e.recorded = &event
		}
	})
	switch {
	case err != nil:
		return err
	case e.recorded == nil:
		return fmt.Errorf("%s has no event %q; is it in a rotated file?", e.audit, e.event)
	case e.recorded.Issuer == "":
		return fmt.Errorf("the event %s has no identity: %s", e.event, recordedText(e.recorded))
	}
	return nil
}

// askEvent makes the question of an event's run. The claims that the audit does not keep are not known.
func (e *explaining) askEvent(env policies.Env) error {
	kind := e.recorded.Provider
	if kind == "" {
		at := slices.IndexFunc(env.Issuers, func(i policies.Issuer) bool { return i.Name == e.recorded.Issuer })
		if at < 0 {
			return usagef("the event names no provider; add --issuers %s=PROVIDER", e.recorded.Issuer)
		}
		kind = env.Issuers[at].Provider
	}
	p, ok := provider.Get(kind)
	if !ok {
		return fmt.Errorf("the event has the provider %q, expected one of %s", kind, strings.Join(provider.Names(), ", "))
	}
	e.checked = "not needed: the gateway verified it when the event was written"
	e.question.Identity = &model.Identity{Issuer: e.recorded.Issuer, Provider: kind, Claims: p.RunIdentity(e.recorded.Run)}
	e.question.Known = p.Kept
	if t := e.recorded.Target; t != nil {
		e.question.Target = *t
	}
	return nil
}

// askToken makes the question of a token, and verifies it where that was asked for.
func (e *explaining) askToken(cmd *cobra.Command, env policies.Env, moment time.Time) error {
	raw, err := e.readToken(cmd)
	if err != nil {
		return err
	}
	t, err := parseToken(raw)
	if err != nil {
		return err
	}
	if t.publish {
		return errors.New("the input is a publish token, expected the identity token that was exchanged for it")
	}
	claims := map[string]any{}
	for name, value := range t.payload {
		d := json.NewDecoder(bytes.NewReader(value))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return errors.New("the payload has a value that cannot be read")
		}
		claims[name] = v
	}
	is, err := e.issuerOf(env, claims)
	if err != nil {
		return err
	}
	e.question.Identity = &model.Identity{Issuer: is.Name, Provider: is.Provider, Claims: claims}
	e.checked = "not checked: give --keys FILE or --issuer-url URL"
	if e.keys != "" || e.issuerURL != "" {
		return e.verify(cmd.Context(), strings.TrimSpace(raw), is, claims, moment)
	}
	return nil
}

func (e *explaining) readToken(cmd *cobra.Command) (string, error) {
	in := cmd.InOrStdin()
	if e.token != stdin {
		f, err := os.Open(e.token)
		if err != nil {
			return "", errors.New("--token names a file that cannot be opened; the flag takes a file's name or -, never the token itself")
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxToken+1))
	if err != nil {
		return "", errors.New("the token cannot be read")
	}
	return string(raw), nil
}

// issuerOf finds the one issuer that the token can be of: the one that is named, or whose provider knows the iss and
// sends claims like these.
func (e *explaining) issuerOf(env policies.Env, claims map[string]any) (policies.Issuer, error) {
	var names []string
	for _, one := range env.Issuers {
		names = append(names, one.Name)
		if one.Name == e.issuer {
			return one, nil
		}
	}
	if e.issuer != "" {
		return policies.Issuer{}, usagef("--issuer is %q, expected one of %s", e.issuer, strings.Join(names, ", "))
	}
	iss, _ := claims["iss"].(string)
	found := likely(env.Issuers, iss, claims)
	if len(found) == 0 {
		found = env.Issuers
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return policies.Issuer{}, usagef("the token's iss is %s, which does not say which issuer it is of; add --issuer and one of %s",
		model.OneLine(fmt.Sprintf("%q", iss), 200), strings.Join(names, ", "))
}

// likely are the issuers whose provider can have sent such claims; the more a provider knows, the more its word counts.
func likely(issuers []policies.Issuer, iss string, claims map[string]any) []policies.Issuer {
	var exact, form, open []policies.Issuer
	for _, one := range issuers {
		p, ok := provider.Get(one.Provider)
		if !ok {
			continue
		}
		_, err := p.IssuerURL(iss)
		_, _, missing := p.Missing(claims)
		switch {
		case iss != "" && iss == p.Issuer.Default:
			exact = append(exact, one)
		case err != nil || missing || iss == "":
		case p.OpenClaims:
			open = append(open, one)
		default:
			form = append(form, one)
		}
	}
	for _, list := range [][]policies.Issuer{exact, form, open} {
		if len(list) > 0 {
			return list
		}
	}
	return nil
}

// verify asks what the gateway's own verification says at the moment in question.
func (e *explaining) verify(ctx context.Context, raw string, is policies.Issuer, claims map[string]any, moment time.Time) error {
	url := e.issuerURL
	if url == "" {
		// With keys of our own nothing is fetched, so that the token's own word for its issuer can do no harm.
		url, _ = claims["iss"].(string)
	}
	options := identity.Options{Now: func() time.Time { return moment }}
	one, err := identity.NewIssuer(identity.Config{Name: is.Name, Provider: is.Provider, URL: url, KeysFile: e.keys}, options)
	if err != nil {
		return usagef("%w", err)
	}
	one.Start()
	defer one.Close()
	verifier, err := identity.NewVerifier([]*identity.Issuer{one}, options)
	if err != nil {
		return err
	}
	audiences := e.audiences
	if len(audiences) == 0 {
		audiences = ownAudiences(claims["aud"])
	}
	id, err := verifier.Verify(ctx, raw, audiences)
	var denial *model.Denial
	switch {
	case errors.As(err, &denial):
		e.rejection = denial.Sentence()
		e.checked = "refused: " + e.rejection
	case err != nil:
		return err
	default:
		e.question.Identity = id
		e.checked = "passes: signature, issuer and times"
		if len(e.audiences) > 0 {
			e.checked = "passes: signature, issuer, audience and times"
		}
	}
	return nil
}

func ownAudiences(aud any) []string {
	list, _ := aud.([]any)
	if s, ok := aud.(string); ok {
		list = []any{s}
	}
	var out []string
	for _, one := range list {
		if s, ok := one.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// aim completes the target: what flags say goes before what the event has.
func (e *explaining) aim(env policies.Env) error {
	t := &e.question.Target
	if e.registry != "" && e.registry != t.Registry {
		t.Registry, t.Ecosystem = e.registry, "" // an event's ecosystem is that of its own registry
	}
	if t.Registry == "" {
		var names []string
		for _, p := range e.set.Policies() {
			for _, g := range p.Grants() {
				if !slices.Contains(names, g.Registry) {
					names = append(names, g.Registry)
				}
			}
		}
		slices.Sort(names)
		if len(names) != 1 {
			return usagef("expected --registry and one of %s", strings.Join(names, ", "))
		}
		t.Registry = names[0]
	}
	t.Ecosystem = cmp.Or(env.Registries[t.Registry], t.Ecosystem, "pypi")
	if e.action != "" || t.Action == "" {
		t.Action = model.Action(e.action)
		if e.action == "" {
			t.Action = model.ActionPublish
		}
	}
	return e.aimPackage(t)
}

// aimPackage spells package and version as the ecosystem does.
func (e *explaining) aimPackage(t *model.Target) (err error) {
	if e.pkg != "" {
		if t.Package, err = model.NormalizeName(t.Ecosystem, e.pkg); err != nil {
			return usagef("--package: %w", err)
		}
		if e.version == "" {
			t.Version = ""
		}
	}
	if e.version != "" {
		if t.Version, err = model.NormalizeVersion(t.Ecosystem, e.version); err != nil {
			return usagef("--version: %w", err)
		}
	}
	if t.Version != "" && t.Package == "" {
		return usagef("got --version without a package, expected --package NAME too")
	}
	return nil
}
