package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/credential"
)

// AdminAPI looks at who can reach the admin API; standard is where it listens where nothing is configured.
func (c *Config) AdminAPI(standard string) Check {
	return Check{Area: "admin", What: "who reaches the admin API", Run: func(context.Context) []Finding {
		listen := standard
		if c.Admin != nil && c.Admin.Disabled {
			return []Finding{ok("it is off")}
		}
		if c.Admin != nil && c.Admin.Listen != "" {
			listen = c.Admin.Listen
		}
		if !loopback(listen) {
			return []Finding{failure("write admin localhost:2019, or admin unix//run/caddy/admin.sock", "the admin API listens on %s: whoever reaches it can replace the configuration", listen)}
		}
		return []Finding{ok("it listens on this machine only (%s)", listen)}
	}}
}

// Around looks for ways to the registries, in this configuration, that the gateway does not judge.
func (c *Config) Around() Check {
	return Check{Area: "around", What: "no other site leads to the registries", Run: func(context.Context) []Finding {
		protected := map[string]string{} // address of a registry -> the site that leads there
		for _, s := range c.sites() {
			if len(s.registries) > 0 {
				for _, p := range s.proxies {
					for _, dial := range p.dials {
						protected[dial] = s.name()
					}
				}
			}
		}
		var all []Finding
		say := func(s *site, proxies []proxy, how string) {
			for _, p := range proxies {
				for _, dial := range p.dials {
					if by, is := protected[dial]; is {
						all = append(all, failure("remove it, or put trusted_publishing with the registry into it too", "%s leads to %s%s, which %s protects: what comes that way is not judged", s.name(), dial, how, by))
					}
				}
			}
		}
		for _, s := range c.sites() {
			if len(s.registries) == 0 {
				say(s, s.proxies, "")
			}
			say(s, s.errorProxies, " in its error routes")
		}
		if len(all) == 0 {
			all = append(all, ok("no other site of this configuration leads to a registry"))
		}
		return all
	}}
}

// Upstreams looks at the way from the gateway to the registries.
func (c *Config) Upstreams() Check {
	return Check{Area: "upstream", What: "credentials travel encrypted, or not over a network", Run: func(context.Context) []Finding {
		var all []Finding
		for _, s := range c.sites() {
			if len(s.registries) == 0 {
				continue
			}
			for _, p := range s.proxies {
				for _, dial := range p.dials {
					if p.tls || loopback(dial) || strings.Contains(dial, "{") {
						continue
					}
					all = append(all, Finding{
						Subject: strings.Join(s.registries, ", "), Status: Warn,
						Message: fmt.Sprintf("%s is plain HTTP to another host: who sees that network sees the registry's credential and can change what is uploaded", dial),
						Help:    "write reverse_proxy https://" + dial + ", or make sure that nobody else is on that network",
					})
				}
			}
		}
		if len(all) == 0 {
			all = append(all, ok("credentials travel encrypted, or do not leave this machine"))
		}
		return all
	}}
}

// Certificates looks at the authority of the sites' certificates.
func (c *Config) Certificates(registries []Registry) Check {
	return Check{Area: "tls", What: "who issues the certificates", Run: func(context.Context) []Finding {
		var all []Finding
		for _, r := range registries {
			if loopback(r.Public.Hostname()) {
				continue
			}
			for _, p := range c.Apps.TLS.Automation.Policies {
				own := len(p.Issuers) == 1 && p.Issuers[0].Module == "internal"
				if own && (len(p.Subjects) == 0 || slices.Contains(p.Subjects, r.Public.Hostname())) {
					all = append(all, Finding{
						Subject: r.Name, Status: Warn,
						Message: fmt.Sprintf("the certificate of %s comes from Caddy's own authority (local_certs, tls internal): clients refuse it, or are told to check nothing", r.Public.Host),
						Help:    "remove it for a host of the public network; inside, make clients trust your own authority",
					})
					break
				}
			}
		}
		return all
	}}
}

// Debug looks for logs that show the headers that go to a registry.
func (c *Config) Debug(registries []Registry) Check {
	return Check{Area: "logs", What: "no debug log shows a credential", Run: func(context.Context) []Finding {
		var all []Finding
		for name, log := range c.Logging.Logs {
			if !strings.EqualFold(log.Level, "debug") {
				continue
			}
			for _, r := range registries {
				carrier, is := r.Source.(credential.Carrier)
				if !is || len(carrier.Carries()) == 0 {
					continue
				}
				all = append(all, Finding{
					Subject: name, Status: Fail,
					Message: fmt.Sprintf("the log has level DEBUG and shows %s, in which the gateway sends the credential of %s", strings.Join(carrier.Carries(), ", "), r.Name),
					Help:    "remove debug, or write level INFO in the log",
				})
			}
		}
		slices.SortFunc(all, func(a, b Finding) int { return strings.Compare(a.Subject+a.Message, b.Subject+b.Message) })
		return all
	}}
}

// Mode looks at what a registry does with credentials that are not ours.
func Mode(r Registry, mode string) Check {
	return Check{Area: "registry", Subject: r.Name, What: "its mode", Run: func(context.Context) []Finding {
		if mode == "observe" {
			return []Finding{warning("write mode claimed, or leave mode out once the policies are there (docs/migration.md)", "mode is observe: nothing is refused, and every password of the registry publishes as before")}
		}
		return []Finding{ok("mode is %s", mode)}
	}}
}

// Nodes looks at what several gateways have to share.
func Nodes(nodes int, storeName string, sharedStore, mounted bool, storage string) Check {
	return Check{Area: "nodes", What: "what gateways share", Run: func(context.Context) []Finding {
		switch {
		case nodes <= 1 && storeName == "memory":
			return []Finding{warning("leave store out: the default is a file that outlives the process", "store memory forgets at a restart which tokens were used; tokens from before it are refused then")}
		case nodes <= 1 && sharedStore:
			return []Finding{ok("store %s can be shared; write \"nodes NUMBER\" where several gateways use it", storeName)}
		case nodes <= 1:
			return []Finding{ok("one gateway, store %s", storeName)}
		case !mounted && storage != "":
			return []Finding{warning("make sure that the folder is shared, or write signing_key with one secret for all", "%d gateways, and the signing keys of publish tokens lie in %s: a gateway that has another folder refuses the tokens of the others", nodes, storage)}
		}
		return []Finding{ok("%d gateways share store %s and the signing keys", nodes, storeName)}
	}}
}
