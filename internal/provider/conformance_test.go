package provider_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/identity"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func now() time.Time { return noon }

// signers are two development issuers; they give their keys the same ids.
var signers = sync.OnceValues(func() ([2]*issuer.Issuer, error) {
	var two [2]*issuer.Issuer
	for i := range two {
		one, err := issuer.New("https://unused.example.com", issuer.Options{Now: now})
		if err != nil {
			return two, err
		}
		two[i] = one
	}
	return two, nil
})

// platform is a provider with an issuer whose keys are pinned, as tests sign for it.
type platform struct {
	*provider.Provider
	url      string
	audience string
	signer   *issuer.Issuer
	issuer   *identity.Issuer
}

func newPlatform(t *testing.T, name, issuerName, url string, signer int) *platform {
	t.Helper()
	p, _ := provider.Get(name)
	url, err := p.IssuerURL(url)
	if err != nil {
		t.Fatal(err)
	}
	two, err := signers()
	if err != nil {
		t.Fatal(err)
	}
	one := &platform{Provider: p, url: url, audience: p.AudienceOf(url), signer: two[signer]}
	if one.audience == "" {
		one.audience = "pypi.example.com"
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, one.signer.JWKS(), 0o600); err != nil {
		t.Fatal(err)
	}
	one.issuer, err = identity.NewIssuer(identity.Config{Name: issuerName, Provider: name, URL: url, KeysFile: file}, identity.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := one.issuer.Close(); err != nil {
			t.Error(err)
		}
	})
	return one
}

func verifier(t *testing.T, platforms ...*platform) *identity.Verifier {
	t.Helper()
	var issuers []*identity.Issuer
	for _, p := range platforms {
		issuers = append(issuers, p.issuer)
	}
	v, err := identity.NewVerifier(issuers, identity.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// claims are the platform's sample as a whole token.
func (p *platform) claims() map[string]any {
	claims := clone(p.Sample).(map[string]any)
	claims["iss"], claims["aud"] = p.url, p.audience
	if p.AudienceArray {
		claims["aud"] = []any{p.audience}
	}
	claims["iat"], claims["exp"] = noon.Unix(), noon.Add(5*time.Minute).Unix()
	return claims
}

// sign signs claims with the platform's key.
func (p *platform) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return p.signer.Sign(issuer.ES256, map[string]any{"alg": issuer.ES256, "typ": "JWT", "kid": p.signer.KeyID(issuer.ES256)}, payload)
}

// upload is what the policies of all pages grant.
func upload() policies.Target {
	return policies.Target{Ecosystem: "pypi", Registry: "internal-pypi", Package: "acme-widget", Version: "1", Action: policies.ActionPublish}
}

// publish verifies a token and judges the upload. A token that is not verified is a decision too.
func (p *platform) publish(t *testing.T, v *identity.Verifier, set *policies.Set, raw string) policies.Decision {
	t.Helper()
	id, err := v.Verify(t.Context(), raw, []string{p.audience})
	var denial *model.Denial
	if errors.As(err, &denial) {
		return denial.Decision
	}
	if err != nil {
		t.Fatal(err)
	}
	return set.Evaluate(id, upload())
}

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = clone(value)
		}
		return out
	case []any:
		return slices.Clone(v)
	default:
		return v
	}
}

// put sets the value where a path leads; nil removes it.
func put(claims map[string]any, path []string, value any) {
	for _, key := range path[:len(path)-1] {
		claims = claims[key].(map[string]any)
	}
	if value == nil {
		delete(claims, path[len(path)-1])
		return
	}
	claims[path[len(path)-1]] = value
}

