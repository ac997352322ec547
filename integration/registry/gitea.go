package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/toolbox"
)

const (
	giteaAdmin         = "admin-of-gitea"
	giteaAdminPassword = "canary-gitea-admin-Wc83"
	giteaBotPassword   = "canary-gitea-bot-5Hn2"
)

// giteaConf is a server with a database in a file, nobody who registers, and no way out.
const giteaConf = `WORK_PATH = %[1]s
RUN_MODE = prod
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = %[2]d
ROOT_URL = %[3]s
STATIC_ROOT_PATH = %[4]s
OFFLINE_MODE = true
DISABLE_SSH = true
[database]
DB_TYPE = sqlite3
PATH = %[1]s/gitea.db
[security]
INSTALL_LOCK = true
[service]
DISABLE_REGISTRATION = true
[log]
MODE = console
LEVEL = Info
`

// Gitea is a running server. Its organisations are independent of each other, and each has a bot of its own.
type Gitea struct {
	addr, dir string
	process   *process.Process
}

// StartGitea starts an empty server in a new folder. root is its public URL, which it writes into what it answers; empty: its own address.
func StartGitea(ctx context.Context, dir, root string) (*Gitea, error) {
	installed, err := toolbox.Gitea.Install(ctx)
	if err != nil {
		return nil, err
	}
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	g := &Gitea{addr: "127.0.0.1:" + strconv.Itoa(port), dir: dir}
	if root == "" {
		root = "http://" + g.addr + "/"
	}
	config := filepath.Join(dir, "app.ini")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, giteaConf, dir, port, root, filepath.Join(installed, "static")), 0o600); err != nil {
		return nil, err
	}
	program := filepath.Join(installed, "bin", "gitea")
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + dir, "LANG=C.UTF-8", "GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT=true"}
	for _, args := range [][]string{
		{"migrate"},
		{"admin", "user", "create", "--admin", "--username", giteaAdmin, "--password", giteaAdminPassword, "--email", "admin@example.com", "--must-change-password=false"},
	} {
		cmd := exec.CommandContext(ctx, program, append([]string{"--config", config}, args...)...)
		cmd.Env, cmd.Dir = env, dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("gitea %s: %w\n%s", args[0], err, out)
		}
	}
	g.process, err = process.Start(ctx, process.Spec{
		Name: "gitea", Env: env, Dir: dir, Log: filepath.Join(dir, "gitea.log"),
		Args:  []string{program, "--config", config, "web"},
		Ready: process.Answers("http://"+g.addr+"/api/healthz", http.StatusOK),
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// Owner makes an organisation with a bot that may write its packages and nothing else, and returns its registry of one ecosystem. The
// bot has a long-lived token of the kind that trusted publishing replaces.
func (g *Gitea) Owner(ctx context.Context, name, ecosystem string) (*Registry, error) {
	bot := name + "-bot"
	admin := func(method, where string, in, out any) error {
		return g.call(ctx, giteaAdmin, giteaAdminPassword, method, where, in, out)
	}
	var team struct {
		ID int `json:"id"`
	}
	err := admin(http.MethodPost, "/admin/users", map[string]any{"username": bot, "email": bot + "@example.com", "password": giteaBotPassword, "must_change_password": false}, nil)
	if err == nil {
		err = admin(http.MethodPost, "/orgs", map[string]any{"username": name, "visibility": "public"}, nil)
	}
	if err == nil {
		err = admin(http.MethodPost, "/orgs/"+name+"/teams", map[string]any{"name": "publishers", "permission": "write", "units_map": map[string]string{"repo.packages": "write"}}, &team)
	}
	if err == nil {
		err = admin(http.MethodPut, fmt.Sprintf("/teams/%d/members/%s", team.ID, bot), nil, nil)
	}
	if err != nil {
		return nil, err
	}
	secret := filepath.Join(g.dir, bot+"-password")
	if err := os.WriteFile(secret, []byte(giteaBotPassword+"\n"), 0o600); err != nil {
		return nil, err
	}
	token, err := g.Mint(ctx, bot, "ci", "write:package")
	if err != nil {
		return nil, err
	}
	return &Registry{
		Kind: "gitea", Addr: g.addr, Path: "/api/packages/" + name + "/" + ecosystem + "/", User: bot, Password: token,
		Credential: "credential gitea {\n\turl http://" + g.addr + "\n\tuser " + bot + "\n\tpassword {file." + secret + "}\n}",
		Secrets:    []string{giteaAdminPassword, giteaBotPassword, token},
		Files:      func(ctx context.Context) (map[string]string, error) { return g.files(ctx, name) },
		Log:        g.process.Log,
	}, nil
}

// Mint makes a token of a bot's with a name.
func (g *Gitea) Mint(ctx context.Context, bot, name string, scopes ...string) (string, error) {
	var made struct {
		Token string `json:"sha1"`
	}
	err := g.call(ctx, bot, giteaBotPassword, http.MethodPost, "/users/"+bot+"/tokens", map[string]any{"name": name, "scopes": scopes}, &made)
	if err == nil && made.Token == "" {
		err = fmt.Errorf("gitea made no token")
	}
	return made.Token, err
}

// Hide makes an organisation private, so that reading needs a credential.
func (g *Gitea) Hide(ctx context.Context, owner string) error {
	return g.call(ctx, giteaAdmin, giteaAdminPassword, http.MethodPatch, "/orgs/"+owner, map[string]string{"visibility": "private"}, nil)
}

// Tokens lists the names of a bot's tokens.
func (g *Gitea) Tokens(ctx context.Context, bot string) ([]string, error) {
	var tokens []struct {
		Name string `json:"name"`
	}
	err := g.call(ctx, bot, giteaBotPassword, http.MethodGet, "/users/"+bot+"/tokens?limit=50", nil, &tokens)
	var names []string
	for _, t := range tokens {
		names = append(names, t.Name)
	}
	return names, err
}

// Stop ends the server.
func (g *Gitea) Stop() { g.process.Stop() }

// files lists what an owner's packages hold, as NAME/VERSION/FILE. The digests are those of the bytes on Gitea's disk, where they lie
// under the digest that Gitea says they have.
func (g *Gitea) files(ctx context.Context, owner string) (map[string]string, error) {
	files := map[string]string{}
	for page := 1; ; page++ {
		var packages []struct{ Type, Name, Version string }
		if err := g.call(ctx, giteaAdmin, giteaAdminPassword, http.MethodGet, fmt.Sprintf("/packages/%s?limit=50&page=%d", owner, page), nil, &packages); err != nil {
			return nil, err
		}
		if len(packages) == 0 {
			return files, nil
		}
		for _, p := range packages {
			var held []struct{ Name, SHA256 string }
			where := fmt.Sprintf("/packages/%s/%s/%s/%s/files", owner, p.Type, url.PathEscape(p.Name), url.PathEscape(p.Version))
			if err := g.call(ctx, giteaAdmin, giteaAdminPassword, http.MethodGet, where, nil, &held); err != nil {
				return nil, err
			}
			if len(held) == 0 {
				files[p.Name+"/"+p.Version+" (a version without a file)"] = ""
			}
			for _, f := range held {
				sum, err := g.stored(f.SHA256)
				if err != nil {
					return nil, err
				}
				files[p.Name+"/"+p.Version+"/"+f.Name] = sum
			}
		}
	}
}

// stored hashes what lies under a digest.
func (g *Gitea) stored(sum string) (string, error) {
	if len(sum) < 4 {
		return "", fmt.Errorf("gitea says that a file has the digest %q", sum)
	}
	f, err := os.Open(filepath.Join(g.dir, "data", "packages", sum[:2], sum[2:4], sum))
	if err != nil {
		return "", err
	}
	defer f.Close()
	return digest(f)
}

// call speaks Gitea's JSON.
func (g *Gitea) call(ctx context.Context, user, password, method, where string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+g.addr+"/api/v1"+where, body)
	if err != nil {
		return err
	}
	req.SetBasicAuth(user, password)
	req.Header.Set("Content-Type", "application/json")
	return call(req, out)
}
