// Package client runs the real clients of the integration tests, unmodified, in surroundings of their own: uv, pdm, twine and
// curl see a throw-away home, one certificate authority and, where asked for, the variables of a GitHub Actions job. Nothing
// of the caller's environment reaches them, so that no certificate or index setting of the machine changes what they do.
package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/trustpub/trustpub/integration/toolbox"
)

// runLimit bounds one run of a client on a busy machine.
const runLimit = 2 * time.Minute

// carriedLimit bounds one that may wait for its token's end.
const carriedLimit = 15 * time.Minute

// Job is what a GitHub Actions job finds in its environment.
type Job struct {
	// RequestURL and RequestToken are ACTIONS_ID_TOKEN_REQUEST_URL and _TOKEN.
	RequestURL, RequestToken string
	// Nameless leaves out what names the platform, so that a client which knows it asks for nothing itself.
	Nameless bool
}

// Result is what a run of a client left in the terminal.
type Result struct {
	// Code is the exit status.
	Code int
	// Output is standard output and error as they came.
	Output string
}

// Home is the surroundings of one client run.
type Home struct {
	// Dir is an empty folder of its own.
	Dir string
	// CA is the file of the certificate authority that the client trusts.
	CA string
	// Job is the CI job that the client runs in; nil: none.
	Job *Job
	// Carrier runs the client by trustpub exec, which brings it its credential; nil: the client is run as it is.
	Carrier *Carrier
	// Extra are variables that beat all others, Bin is a folder before all others of the PATH.
	Extra []string
	Bin   string
}

// Login is a user name and a password.
type Login struct{ User, Password string }

// UV publishes with uv: by trusted publishing, or with the login where one is given.
func (h Home) UV(ctx context.Context, url string, login *Login, files ...string) (Result, error) {
	program, err := toolbox.UV.Program(ctx, "uv")
	if err != nil {
		return Result{}, err
	}
	args := []string{"publish", "--publish-url", url}
	env := []string{"SSL_CERT_FILE=" + h.CA, "UV_NO_CONFIG=1"}
	if login != nil {
		args = append(args, "--trusted-publishing", "never", "--username", login.User)
		env = append(env, "UV_PUBLISH_PASSWORD="+login.Password)
	} else {
		args = append(args, "--trusted-publishing", "always")
	}
	return h.run(ctx, h.Dir, env, program, append(args, files...)...)
}

// Twine publishes with twine; it has no trusted publishing for private hosts, so it always has a login: the identity token
// or a publish token as the password of user __token__.
func (h Home) Twine(ctx context.Context, url string, login Login, files ...string) (Result, error) {
	program, err := toolbox.Twine.Program(ctx, "twine")
	if err != nil {
		return Result{}, err
	}
	env := []string{"REQUESTS_CA_BUNDLE=" + h.CA, "TWINE_USERNAME=" + login.User, "TWINE_PASSWORD=" + login.Password}
	args := append([]string{"upload", "--non-interactive", "--disable-progress-bar", "--repository-url", url}, files...)
	return h.run(ctx, h.Dir, env, program, args...)
}

// pyproject is the least project that pdm publishes; the files come from its dist folder.
const pyproject = `[project]
name = "placeholder"
version = "0"
requires-python = ">=3.8"

[tool.pdm]
distribution = true
`

// PDM publishes with pdm: by trusted publishing, or with the login where one is given.
func (h Home) PDM(ctx context.Context, url string, login *Login, files ...string) (Result, error) {
	program, err := toolbox.PDM.Program(ctx, "pdm")
	if err != nil {
		return Result{}, err
	}
	project := filepath.Join(h.Dir, "project")
	if err := os.MkdirAll(filepath.Join(project, "dist"), 0o755); err != nil {
		return Result{}, err
	}
	if err := os.WriteFile(filepath.Join(project, "pyproject.toml"), []byte(pyproject), 0o644); err != nil {
		return Result{}, err
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return Result{}, err
		}
		if err := os.WriteFile(filepath.Join(project, "dist", filepath.Base(file)), b, 0o644); err != nil {
			return Result{}, err
		}
	}
	env := []string{"PDM_PUBLISH_REPO=" + url, "PDM_PUBLISH_CA_CERTS=" + h.CA, "PDM_CHECK_UPDATE=0", "PDM_NON_INTERACTIVE=1", "PDM_USE_VENV=0"}
	if login != nil {
		env = append(env, "PDM_PUBLISH_USERNAME="+login.User, "PDM_PUBLISH_PASSWORD="+login.Password)
	}
	return h.run(ctx, project, env, program, "publish", "--no-build")
}

// Curl uploads a form with curl. auth are the arguments that carry the credential; fields are NAME=VALUE, the file comes last.
func (h Home) Curl(ctx context.Context, url string, auth, fields []string, file string) (Result, error) {
	args := slices.Clone(auth)
	for _, field := range fields {
		args = append(args, "--form-string", field)
	}
	return h.CurlRaw(ctx, url, append(args, "--form", "content=@"+file)...)
}

// CurlRaw runs curl with these arguments.
func (h Home) CurlRaw(ctx context.Context, url string, args ...string) (Result, error) {
	program, err := exec.LookPath("curl")
	if err != nil {
		return Result{}, errors.New("curl is not on the PATH: the integration tests publish with it too")
	}
	return h.run(ctx, h.Dir, nil, program, append(append([]string{"--silent", "--show-error", "--cacert", h.CA}, args...), url)...)
}

func (h Home) run(ctx context.Context, dir string, env []string, program string, args ...string) (Result, error) {
	limit := runLimit
	if h.Carrier != nil {
		limit = carriedLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	folder := filepath.Dir(program)
	program, args = h.Carrier.wrap(h, program, args)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(h.environment(folder), env...)
	cmd.Env = append(cmd.Env, h.Extra...)
	if h.Carrier != nil {
		cmd.Stdin = h.Carrier.Stdin
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		return Result{}, fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, out.String())
	}
	return Result{Code: cmd.ProcessState.ExitCode(), Output: out.String()}, nil
}

// environment is all that a client sees beside its own settings.
func (h Home) environment(bin string) []string {
	if h.Bin != "" {
		bin = h.Bin + ":" + bin
	}
	env := []string{
		"PATH=" + bin + ":/usr/local/bin:/usr/bin:/bin",
		"HOME=" + h.Dir, "TMPDIR=" + h.Dir,
		"XDG_CONFIG_HOME=" + filepath.Join(h.Dir, "config"), "XDG_CACHE_HOME=" + filepath.Join(h.Dir, "cache"),
		"XDG_DATA_HOME=" + filepath.Join(h.Dir, "data"), "XDG_STATE_HOME=" + filepath.Join(h.Dir, "state"),
		"LANG=C.UTF-8", "TERM=dumb", "NO_COLOR=1", "COLUMNS=2000", "PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring",
	}
	if h.Job != nil {
		if !h.Job.Nameless {
			env = append(env, "CI=true", "GITHUB_ACTIONS=true")
		}
		env = append(env, "ACTIONS_ID_TOKEN_REQUEST_URL="+h.Job.RequestURL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN="+h.Job.RequestToken)
	}
	return env
}
