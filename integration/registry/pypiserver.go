package registry

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/toolbox"
)

const (
	pypiserverUser     = "pub"
	pypiserverPassword = "canary-pypiserver-password-4Kd9"
)

// htpasswd writes a password file with a hash that needs nothing but passlib.
const htpasswd = `import sys
from passlib.apache import HtpasswdFile
f = HtpasswdFile(sys.argv[1], new=True, default_scheme="apr_md5_crypt")
f.set_password(sys.argv[2], sys.argv[3])
f.save()
`

// StartPyPIServer starts a pypiserver in a new folder, with one user who may upload.
func StartPyPIServer(ctx context.Context, dir string) (*Server, error) {
	program, err := toolbox.PyPIServer.Program(ctx, "pypi-server")
	if err != nil {
		return nil, err
	}
	bin, packages := filepath.Dir(program), filepath.Join(dir, "packages")
	if err := os.MkdirAll(packages, 0o755); err != nil {
		return nil, err
	}
	env := []string{"PATH=" + bin + ":/usr/bin:/bin", "HOME=" + dir, "LANG=C.UTF-8", "PYTHONUNBUFFERED=1"}
	users := filepath.Join(dir, "htpasswd")
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "python"), "-c", htpasswd, users, pypiserverUser, pypiserverPassword)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("htpasswd: %w\n%s", err, out)
	}
	secret := filepath.Join(dir, "pypiserver-password")
	if err := os.WriteFile(secret, []byte(pypiserverPassword+"\n"), 0o600); err != nil {
		return nil, err
	}
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	addr := "127.0.0.1:" + strconv.Itoa(port)
	return serve(ctx, &Registry{
		Kind: "pypiserver", Addr: addr, Path: "/", User: pypiserverUser, Password: pypiserverPassword,
		Credential: staticCredential("basic "+pypiserverUser, secret), Secrets: []string{pypiserverPassword},
		Files: func(context.Context) (map[string]string, error) { return tree(packages) },
	}, dir, env, []string{program, "run", "-v", "-p", strconv.Itoa(port), "-i", "127.0.0.1", "-P", users, "-a", "update", packages}, "/", http.StatusOK)
}
