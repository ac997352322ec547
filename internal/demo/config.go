package demo

import (
	"fmt"
	"path/filepath"
)

// The names of the story.
const (
	registryName = "demo-pypi"
	indexPath    = "/team/prod/"
	simplePath   = "simple/" // below indexPath
	indexUser    = "publisher"
	// releaseJob and strangerJob are the request tokens of two jobs at the development issuer.
	releaseJob  = "release-job"
	strangerJob = "stranger-job"
)

// layout is where things lie in the folder.
type layout struct {
	dir, caddyfile, policies, policy, audit, log, storage string
	ca, chain, key                                        string
	passwordFile, packages, dist                          string
}

func layoutOf(dir string) layout {
	in := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	return layout{
		dir: dir, caddyfile: in("Caddyfile"), policies: in("policies"), policy: in("policies", "widget.yaml"),
		audit: in("audit.jsonl"), log: in("caddy.log"), storage: in("storage"),
		ca: in("tls", "ca.pem"), chain: in("tls", "chain.pem"), key: in("tls", "key.pem"),
		passwordFile: in("secrets", "index-password"), packages: in("packages"), dist: in("dist"),
	}
}

// folders are the ones to make.
func (l layout) folders() []string {
	return []string{l.policies, l.storage, l.packages, l.dist, filepath.Dir(l.ca), filepath.Dir(l.passwordFile)}
}

// caddyfile is what an operator would write, and a head that keeps everything within the folder.
func caddyfile(l layout, adminPort, port int, issuerURL, indexAddr string) string {
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
		registry %[8]s pypi https://localhost:%[5]d%[9]s {
			credential static {
				basic %[10]s {file.%[11]s}
			}
		}
	}
	handle %[9]s* {
		reverse_proxy %[12]s {
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
`, adminPort, l.storage, l.log, issuerURL, port, l.chain, l.key, registryName, indexPath, indexUser, l.passwordFile, indexAddr)
}

// policy is the one policy of the demo.
const policy = `# Who may publish acme-widget. Edit this file while the demo runs: it acts within seconds.
policies:
  - name: widget-release
    registry: ` + registryName + `
    packages: [acme-widget]
    publisher:
      github:
        repository: acme/widget
        repository_owner_id: "222"
        workflow: release.yml
        environment: release
`
