package gateway

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/store"
)

// Mode says what a registry does with credentials that are not ours.
type Mode string

// The modes.
const (
	// ModeEnforce: only trusted publishing publishes. The default.
	ModeEnforce Mode = "enforce"
	// ModeClaimed: packages that a policy claims are trusted-publishing-only; others pass with the client's own credential,
	// after the same checks of the body.
	ModeClaimed Mode = "claimed"
	// ModeObserve: judge and audit; a foreign credential is never refused.
	ModeObserve Mode = "observe"
)

// BodyMode is the framing in which an upload is sent to the registry.
type BodyMode string

// The framings.
const (
	// BodyChunked streams without a Content-Length, for registries that store what a cut Content-Length body holds.
	BodyChunked BodyMode = "chunked"
	// BodyAsSent streams in the client's own framing.
	BodyAsSent BodyMode = "as_sent"
	// BodySpooled judges the whole body on disk before its first byte leaves.
	BodySpooled BodyMode = "spool"
)

// DefaultSpoolLimit bounds one spooled body, in bytes.
const DefaultSpoolLimit = 4 << 30

// Registry is one upstream behind the gateway.
type Registry struct {
	// Name is unique among all registries; policies refer to it.
	Name string
	// Protocol is the ecosystem's name, Ecosystem its instance for this registry.
	Protocol  string
	Ecosystem ecosystem.Ecosystem
	// Public is where clients upload: scheme, lower-case host without a default port, and a path that ends in a slash.
	Public *url.URL
	// Audiences are all accepted audiences; the first is the one that discovery shows.
	Audiences []string
	Mode      Mode
	Body      BodyMode
	Source    credential.Source
	// Probe is how to ask the registry whether it has a package; nil: it can't be asked.
	Probe func(pkg string) credential.Probe
	// DirectOff refuses identity tokens that were not exchanged.
	DirectOff bool
	// Headers and Query are names that unsafe requests may carry beside the ecosystem's own.
	Headers, Query []string
	// ChecksumDeploy lets an upload through that has no bytes but a checksum, which the registry fills with what it has.
	ChecksumDeploy bool
	// Properties are names that may stand behind a file's name, as in ;NAME=VALUE.
	Properties []string
	// SpoolLimit bounds a spooled body; zero: DefaultSpoolLimit.
	SpoolLimit int64
}

// Passthrough lets an unsafe request outside every registry through with the client's own credential.
type Passthrough struct {
	// Method is one HTTP method; Prefix an escaped path: exact, or everything below it where it ends in a slash.
	Method, Prefix string
}

// Config is all that a Gateway needs. Every field but Passthrough, Limits, BodyIdle, BodyRate, Fingerprint, SpoolDir, ClientIP and Now is required.
type Config struct {
	Registries  []Registry
	Passthrough []Passthrough
	Verifier    Verifier
	Tokens      Tokens
	Policies    Policies
	Store       store.Store
	Switches    Switches
	Auditor     Auditor
	Meter       Meter
	// Limits bounds what callers can make the gateway do; nil: nothing does.
	Limits Limits
	Logger *slog.Logger
	// BodyIdle is how long the client of a body may be silent, BodyRate how many bytes a second it must send; zero: there is no limit.
	BodyIdle time.Duration
	BodyRate int64
	// Fingerprint names a credential of the registry for the audit, so that it can be told from others and not be guessed; nil:
	// the audit has none.
	Fingerprint func(secret string) string
	// SpoolDir is where bodies are spooled; empty: the system's folder for temporary files.
	SpoolDir string
	// ClientIP is the client's address for the audit, trusted proxies considered; nil: that of the connection.
	ClientIP func(*http.Request) string
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// foreignAudiences are well-known audiences of other services: a token requested for one of them must not work here. That of
// Azure DevOps is not among them, since its tokens have no other; from other platforms the verifier refuses it.
var foreignAudiences = map[string]bool{
	"pypi": true, "testpypi": true, "sigstore": true, "sts.amazonaws.com": true,
	"https://identity.docker.com": true, "RubyGems-org": true,
}

// CheckAudience refuses an audience that is empty or belongs to a well-known other service.
func CheckAudience(aud string) error {
	if strings.TrimSpace(aud) == "" {
		return fmt.Errorf("audience is empty")
	}
	if foreignAudiences[aud] {
		return fmt.Errorf("audience %q belongs to another service: a token requested for it could be replayed here; use the host name of the public URL", aud)
	}
	return nil
}

// DefaultAudiences derives the audiences of a registry from its public URL: host[:port], host[:port]/path, the URL itself with
// and without its final slash, and for npm "npm:host" with and without port. None ever comes from a request.
func DefaultAudiences(protocol string, public *url.URL) []string {
	var out []string
	add := func(s string) {
		for _, have := range out {
			if have == s {
				return
			}
		}
		out = append(out, s)
	}
	path := strings.TrimSuffix(public.EscapedPath(), "/")
	add(public.Host)
	if path != "" {
		add(public.Host + path)
		add(public.Host + path + "/")
	}
	add(public.Scheme + "://" + public.Host + path)
	add(public.Scheme + "://" + public.Host + path + "/")
	if protocol == "npm" {
		add("npm:" + public.Hostname())
		add("npm:" + public.Host)
	}
	return out
}
