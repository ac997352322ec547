package gateway

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/trustpub/trustpub/integration/registry"
)

// Site is one HTTPS site of the gateway, with one registry behind it.
type Site struct {
	// Registry is what stands behind it, under Name in policies.
	Registry *registry.Registry
	Name     string
	// Ecosystem is the registry's; empty: pypi.
	Ecosystem string
	// Port is where the site listens, Behind the port that clients know where that is a balancer's.
	Port, Behind int
	// CatchAll refuses the hosts that no site has.
	CatchAll bool
	// Mode is enforce, claimed or observe; empty: the default.
	Mode string
	// Upstream replaces the registry's own address: a tap, or a port where nothing listens.
	Upstream string
	// Beside are further registries of the same host, each below a path of its own; only their Registry, Name and Ecosystem count.
	Beside []Site
	// Answers are lines of the site that answer before the proxy.
	Answers []string
	// Transport are lines of the proxy's transport.
	Transport []string
	// Lines are further lines of the registry's block, Passthrough those beside it.
	Lines, Passthrough []string
}

// Public is the URL that clients upload to.
func (s Site) Public() string { return "https://" + s.Host() + s.Registry.Path }

// Host is the site's host and port as clients know them.
func (s Site) Host() string {
	if s.Behind != 0 {
		return fmt.Sprintf("localhost:%d", s.Behind)
	}
	return s.address()
}

// address is where the site listens.
func (s Site) address() string { return fmt.Sprintf("localhost:%d", s.Port) }

// Config is a gateway's configuration.
type Config struct {
	Sites []Site
	// Issuers are the issuer lines of the global option.
	Issuers []string
	// Global are further lines of the global option.
	Global []string
	// Storage is the folder of Caddy's storage; empty: one of the gateway's own.
	Storage string
}

// caddyfile writes the configuration for a folder. Everything that the gateway keeps is below the folder.
func (c Config) caddyfile(dir string, admin int, pki *PKI) string {
	var b strings.Builder
	storage := c.Storage
	if storage == "" {
		storage = filepath.Join(dir, "storage")
	}
	fmt.Fprintf(&b, `{
	admin 127.0.0.1:%d
	default_bind 127.0.0.1
	persist_config off
	storage file_system %s
	skip_install_trust
	auto_https off
	grace_period 5s
	metrics
	log default {
		output file %s {
			roll_disabled
		}
		level DEBUG
	}
	trusted_publishing {
		policies %s
		audit %s
`, admin, storage, filepath.Join(dir, "caddy.log"), filepath.Join(dir, "policies"), filepath.Join(dir, "audit.jsonl"))
	for _, line := range append(append([]string{}, c.Issuers...), c.Global...) {
		b.WriteString(indent(2, line))
	}
	b.WriteString("\t}\n}\n")
	for _, s := range c.Sites {
		c.site(&b, s, pki)
	}
	return b.String()
}

func (c Config) site(b *strings.Builder, s Site, pki *PKI) {
	upstream := s.Upstream
	if upstream == "" {
		upstream = s.Registry.Addr
	}
	ecosystem := s.Ecosystem
	if ecosystem == "" {
		ecosystem = "pypi"
	}
	fmt.Fprintf(b, "\nhttps://%s {\n\ttls %s %s\n\tlog\n\ttrusted_publishing {\n", s.address(), pki.ChainFile, pki.KeyFile)
	for _, other := range s.Beside {
		fmt.Fprintf(b, "\t\tregistry %s %s https://%s%s {\n%s\t\t}\n", other.Name, other.Ecosystem, s.Host(), other.Registry.Path, indent(3, other.Registry.Credential))
	}
	fmt.Fprintf(b, "\t\tregistry %s %s %s {\n", s.Name, ecosystem, s.Public())
	b.WriteString(indent(3, s.Registry.Credential))
	if s.Mode != "" {
		b.WriteString(indent(3, "mode "+s.Mode))
	}
	for _, line := range s.Lines {
		b.WriteString(indent(3, line))
	}
	b.WriteString("\t\t}\n")
	for _, line := range s.Passthrough {
		b.WriteString(indent(2, "passthrough "+line))
	}
	b.WriteString("\t}\n")
	for _, line := range s.Answers {
		b.WriteString(indent(1, line))
	}
	for _, other := range s.Beside {
		fmt.Fprintf(b, "\treverse_proxy %s* %s\n", other.Registry.Path, other.Registry.Addr)
	}
	if len(s.Beside) > 0 {
		upstream = s.Registry.Path + "* " + upstream
	}
	fmt.Fprintf(b, "\treverse_proxy %s {\n\t\ttransport http {\n\t\t\tkeepalive_idle_conns_per_host 256\n", upstream)
	for _, line := range s.Transport {
		b.WriteString(indent(3, line))
	}
	b.WriteString("\t\t}\n\t}\n}\n")
	if s.CatchAll {
		fmt.Fprintf(b, "\nhttps://:%d {\n\ttls %s %s\n\trespond 404\n}\n", s.Port, pki.ChainFile, pki.KeyFile)
	}
}

// indent sets each line of a text under the given number of tabs.
func indent(tabs int, text string) string {
	var b strings.Builder
	for _, line := range strings.Split(text, "\n") {
		b.WriteString(strings.Repeat("\t", tabs) + line + "\n")
	}
	return b.String()
}
