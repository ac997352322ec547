package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"time"

	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/toolbox"
)

const (
	devpiUser     = "publisher"
	devpiPassword = "canary-devpi-password-7Yq2"
	devpiRoot     = "canary-devpi-root-Zp31"
)

// Devpi is a running devpi-server with devpi-tokens. Its indexes are independent of each other.
type Devpi struct {
	addr    string
	dir     string
	token   string
	process *process.Process
}

// StartDevpi initialises and starts a devpi in a new folder: the user publisher, and a token of that user for the gateway.
// The cost of its password hash is the lowest there is, which only makes it start faster.
func StartDevpi(ctx context.Context, dir string) (*Devpi, error) {
	init, err := toolbox.Devpi.Program(ctx, "devpi-init")
	if err != nil {
		return nil, err
	}
	bin := filepath.Dir(init)
	data, secrets := filepath.Join(dir, "data"), filepath.Join(dir, "secrets")
	if err := os.MkdirAll(secrets, 0o700); err != nil {
		return nil, err
	}
	env := []string{"PATH=" + bin + ":/usr/bin:/bin", "HOME=" + dir, "LANG=C.UTF-8", "PYTHONUNBUFFERED=1"}
	for _, args := range [][]string{
		{init, "--serverdir", data, "--no-root-pypi", "--root-passwd", devpiRoot},
		{filepath.Join(bin, "devpi-gen-secret"), "--secretfile", filepath.Join(secrets, "secret")},
	} {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(args[0]), err, out)
		}
	}
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	d := &Devpi{addr: "127.0.0.1:" + strconv.Itoa(port), dir: dir}
	d.process, err = process.Start(ctx, process.Spec{
		Name: "devpi-server", Env: env, Dir: dir, Log: filepath.Join(dir, "devpi.log"),
		Args: []string{
			filepath.Join(bin, "devpi-server"), "--serverdir", data, "--secretfile", filepath.Join(secrets, "secret"),
			"--host", "127.0.0.1", "--port", strconv.Itoa(port), "--restrict-modify", "root",
			"--argon2-memory-cost", "1024", "--argon2-time-cost", "1", "--argon2-parallelism", "1",
		},
		Ready: process.Answers("http://"+d.addr+"/+api", http.StatusOK),
	})
	if err != nil {
		return nil, err
	}
	if err := d.bootstrap(ctx); err != nil {
		d.process.Kill()
		return nil, err
	}
	return d, nil
}

func (d *Devpi) bootstrap(ctx context.Context) error {
	if err := d.call(ctx, http.MethodPut, "/"+devpiUser, map[string]any{"password": devpiPassword}, nil); err != nil {
		return err
	}
	var made struct {
		Result struct {
			Token string `json:"token"`
		} `json:"result"`
	}
	if err := d.call(ctx, http.MethodPost, "/"+devpiUser+"/+token-create", map[string]any{"expires": "never"}, &made); err != nil {
		return err
	}
	if made.Result.Token == "" {
		return fmt.Errorf("devpi created no token; is devpi-tokens installed?\n%s", d.process.Log())
	}
	d.token = made.Result.Token
	return os.WriteFile(filepath.Join(d.dir, "devpi-token"), []byte(d.token+"\n"), 0o600)
}

// Index creates an index, with other indexes as bases that it inherits from, and returns it as a registry.
func (d *Devpi) Index(ctx context.Context, name string, bases ...string) (*Registry, error) {
	where := "/" + devpiUser + "/" + name
	inherited := make([]string, 0, len(bases))
	for _, base := range bases {
		inherited = append(inherited, devpiUser+"/"+base)
	}
	if err := d.call(ctx, http.MethodPut, where, map[string]any{"type": "stage", "volatile": false, "bases": inherited}, nil); err != nil {
		return nil, err
	}
	return &Registry{
		Kind: "devpi", Addr: d.addr, Path: where + "/", User: devpiUser, Password: devpiPassword,
		Credential: "credential devpi {\n\ttoken {file." + filepath.Join(d.dir, "devpi-token") + "}\n}",
		Secrets:    []string{devpiPassword, devpiRoot, d.token},
		Files:      func(ctx context.Context) (map[string]string, error) { return d.files(ctx, where) },
		Log:        d.process.Log,
	}, nil
}

// Token is the parent token, for tests that talk to devpi without the gateway.
func (d *Devpi) Token() string { return d.token }

// Stop ends the server.
func (d *Devpi) Stop() { d.process.Stop() }

// files downloads everything that the index lists and hashes it here: what devpi says of a digest is not the question.
func (d *Devpi) files(ctx context.Context, where string) (map[string]string, error) {
	var index struct {
		Result struct {
			Projects []string `json:"projects"`
		} `json:"result"`
	}
	if err := d.call(ctx, http.MethodGet, where+"/", nil, &index); err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, project := range index.Result.Projects {
		var versions struct {
			Result map[string]struct {
				Links []struct {
					Href string `json:"href"`
				} `json:"+links"`
			} `json:"result"`
		}
		if err := d.call(ctx, http.MethodGet, where+"/"+project, nil, &versions); err != nil {
			return nil, err
		}
		if len(versions.Result) == 0 {
			files[project+" (a project without a file)"] = ""
		}
		for version, v := range versions.Result {
			if len(v.Links) == 0 {
				files[project+" "+version+" (a version without a file)"] = ""
			}
			for _, link := range v.Links {
				sum, err := d.fetch(ctx, link.Href)
				if err != nil {
					return nil, err
				}
				files[path.Base(link.Href)] = sum
			}
		}
	}
	return files, nil
}

func (d *Devpi) fetch(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.URL.Host, req.URL.Scheme = d.addr, "http" // whatever outside URL devpi believes in
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GET %s: got %s", req.URL, res.Status)
	}
	return digest(res.Body)
}

// call speaks devpi's JSON as root.
func (d *Devpi) call(ctx context.Context, method, where string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+d.addr+where, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.SetBasicAuth("root", devpiRoot)
	req.Header.Set("Accept", "application/json")
	if method == http.MethodGet {
		req.Body, req.ContentLength = nil, 0
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	return call(req, out)
}

// Session logs the publisher in, as devpi-client does, and gives the session's password.
func (d *Devpi) Session(ctx context.Context) (string, error) {
	var login struct {
		Result struct {
			Password string `json:"password"`
		} `json:"result"`
	}
	err := d.call(ctx, http.MethodPost, "/+login", map[string]any{"user": devpiUser, "password": devpiPassword}, &login)
	if err == nil && login.Result.Password == "" {
		err = fmt.Errorf("devpi's login gave no session")
	}
	return login.Result.Password, err
}
