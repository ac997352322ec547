package exchange

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// What a gateway says of itself goes into files, variables, shells and logs of the job. So it has one form for each, in which none of them
// reads anything else: a gateway that was taken over has the tokens that are shown to it, and not the job.
var (
	plainURL      = regexp.MustCompile(`^https?://[A-Za-z0-9.:\[\]_-]+/[A-Za-z0-9._~%@+:=,/-]*$`)
	plainName     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
	plainAudience = regexp.MustCompile(`^[A-Za-z0-9._~%@+:=,/?&*-]{1,500}$`)
	plainToken    = regexp.MustCompile(`^[A-Za-z0-9._~+:=/-]+$`)
)

// check refuses a registry that does not have these forms. origin is the host that was asked.
func (r *Registry) check(origin string) error {
	for what, endpoint := range map[string]string{"url": r.URL, "exchange": r.Exchange, "revoke": r.Revoke} {
		if what == "revoke" && endpoint == "" {
			continue // of PEP 807
		}
		if !strings.HasPrefix(endpoint, origin+"/") {
			return fmt.Errorf("discovery at %s: %s of the registry %q is elsewhere, expected a URL below %s/", origin, what, printable(r.Name), origin)
		}
		if !plainURL.MatchString(endpoint) {
			return fmt.Errorf("discovery at %s: %s of the registry %q is no URL of plain characters", origin, what, printable(r.Name))
		}
	}
	switch {
	case !plainName.MatchString(r.Name) || !plainName.MatchString(r.Ecosystem):
		return fmt.Errorf("discovery at %s: the name or the ecosystem of the registry at %s is no name, expected one like internal-pypi", origin, r.URL)
	case r.Audience == "":
		return fmt.Errorf("discovery at %s: the registry %q has no audience", origin, r.Name)
	case !plainAudience.MatchString(r.Audience):
		return fmt.Errorf("discovery at %s: the audience of the registry %q has characters that no audience has", origin, r.Name)
	}
	return nil
}

// Names is true where an audience names the host of a URL and no other: the host itself, with or without a path or the scheme, or npm's form.
func Names(audience, registry string) bool {
	u, err := url.Parse(registry)
	if err != nil || u.Host == "" {
		return false
	}
	audience, host := strings.ToLower(audience), strings.ToLower(u.Host)
	if rest, ok := strings.CutPrefix(audience, "npm:"); ok {
		return rest == host || rest == strings.ToLower(u.Hostname())
	}
	audience = strings.TrimPrefix(audience, strings.ToLower(u.Scheme)+"://")
	return audience == host || strings.HasPrefix(audience, host+"/")
}

// SameHost is true where two URLs are of one host over one scheme.
func SameHost(a, b string) bool {
	one, errA := url.Parse(a)
	two, errB := url.Parse(b)
	return errA == nil && errB == nil && one.Host != "" && one.Scheme == two.Scheme && strings.EqualFold(one.Host, two.Host)
}

// plainError is an error whose text is printable: what a server sends gets into errors too, as the names of its certificate.
type plainError struct{ cause error }

// Error is the cause's text, on one line.
func (e plainError) Error() string { return printable(e.cause.Error()) }

// Unwrap gives the cause.
func (e plainError) Unwrap() error { return e.cause }

// printable makes text of others one line of ASCII, in which no CI platform finds a command: Azure Pipelines takes `##vso[` anywhere in a
// line for one, GitHub `##[`.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, text)
	for strings.Contains(text, "##") {
		text = strings.ReplaceAll(text, "##", "# #")
	}
	if len(text) > 2000 {
		text = text[:2000] + "..."
	}
	return text
}
