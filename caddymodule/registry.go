package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/generic"
	"github.com/trustpub/trustpub/internal/ecosystem/maven"
	"github.com/trustpub/trustpub/internal/ecosystem/oci"
	"github.com/trustpub/trustpub/internal/gateway"
)

// Registry is one registry behind the gateway.
type Registry struct {
	// The registry's name, to which policies refer. It is unique in the whole configuration.
	Name string `json:"name"`

	// The wire protocol: pypi.
	Ecosystem string `json:"ecosystem"`

	// Where clients upload: its host and path say which requests are for this registry, and give the default audiences.
	PublicURL string `json:"public_url"`

	// Where the credential comes from that the registry accepts. Required.
	CredentialRaw json.RawMessage `json:"credential,omitempty" caddy:"namespace=trusted_publishing.credentials inline_key=module"`

	// What happens to credentials that are not ours: enforce, claimed or observe. Default: enforce.
	Mode string `json:"mode,omitempty"`

	// The framing of an upload on its way to the registry: chunked, as_sent or spool. Default: the ecosystem's safe one.
	Body string `json:"body,omitempty"`

	// Audiences beside those that follow from the public URL.
	Audiences []string `json:"audiences,omitempty"`

	// Refuse identity tokens that were not exchanged for a publish token first. Default: they are accepted.
	DirectOff bool `json:"direct_off,omitempty"`

	// Look into the archive too: its metadata must name the package and version. Such uploads are spooled to disk.
	VerifyArchive bool `json:"verify_archive,omitempty"`

	// Where packages are, for the ecosystem generic: a path below the public URL with {package}, and {version} and {file} where
	// the store has them, like "/{package}/{version}/{file}".
	Layout string `json:"layout,omitempty"`

	// Tags that a publish may move, for the ecosystem oci; * stands for any text. Moving any other needs the action overwrite.
	MutableTags []string `json:"mutable_tags,omitempty"`

	// Let an upload through that has no bytes but their SHA-256, which Artifactory fills with what it has; for maven and generic.
	ChecksumDeploy bool `json:"checksum_deploy,omitempty"`
	// Names of properties that may stand behind a file's name, as in ;NAME=VALUE at Artifactory; for maven and generic.
	Properties []string `json:"properties,omitempty"`
	// Names of headers that unsafe requests may carry beside those of the ecosystem.
	Headers []string `json:"headers,omitempty"`

	// Names of query keys that unsafe requests may carry beside those of the ecosystem.
	Query []string `json:"query,omitempty"`

	// The largest upload that is spooled, in bytes. Default: 4 GiB.
	SpoolLimit int64 `json:"spool_limit,omitempty"`

	// Where to ask whether the registry has a package of its own: an escaped path on the public host with {package}, which answers
	// 200 for one that it has, and 404 or a redirect for one that it hasn't. For policies that grant no first publish of
	// what a pattern covers. Default: the credential source's own way; without one, such publishes are refused.
	Exists string `json:"exists,omitempty"`

	public     *url.URL
	resolved   gateway.Registry
	sourceName string
	credential credential.Config
}

var registryName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// provision checks the registry and makes its ecosystem and source.
func (r *Registry) provision(ctx caddy.Context, logger *slog.Logger) error {
	if !registryName.MatchString(r.Name) {
		return errors.New("a registry's name has up to 64 lower-case letters, digits, '.', '_' and '-', and begins with a letter or digit")
	}
	kind, ok := ecosystems[r.Ecosystem]
	if !ok {
		return fmt.Errorf("unknown ecosystem %q: this build has %s", r.Ecosystem, ecosystemNames())
	}
	var err error
	if r.public, err = parsePublicURL(r.PublicURL); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	eco, err := kind.New(ecosystem.Settings{Registry: r.Name, Public: r.public, VerifyArchive: r.VerifyArchive, Layout: r.Layout, MutableTags: r.MutableTags})
	if err != nil {
		return err
	}
	source, err := r.source(ctx, logger)
	if err != nil {
		return err
	}
	body := r.Body
	if body == "" {
		body = eco.DefaultBody()
	}
	r.resolved = gateway.Registry{
		Name: r.Name, Protocol: r.Ecosystem, Ecosystem: eco, Public: r.public, Audiences: r.audiences(),
		Mode: gateway.Mode(r.Mode), Body: gateway.BodyMode(body), Source: source,
		DirectOff: r.DirectOff, Headers: r.Headers, Query: r.Query, SpoolLimit: r.SpoolLimit,
		ChecksumDeploy: r.ChecksumDeploy, Properties: r.Properties, Probe: r.probe(source),
	}
	return nil
}

