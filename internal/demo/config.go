package demo

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/demo/script"
)

// releaseJob and strangerJob are the request tokens of two jobs at the development issuer.
const (
	releaseJob  = "release-job"
	strangerJob = "stranger-job"
)

// registryName is the registry's name in the Caddyfile and the policy.
func registryName(s *script.Script) string { return "demo-" + s.Ecosystem }

// layout is where things lie in the folder.
type layout struct {
	dir, caddyfile, policies, policy, audit, log, storage string
	ca, chain, key                                        string
	secretFile, storeDir, dist                            string
}

func layoutOf(dir string) layout {
	in := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	return layout{
		dir: dir, caddyfile: in("Caddyfile"), policies: in("policies"), policy: in("policies", "widget.yaml"),
		audit: in("audit.jsonl"), log: in("caddy.log"), storage: in("storage"),
		ca: in("tls", "ca.pem"), chain: in("tls", "chain.pem"), key: in("tls", "key.pem"),
		secretFile: in("secrets", "registry-secret"), storeDir: in("registry"), dist: in("dist"),
	}
}

// folders are the ones to make.
func (l layout) folders() []string {
	return []string{l.policies, l.storage, l.storeDir, l.dist, filepath.Dir(l.ca), filepath.Dir(l.secretFile)}
}

// caddyfile is what an operator would write, and a head that keeps everything within the folder.
func caddyfile(l layout, s *script.Script, adminPort, port int, issuerURL, storeAddr string) string {
	var settings string
	if s.Settings != "" {
		settings = "\n\t\t\t" + s.Settings
	}
	return fmt.Sprintf(`# The gateway of the demo. "caddy reload --address 127.0.0.1:%[1]d --config Caddyfile" takes edits over.
{
	# These keep the demo within its folder and off the network.
	admin 127.0.0.1:%[1]d
	default_bind 127.0.0.1
	persist_config off
	storage file_system %[2]q
	storage_check off
	storage_clean_interval off
	auto_https off
	skip_install_trust
	ocsp_stapling off
	log default {
		output file %[3]q
	}

	trusted_publishing {
		policies ./policies
		issuer github %[4]s
		audit ./audit.jsonl
	}
}

https://localhost:%[5]d {
	tls %[6]q %[7]q
	trusted_publishing {
		registry %[8]s %[9]s https://localhost:%[5]d%[10]s {%[11]s
			credential %[12]s {
				%[13]s {file.%[14]s}
			}
		}
	}
	handle %[10]s* {
		reverse_proxy %[15]s {
			transport http {
				keepalive_idle_conns_per_host 256
			}
		}
	}
	# What nothing above has answered must not look like a success.
	handle {
		respond 404
	}
}
`, adminPort, l.storage, l.log, issuerURL, port, l.chain, l.key, registryName(s), s.Ecosystem, s.Path, settings, s.Source, s.Option,
		l.secretFile, storeAddr)
}

// plain are the names that YAML needs no quotes for, and "policy fmt" writes without.
var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]*$`)

// policyOf is the one policy of the demo.
func policyOf(s *script.Script) string {
	var packages []string
	for _, name := range s.Grants() {
		if !plain.MatchString(name) {
			name = fmt.Sprintf("%q", name)
		}
		packages = append(packages, name)
	}
	return fmt.Sprintf(`# Who may publish %[1]s. Edit this file while the demo runs: it acts within seconds.
policies:
  - name: widget-release
    registry: %[2]s
    packages: [%[3]s]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
        workflow: release.yml
        environment: release
`, s.Package, registryName(s), strings.Join(packages, ", "))
}
