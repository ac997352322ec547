package registry

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
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

// nginxConf is a store of files that anybody may read and one user may write. It checks nothing, and replaces what it has.
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
	client_max_body_size 0;
	server {
		listen 127.0.0.1:%d;
		root files;
		location / {
			dav_methods PUT DELETE MKCOL COPY MOVE;
			create_full_put_path on;
			limit_except GET HEAD {
				auth_basic store;
				auth_basic_user_file users;
			}
		}
	}
}
`

// WebDAV is a running store of files.
type WebDAV struct {
	*Registry
	process *process.Process
}

// StartWebDAV starts an empty store in a new folder; its Files are by path below it.
func StartWebDAV(ctx context.Context, dir string) (*WebDAV, error) {
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
	files, secret := filepath.Join(dir, "files"), filepath.Join(dir, "webdav-password")
	for _, folder := range []string{files, filepath.Join(dir, "tmp")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
	}
	for path, text := range map[string]string{
		filepath.Join(dir, "nginx.conf"): fmt.Sprintf(nginxConf, user, port),
		filepath.Join(dir, "users"):      webdavUser + ":{PLAIN}" + webdavPassword + "\n",
		secret:                           webdavPassword + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	addr := "127.0.0.1:" + strconv.Itoa(port)
	p, err := process.Start(ctx, process.Spec{
		Name: "nginx", Env: []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}, Dir: dir, Log: filepath.Join(dir, "nginx.log"),
		Args:  []string{program, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr"},
		Ready: process.Answers("http://"+addr+"/absent", http.StatusNotFound),
	})
	if err != nil {
		return nil, err
	}
	return &WebDAV{process: p, Registry: &Registry{
		Kind: "webdav", Addr: addr, Path: "/", User: webdavUser, Password: webdavPassword,
		Credential: "credential static {\n\tbasic " + webdavUser + " {file." + secret + "}\n}",
		Secrets:    []string{webdavPassword},
		Files:      func(context.Context) (map[string]string, error) { return tree(files) },
		Log:        p.Log,
	}}, nil
}

// Stop ends the server.
func (w *WebDAV) Stop() { w.process.Stop() }

// tree lists the files below a folder by their paths.
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