// check validates the plain fields and fills in the defaults.
func (r *Registry) check() error {
	if r.Mode == "" {
		r.Mode = string(gateway.ModeEnforce)
	}
	if !slices.Contains(modes, r.Mode) {
		return fmt.Errorf("mode is %q, expected %s", r.Mode, strings.Join(modes, ", "))
	}
	if r.Body != "" && !slices.Contains(bodies, r.Body) {
		return fmt.Errorf("body is %q, expected %s", r.Body, strings.Join(bodies, ", "))
	}
	if r.VerifyArchive && (r.Body == string(gateway.BodyChunked) || r.Body == string(gateway.BodyAsSent)) {
		return fmt.Errorf("verify_archive spools the upload, so it cannot go with body %s", r.Body)
	}
	if len(r.MutableTags) > 0 && r.Ecosystem != oci.Kind.Name {
		return fmt.Errorf("mutable_tags is for the ecosystem oci, and this registry's is %s", r.Ecosystem)
	}
	if (r.ChecksumDeploy || len(r.Properties) > 0) && r.Ecosystem != maven.Kind.Name && r.Ecosystem != generic.Kind.Name {
		return fmt.Errorf("checksum_deploy and properties are for the ecosystems maven and generic, and this registry's is %s", r.Ecosystem)
	}
	for _, name := range r.Properties {
		if err := gateway.CheckProperty(name); err != nil {
			return fmt.Errorf("properties: %q is no name of a property, expected letters, digits, '.', '-' and '_'", name)
		}
	}
	if err := checkExists(r.Exists); err != nil {
		return err
	}
	if r.SpoolLimit < 0 {
		return fmt.Errorf("spool_limit is %d, expected a positive size", r.SpoolLimit)
	}
	for _, aud := range r.Audiences {
		if err := gateway.CheckAudience(aud); err != nil {
			return err
		}
	}
	return checkAllowed(r.Headers, r.Query)
}

// modes and bodies are the words that the configuration knows.
var (
	modes  = []string{string(gateway.ModeEnforce), string(gateway.ModeClaimed), string(gateway.ModeObserve)}
	bodies = []string{string(gateway.BodyChunked), string(gateway.BodyAsSent), string(gateway.BodySpooled)}
)

// checkAllowed refuses additions to the allow-lists that are malformed or would undo the gateway's work.
func checkAllowed(headers, query []string) error {
	for _, h := range headers {
		if err := gateway.CheckHeader(h); err != nil {
			return fmt.Errorf("headers: %w", err)
		}
	}
	for _, q := range query {
		if err := gateway.CheckQueryKey(q); err != nil {
			return fmt.Errorf("query: %w", err)
		}
	}
	return nil
}

// source loads the credential source.
func (r *Registry) source(ctx caddy.Context, logger *slog.Logger) (credential.Source, error) {
	if r.CredentialRaw == nil {
		return nil, fmt.Errorf("no credential is configured: write \"credential NAME { ... }\" with one of %s", strings.Join(guestNames(credentialNamespace), ", "))
	}
	r.sourceName = moduleName(r.CredentialRaw)
	mod, err := ctx.LoadModule(r, "CredentialRaw")
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	cfg, err := configOf[credential.Config](mod)
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	r.credential = cfg
	source, err := cfg.Provision(credential.Env{Registry: r.Name, Ecosystem: r.Ecosystem, Public: r.public, Layout: r.Layout, Logger: logger})
	if err != nil {
		return nil, err
	}
	return source, nil
}

// redacted are the request headers that Caddy's logs hide.
var redacted = map[string]bool{"Authorization": true, "Proxy-Authorization": true, "Cookie": true}

// shownHeaders are the headers that may hold a credential, for one registry or another, and that Caddy's logs show.
func shownHeaders(registries []Registry) []string {
	all := append(gateway.CredentialHeaders(), "X-Trustpub-Identity") // the last beside a foreign credential
	for i := range registries {
		all = append(all, registries[i].resolved.Ecosystem.Carriers()...)
	}
	for i, header := range all {
		all[i] = http.CanonicalHeaderKey(header)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(header string) bool { return redacted[header] })
}

// audiences are the defaults and the operator's own.
func (r *Registry) audiences() []string {
	all := gateway.DefaultAudiences(r.Ecosystem, r.public)
	for _, aud := range r.Audiences {
		if !slices.Contains(all, aud) {
			all = append(all, aud)
		}
	}
	return all
}

// parsePublicURL reads the URL where clients upload. Its spelling decides which requests are judged for the registry, so
// there is only one: https (http on loopback), a lower-case host, no default port, and a plain path that ends in a slash.
func parsePublicURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("public URL %q is malformed", raw)
	}
	refuse := func(why string) (*url.URL, error) {
		return nil, fmt.Errorf("public URL %q %s: write it like https://pypi.example.com/root/prod/", u.Redacted(), why)
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return refuse("has no scheme https")
	case u.Host == "" || u.Opaque != "":
		return refuse("has no host")
	case u.User != nil:
		return refuse("has user information")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(raw, "#"):
		return refuse("has a query or a fragment")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return refuse("is plain http, which is for loopback only")
	case strings.ContainsAny(u.Hostname(), "*{}%_") || strings.HasSuffix(u.Hostname(), "."):
		return refuse("has no plain host name")
	case !plainPath(raw, u):
		return refuse("has a path with encoded, doubled or dot segments")
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" && strings.HasSuffix(u.Host, ":") {
		return refuse("has an empty port")
	}
	if port == defaultPort[u.Scheme] {
		port = ""
	}
	path := u.Path
	if !strings.HasSuffix(path, "/") {
		path += "/"
	}
	out := &url.URL{Scheme: u.Scheme, Host: host, Path: path}
	if strings.Contains(host, ":") {
		out.Host = "[" + host + "]"
	}
	if port != "" {
		out.Host = net.JoinHostPort(host, port)
	}
	return out, nil
}

var defaultPort = map[string]string{"https": "443", "http": "80"}

// plainPath is true for a path that every reader reads alike.
func plainPath(raw string, u *url.URL) bool {
	if strings.ContainsAny(raw, "%;\\") || u.EscapedPath() != u.Path || strings.Contains(u.Path, "//") {
		return false
	}
	for _, segment := range strings.Split(u.Path, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// loopback is true for localhost and loopback addresses.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
