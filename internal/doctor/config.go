package doctor

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Config is Caddy's configuration as JSON, as far as the doctor looks into it.
type Config struct {
	Admin *struct {
		Disabled bool   `json:"disabled"`
		Listen   string `json:"listen"`
	} `json:"admin"`
	Logging struct {
		Logs map[string]struct {
			Level string `json:"level"`
		} `json:"logs"`
	} `json:"logging"`
	Apps struct {
		HTTP struct {
			Servers map[string]*server `json:"servers"`
		} `json:"http"`
		TLS struct {
			Automation struct {
				Policies []struct {
					Subjects []string `json:"subjects"`
					Issuers  []struct {
						Module string `json:"module"`
					} `json:"issuers"`
				} `json:"policies"`
			} `json:"automation"`
		} `json:"tls"`
	} `json:"apps"`
}

type server struct {
	Routes []route `json:"routes"`
	Errors struct {
		Routes []route `json:"routes"`
	} `json:"errors"`
}

type route struct {
	Match []struct {
		Host []string `json:"host"`
	} `json:"match"`
	Handle []json.RawMessage `json:"handle"`
}

// proxy is a reverse proxy: where it leads, and whether in the clear.
type proxy struct {
	dials []string
	tls   bool
}

// site is what a server does for some hosts.
type site struct {
	server, hosts string
	registries    []string
	proxies       []proxy
	errorProxies  []proxy
}

// ParseConfig reads a configuration.
func ParseConfig(data []byte) (*Config, error) {
	c := new(Config)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("the configuration is not one of Caddy's: %w", err)
	}
	return c, nil
}

// ServersOf names the servers that have a site with the registry.
func (c *Config) ServersOf(registry string) []string {
	var names []string
	for _, s := range c.sites() {
		if slices.Contains(s.registries, registry) && !slices.Contains(names, s.server) {
			names = append(names, s.server)
		}
	}
	return names
}

// sites groups the routes of all servers by the hosts that they are for.
func (c *Config) sites() []*site {
	var all []*site
	for _, name := range slices.Sorted(maps.Keys(c.Apps.HTTP.Servers)) {
		s := c.Apps.HTTP.Servers[name]
		if s == nil {
			continue
		}
		byHosts := map[string]*site{}
		at := func(r route) *site {
			hosts := r.hosts()
			if byHosts[hosts] == nil {
				byHosts[hosts] = &site{server: name, hosts: hosts}
				all = append(all, byHosts[hosts])
			}
			return byHosts[hosts]
		}
		for _, r := range s.Routes {
			found := at(r)
			for _, h := range r.Handle {
				found.look(h, &found.proxies)
			}
		}
		for _, r := range s.Errors.Routes {
			found := at(r)
			for _, h := range r.Handle {
				found.look(h, &found.errorProxies)
			}
		}
	}
	return all
}

// hosts are those that a route is for; empty: all.
func (r route) hosts() string {
	var all []string
	for _, m := range r.Match {
		all = append(all, m.Host...)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// look finds registries and proxies in a handler and all that is inside it.
func (s *site) look(raw json.RawMessage, proxies *[]proxy) {
	var h struct {
		Handler    string  `json:"handler"`
		Routes     []route `json:"routes"`
		Registries []struct {
			Name string `json:"name"`
		} `json:"registries"`
		Upstreams []struct {
			Dial string `json:"dial"`
		} `json:"upstreams"`
		Transport struct {
			TLS json.RawMessage `json:"tls"`
		} `json:"transport"`
		HandleResponse []struct {
			Routes []route `json:"routes"`
		} `json:"handle_response"`
	}
	if json.Unmarshal(raw, &h) != nil {
		return // a handler of somebody else, with fields of the same names
	}
	switch h.Handler {
	case "trusted_publishing":
		for _, r := range h.Registries {
			s.registries = append(s.registries, r.Name)
		}
	case "reverse_proxy":
		p := proxy{tls: h.Transport.TLS != nil}
		for _, u := range h.Upstreams {
			p.dials = append(p.dials, u.Dial)
		}
		*proxies = append(*proxies, p)
		for _, r := range h.HandleResponse {
			h.Routes = append(h.Routes, r.Routes...)
		}
	}
	for _, r := range h.Routes {
		for _, inner := range r.Handle {
			s.look(inner, proxies)
		}
	}
}

// name is how a site is called in a sentence.
func (s *site) name() string {
	if s.hosts == "" {
		return "a site for any host (" + s.server + ")"
	}
	return "the site " + s.hosts
}

// loopback is true for an address that no other machine sees: loopback, or a socket.
func loopback(address string) bool {
	network, rest, is := strings.Cut(address, "/")
	if is && strings.HasPrefix(network, "unix") {
		return true
	}
	if is {
		address = rest
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