// asked are the claims that a policy asks for, each with the fields that a denial may name for it.
func asked(p *provider.Provider, policy *policies.Policy) map[string][]string {
	fields := map[string][]string{}
	add := func(claim string, names ...string) {
		fields[claim] = append(append(fields[claim], names...), claim)
	}
	for _, m := range policy.Fields() {
		f, known := p.Field(m.Name)
		switch {
		case !known:
			add(m.Claim, m.Name)
		case f.Equals == nil:
			add(f.Claim, f.Name)
		default:
			for _, claim := range f.EqualClaims {
				add(claim, f.Name)
			}
			for claim := range p.Claims {
				if strings.Contains(f.Equals.String(), "{"+claim+"}") {
					add(claim, append(f.EqualClaims, f.Name)...)
				}
			}
		}
	}
	if p.Trigger != nil {
		add(p.Trigger.Claim)
	}
	if p.Tag != nil && policy.Tag() != "" {
		add(p.Tag.Claim, "tag")
		for claim := range p.Tag.Where {
			add(claim, "tag")
		}
	}
	return fields
}

// broken are values that must not pass for v.
func broken(v any) map[string]any {
	all := map[string]any{"removed": nil, "a list": []any{v}, "an object": map[string]any{"x": v}, "a number": 7}
	switch v := v.(type) {
	case bool:
		all["changed"], all["a text"] = !v, map[bool]string{true: "true", false: "false"}[v]
	case string:
		all["changed"], all["empty"], all["a bool"] = "stranger/"+v, "", true
		all["a prefix"], all["longer"], all["with something before"] = v[:len(v)-1], v+"x", "x"+v
		all["with a space behind"], all["with a space before"], all["with a line break"] = v+" ", " "+v, v+"\n"
		all["with NUL"], all["with a joiner"] = v+"\x00", v[:1]+"\u200d"+v[1:]
		all["in another case"], all["with a homoglyph"] = otherCase(v), homoglyph(v)
		delete(all, map[bool]string{true: "in another case"}[otherCase(v) == v])
	}
	return all
}

func otherCase(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

// homoglyph replaces the last letter or digit by one that looks the same or nearly so.
func homoglyph(s string) string {
	at := strings.LastIndexFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
	for _, pair := range [][2]string{{"a", "\u0430"}, {"e", "\u0435"}, {"o", "\u043e"}, {"c", "\u0441"}} {
		if i := strings.LastIndex(s, pair[0]); i >= 0 {
			return s[:i] + pair[1] + s[i+1:]
		}
	}
	return s[:at] + string(rune(s[at])-'!'+'\uff01') + s[at+1:]
}

// A platform's sample publishes with the policy of its page; with any claim broken that the policy asks for, it does not, and the
// decision names that claim.
func TestConformance(t *testing.T) {
	for _, name := range provider.Names() {
		t.Run(name, func(t *testing.T) {
			p, _ := provider.Get(name)
			one := newPlatform(t, name, name, pageIssuer(p), 0)
			v, set := verifier(t, one), load(t, p.Docs.Policy, env(p))
			if d := one.publish(t, v, set, one.sign(t, one.claims())); !d.Allow {
				t.Fatalf("the sample is refused: %+v", d)
			}
			fields := asked(p, set.Policies()[0])
			if len(fields) < 2 && name != "spiffe" {
				t.Errorf("the policy asks only for %v", slices.Collect(maps.Keys(fields)))
			}
			for claim, names := range fields {
				one.breaks(t, v, set, claim, names)
			}
		})
	}
}

// breaks breaks one claim in every way.
func (p *platform) breaks(t *testing.T, v *identity.Verifier, set *policies.Set, claim string, fields []string) {
	t.Helper()
	path := []string{claim}
	if c, known := p.Claims[claim]; known {
		path = c.Path
	} else if strings.HasPrefix(claim, "/") {
		path = strings.Split(claim[1:], "/")
	}
	value, ok := p.Value(p.Sample, claim)
	if !ok {
		t.Errorf("the sample has no claim %s", claim)
		return
	}
	for how, wrong := range broken(value) {
		claims := p.claims()
		put(claims, path, wrong)
		d := p.publish(t, v, set, p.sign(t, claims))
		if d.Allow {
			t.Errorf("%s %s: published", claim, how)
		} else if !slices.Contains(fields, d.Field) {
			t.Errorf("%s %s: the decision names %q, expected one of %q: %+v", claim, how, d.Field, fields, d)
		}
	}
}
