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

	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/toolbox"
)

const ktraPassword = "canary-ktra-password-2Vd9"

// ktraConf is a registry that keeps its index in a git repository beside it.
const ktraConf = `[crate_files_config]
dl_dir_path = "crates"
dl_path = ["dl"]

[db_config]
db_dir_path = "db"

[index_config]
remote_url = "file://%s"
local_path = "local"
branch = "main"
name = "ktra"
email = "ktra@localhost"

[server_config]
address = [127, 0, 0, 1]
port = %d
`

// StartKtra starts an empty registry in a new folder, which checks tokens and says so of a wrong one by quoting it. Its index
// sends clients to the gateway.
func StartKtra(ctx context.Context, dir string) (*Server, error) {
	program, err := toolbox.Ktra.Program(ctx)
	if err != nil {
		return nil, err
	}
	public, port, err := twoPorts()
	if err != nil {
		return nil, err
	}
	index, work := filepath.Join(dir, "index.git"), filepath.Join(dir, "work")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return nil, err
	}
	for file, text := range map[string]string{
		filepath.Join(work, "config.json"): indexConfig(public, "/dl"),
		filepath.Join(dir, "ktra.toml"):    fmt.Sprintf(ktraConf, index, port),
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", index},
		{"-C", work, "init", "--quiet", "--initial-branch=main"},
		{"-C", work, "add", "config.json"},
		{"-C", work, "commit", "--quiet", "--message=settings"},
		{"-C", work, "push", "--quiet", index, "main"},
	} {
		if _, err := git(ctx, dir, args...); err != nil {
			return nil, err
		}
	}
	addr := "127.0.0.1:" + strconv.Itoa(port)
	server, err := serve(ctx, &Registry{
		Kind: "ktra", Addr: addr, Path: "/", PublicPort: public, Index: index,
		Files: func(ctx context.Context) (map[string]string, error) {
			return crates(ctx, filepath.Join(dir, "crates"), index)
		},
	}, dir, gitEnv(dir), []string{program, "-c", filepath.Join(dir, "ktra.toml")}, "/absent", http.StatusNotFound)
	if err != nil {
		return nil, err
	}
	token, err := login(ctx, http.MethodPost, "http://"+addr+"/ktra/api/v1/new_user/bot", `{"password":"`+ktraPassword+`"}`)
	secret := filepath.Join(dir, "ktra-token")
	if err == nil {
		err = os.WriteFile(secret, []byte(token+"\n"), 0o600)
	}
	if err != nil {
		server.Stop()
		return nil, err
	}
	server.Password, server.Secrets, server.Credential = token, []string{ktraPassword, token}, staticCredential("header Authorization", secret)
	return server, nil
}

// StartCargoHTTP starts an empty registry in a new folder, which checks no token and refuses bodies without a length. Its index
// sends clients to the gateway.
func StartCargoHTTP(ctx context.Context, dir string) (*Server, error) {
	program, err := toolbox.HTTPRegistry.Program(ctx)
	if err != nil {
		return nil, err
	}
	public, port, err := twoPorts()
	if err != nil {
		return nil, err
	}
	files, secret := filepath.Join(dir, "files"), filepath.Join(dir, "any-token")
	if err := os.WriteFile(secret, []byte("canary-any-token-8Hs3\n"), 0o600); err != nil {
		return nil, err
	}
	addr := "127.0.0.1:" + strconv.Itoa(port)
	server, err := serve(ctx, &Registry{
		Kind: "cargo-http-registry", Addr: addr, Path: "/", Password: "canary-any-token-8Hs3", PublicPort: public, Index: files,
		Credential: staticCredential("header Authorization", secret), Secrets: []string{"canary-any-token-8Hs3"},
		Files: func(ctx context.Context) (map[string]string, error) { return crates(ctx, files, files) },
	}, dir, gitEnv(dir), []string{program, "--addr", addr, files}, "/crates/config.json", http.StatusOK)
	if err != nil {
		return nil, err
	}
	// It writes its own address into the index, behind the gateway's back.
	err = os.WriteFile(filepath.Join(files, "config.json"), []byte(indexConfig(public, "/api/v1/crates")), 0o600)
	if err == nil {
		_, err = git(ctx, files, "commit", "--quiet", "--all", "--message=settings")
	}
	if err != nil {
		server.Stop()
		return nil, err
	}
	return server, nil
}

// indexConfig is what an index says of its registry.
func indexConfig(port int, download string) string {
	base := "https://localhost:" + strconv.Itoa(port)
	return fmt.Sprintf(`{"dl": "%s%s", "api": "%s"}`+"\n", base, download, base)
}

// twoPorts are one for the gateway and one for the registry, which tells its clients of the first.
func twoPorts() (public, own int, err error) {
	if public, err = process.FreePort(); err != nil {
		return 0, 0, err
	}
	own, err = process.FreePort()
	return public, own, err
}

// crates are the files of crates by path, and under "index" the index as it is.
func crates(ctx context.Context, dir, index string) (map[string]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	files, err := tree(dir)
	if err != nil {
		return nil, err
	}
	for path := range files {
		if !strings.HasSuffix(path, ".crate") && !strings.HasSuffix(path, "/download") {
			delete(files, path)
		}
	}
	files["index"], err = git(ctx, index, "rev-parse", "HEAD^{tree}")
	return files, err
}

// git runs git in a folder, in surroundings of its own.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = dir, gitEnv(dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

func gitEnv(dir string) []string {
	return []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + dir, "LANG=C.UTF-8", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=test", "GIT_AUTHOR_EMAIL=test@localhost", "GIT_COMMITTER_NAME=test", "GIT_COMMITTER_EMAIL=test@localhost",
	}
}
