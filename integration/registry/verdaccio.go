package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/toolbox"
)

const (
	verdaccioUser     = "publisher"
	verdaccioPassword = "canary-verdaccio-password-4Tz8"
)

// verdaccioConf is a registry without uplinks that anybody may read and users may write.
const verdaccioConf = `storage: %[1]s/storage
auth:
  htpasswd:
    file: %[1]s/htpasswd
    max_users: 1
uplinks: {}
packages:
  "@*/*": {access: $all, publish: $authenticated, unpublish: $authenticated}
  "**": {access: $all, publish: $authenticated, unpublish: $authenticated}
log: {type: stdout, format: pretty, level: http}
`

// Verdaccio is a running npm registry.
type Verdaccio struct {
	*Server
	// Login is the directive with which the gateway logs in itself, instead of holding a token.
	Login string
}

// StartVerdaccio starts an empty registry in a new folder, with one user; its Files are the archives by path. Lines are further lines
// of its configuration.
func StartVerdaccio(ctx context.Context, dir string, lines ...string) (*Verdaccio, error) {
	program, err := toolbox.Verdaccio.Program(ctx, "verdaccio")
	if err != nil {
		return nil, err
	}
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	config, storage := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "storage")
	if err := os.MkdirAll(storage, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, verdaccioConf+strings.Join(lines, "\n"), dir), 0o600); err != nil {
		return nil, err
	}
	addr := "127.0.0.1:" + strconv.Itoa(port)
	server, err := serve(ctx, &Registry{
		Kind: "verdaccio", Addr: addr, Path: "/", User: verdaccioUser,
		Files: func(context.Context) (map[string]string, error) {
			files, err := tree(storage)
			for path := range files {
				if !strings.HasSuffix(path, ".tgz") {
					delete(files, path) // the registry's own books
				}
			}
			return files, err
		},
	}, dir, []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + dir, "LANG=C.UTF-8"}, []string{program, "--config", config, "--listen", addr}, "/-/ping", http.StatusOK)
	if err != nil {
		return nil, err
	}
	token, err := login(ctx, http.MethodPut, "http://"+addr+"/-/user/org.couchdb.user:"+verdaccioUser, `{"name":"`+verdaccioUser+`","password":"`+verdaccioPassword+`"}`)
	secret, password := filepath.Join(dir, "verdaccio-token"), filepath.Join(dir, "verdaccio-password")
	if err == nil {
		err = errors.Join(os.WriteFile(secret, []byte(token+"\n"), 0o600), os.WriteFile(password, []byte(verdaccioPassword+"\n"), 0o600))
	}
	if err != nil {
		server.Stop()
		return nil, err
	}
	server.Password, server.Secrets, server.Credential = token, []string{verdaccioPassword, token}, staticCredential("bearer", secret)
	return &Verdaccio{
		Server: server,
		Login:  "credential verdaccio {\n\turl http://" + addr + "\n\tuser " + verdaccioUser + "\n\tpassword {file." + password + "}\n}",
	}, nil
}
