package registry

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/toolbox"
)

const (
	webdavUser     = "publisher"
	webdavPassword = "canary-webdav-password-7Qm2"
)

// nginxConf is an nginx with one server.
const nginxConf = `daemon off;
pid nginx.pid;
error_log stderr warn;
worker_processes 1;
%s
events {}
http {
	access_log off;
	client_body_temp_path tmp;
	proxy_temp_path tmp;
	fastcgi_temp_path tmp;
	uwsgi_temp_path tmp;
	scgi_temp_path tmp;
%s
}
`

// The places in the configuration that docs/registries/webdav.md shows, which is also the form of that of the tests.
const (
	shownListen = "127.0.0.1:8080"
	shownFiles  = "/srv/files"
	shownTmp    = "/srv/tmp"
	shownUsers  = "/etc/nginx/store-users"
)

// willing is a store of files that anybody may read and one user may write. It checks nothing, replaces what it has, and does all that
// WebDAV can do, so that what stays undone was refused by the gateway.
const willing = `server {
	listen ` + shownListen + `;
	root ` + shownFiles + `;
	client_max_body_size 0;
	client_body_temp_path ` + shownTmp + `;
	location / {
		dav_methods PUT DELETE MKCOL COPY MOVE;
		create_full_put_path on;
		limit_except GET HEAD {
			auth_basic store;
			auth_basic_user_file ` + shownUsers + `;
		}
	}
}`

// StartWebDAV starts an empty store in a new folder, which is willing to do everything; its Files are by path below it.
func StartWebDAV(ctx context.Context, dir string) (*Server, error) {
	return StartNginx(ctx, dir, willing)
}

// StartNginx is StartWebDAV with a server block as docs/registries/webdav.md shows it.
func StartNginx(ctx context.Context, dir, server string) (*Server, error) {
	program, err := toolbox.Nginx.Program(ctx)
	if err != nil {
		return nil, err
	}
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // else its workers may not write into the test's folder
	}
	hash := exec.CommandContext(ctx, "openssl", "passwd", "-apr1", "-stdin")
	hash.Stdin = strings.NewReader(webdavPassword + "\n")
	hashed, err := hash.Output()
	if err != nil {
		return nil, fmt.Errorf("openssl passwd: %w", err)
	}
	files, tmp, users, secret := filepath.Join(dir, "files"), filepath.Join(dir, "tmp"), filepath.Join(dir, "users"), filepath.Join(dir, "webdav-password")
	for _, folder := range []string{files, tmp} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
	}
	addr := "127.0.0.1:" + strconv.Itoa(port)
	own := strings.NewReplacer(shownListen, addr, shownFiles, files, shownTmp, tmp, shownUsers, users)
	for path, text := range map[string]string{
		filepath.Join(dir, "nginx.conf"): fmt.Sprintf(nginxConf, user, own.Replace(server)),
		users:                            webdavUser + ":" + string(hashed),
		secret:                           webdavPassword + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return serve(ctx, &Registry{
		Kind: "webdav", Addr: addr, Path: "/", User: webdavUser, Password: webdavPassword,
		Credential: staticCredential("basic "+webdavUser, secret), Secrets: []string{webdavPassword},
		Files: func(context.Context) (map[string]string, error) { return tree(files) },
	}, dir, []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"},
		[]string{program, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr"}, "/absent", http.StatusNotFound)
}

// tree lists the files below a folder by their paths, so that a half-written one is seen too.
func tree(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		files[strings.TrimPrefix(path, dir+"/")], err = digest(f)
		return err
	})
	return files, err
}
