package registry

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/trustpub/trustpub/integration/toolbox"
)

// distributionConf is a registry whose token server is the gateway.
const distributionConf = `version: 0.1
log: {accesslog: {disabled: false}, level: info}
storage:
  filesystem: {rootdirectory: %[1]s/data}
  delete: {enabled: true}
http: {addr: "%[2]s", secret: shared-by-replicas}
auth:
  token:
    realm: https://localhost:%[3]d/v2/token
    service: localhost:%[3]d
    issuer: trustpub
    jwks: %[1]s/registry.json
    signingalgorithms: [ES256]
`

// StartDistribution starts an empty registry in a new folder; program makes the keys, as an operator would. Its Files are all that it
// stores but uploads that have not ended.
func StartDistribution(ctx context.Context, dir, program string) (*Server, error) {
	server, err := toolbox.Distribution.Program(ctx)
	if err != nil {
		return nil, err
	}
	public, port, err := twoPorts()
	if err != nil {
		return nil, err
	}
	key, data := filepath.Join(dir, "gateway.json"), filepath.Join(dir, "data")
	if out, err := exec.CommandContext(ctx, program, "trustpub", "oci-keys", "--key", key, "--jwks", filepath.Join(dir, "registry.json")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("oci-keys: %w\n%s", err, out)
	}
	private, err := os.ReadFile(key)
	if err != nil {
		return nil, err
	}
	addr := "127.0.0.1:" + strconv.Itoa(port)
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, distributionConf, dir, addr, public), 0o600); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, err
	}
	return serve(ctx, &Registry{
		Kind: "distribution", Addr: addr, Path: "/", Password: "canary-no-such-password-1Wq6", PublicPort: public,
		Credential: "credential distribution {\n\tkey {file." + key + "}\n}",
		Secrets:    []string{strings.TrimSpace(string(private))},
		Files: func(context.Context) (map[string]string, error) {
			files, err := tree(data)
			for path := range files {
				if strings.Contains(path, "/_uploads/") {
					delete(files, path)
				}
			}
			return files, err
		},
	}, dir, []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "OTEL_TRACES_EXPORTER=none"}, []string{server, "serve", config}, "/v2/", http.StatusUnauthorized)
}
