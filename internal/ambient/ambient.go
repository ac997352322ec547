// Package ambient finds the identity token of the CI job that it runs in: from the platform's own endpoint or program, which gives
// one for any audience, or from the variable or file where the platform or the job's configuration has put one.
//
// Each platform is a source in a file of its own. What is missing is said in the platform's words, with the lines to paste.
package ambient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// limits of what a source may take, and of what is read of it.
const (
	askTimeout = 15 * time.Second
	maxToken   = 64 << 10
)

// Job is the surroundings in which a token is looked for. The zero value has nothing; use Here.
type Job struct {
	// Getenv reads an environment variable.
	Getenv func(string) string
	// Client asks the platforms' endpoints.
	Client *http.Client
	// Run runs a platform's own program and returns what it printed; an error's text is what it said.
	Run func(ctx context.Context, program string, args ...string) (string, error)
	// ReadFile reads a file.
	ReadFile func(string) ([]byte, error)
	// Wait waits between two attempts.
	Wait func(context.Context, time.Duration) error
}

// Here is the job that this process runs in.
func Here() Job {
	return Job{
		Getenv: os.Getenv, Run: run, ReadFile: os.ReadFile,
		Client: &http.Client{
			Timeout: askTimeout,
			// No platform redirects, and the question has a secret of the job's.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Wait: func(ctx context.Context, d time.Duration) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(d):
				return nil
			}
		},
	}
}

// Source is a way to an identity token.
type Source struct {
	// Name is what --identity calls it.
	Name string
	// Fresh is true where each question gives a new token, so that one can be had again while the job goes on.
	Fresh bool
	// Chooses is true where the audience is asked for; elsewhere it was fixed when the job began.
	Chooses bool
	// Where says where the token was found, for messages.
	Where string

	token func(ctx context.Context, audience string) (string, error)
	// paste is the job's configuration that gives a token of the audience.
	paste func(audience string) string
}

// Token asks for a token. Its errors never quote one.
func (s *Source) Token(ctx context.Context, audience string) (string, error) {
	raw, err := s.token(ctx, audience)
	if err != nil {
		return "", err
	}
	raw = strings.TrimSpace(raw)
	if err := checkForm(raw); err != nil {
		return "", fmt.Errorf("%s: %w", s.Where, err)
	}
	return raw, nil
}

// Paste is the job's configuration that gives a token of that audience.
func (s *Source) Paste(audience string) string { return s.paste(audience) }

// checkForm refuses what is no signed token, without quoting it.
func checkForm(raw string) error {
	switch {
	case raw == "":
		return errors.New("it is empty, expected an identity token")
	case len(raw) > maxToken:
		return fmt.Errorf("it has %d bytes, expected an identity token of at most %d", len(raw), maxToken)
	case strings.Count(raw, ".") != 2 || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("it is no identity token: expected three parts between dots, and nothing else")
	}
	return nil
}

// Missing is an error that says what the job lacks and what to write into its configuration.
type Missing struct {
	// Platform is the CI platform's name.
	Platform string
	// Lacks says what is absent.
	Lacks string
	// Do says what to do, and Paste what to paste, if anything.
	Do, Paste string
}

// Error is all of it, the lines to paste indented.
func (m *Missing) Error() string {
	text := m.Platform + ": " + m.Lacks + ". " + m.Do
	if m.Paste == "" {
		return text
	}
	return text + ":\n\n" + indent(m.Paste)
}

// failure is an error of a platform's.
func failure(platform, format string, args ...any) error {
	return fmt.Errorf("%s: %w", platform, fmt.Errorf(format, args...))
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ") + "\n"
}

// platform is one entry of the table: how to tell that the job runs there, and the way to a token.
type platform struct {
	name   string
	detect func(Job) bool
	source func(Job) *Source
}

// platforms are in the order in which they are looked for: what the user has set comes first, then what sets a variable of its own,
// then what only the surroundings tell.
var platforms = []platform{
	{"env", func(j Job) bool { return j.Getenv(envToken) != "" }, func(j Job) *Source { return variable(j, envToken) }},
	{"file", func(j Job) bool { return j.Getenv(envFile) != "" }, func(j Job) *Source { return file(j, j.Getenv(envFile)) }},
	{"github", func(j Job) bool { return j.Getenv("GITHUB_ACTIONS") == "true" }, github},
	{"gitlab", func(j Job) bool { return j.Getenv("GITLAB_CI") == "true" }, gitlab},
	{"buildkite", func(j Job) bool { return j.Getenv("BUILDKITE") == "true" }, buildkite},
	{"circleci", func(j Job) bool { return j.Getenv("CIRCLECI") == "true" }, circleci},
	{"bitbucket", func(j Job) bool { return j.Getenv("BITBUCKET_BUILD_NUMBER") != "" }, bitbucket},
	{"azure-devops", func(j Job) bool { return j.Getenv("TF_BUILD") != "" }, azure},
	{"semaphore", func(j Job) bool { return j.Getenv("SEMAPHORE") == "true" }, semaphore},
	{"google", onGoogle, google},
	{"kubernetes", func(j Job) bool { return j.Getenv("KUBERNETES_SERVICE_HOST") != "" }, kubernetes},
}

// The variables that name a token on every platform.
const (
	envToken = "TRUSTPUB_ID_TOKEN"      //nolint:gosec // a variable's name
	envFile  = "TRUSTPUB_ID_TOKEN_FILE" //nolint:gosec // a variable's name
)

// Names are the words that Find takes, beside "", "env:NAME" and "file:PATH".
func Names() []string {
	names := make([]string, 0, len(platforms))
	for _, p := range platforms {
		names = append(names, p.name)
	}
	return names
}

// Find gives the way to the job's token. choice is a platform's name, "env:NAME", "file:PATH", or empty for the first that fits.
func Find(j Job, choice string) (*Source, error) {
	switch kind, rest, found := strings.Cut(choice, ":"); {
	case found && kind == "env" && rest != "":
		return variable(j, rest), nil
	case found && kind == "file" && rest != "":
		return file(j, rest), nil
	case choice == "env":
		return variable(j, envToken), nil
	case choice == "file":
		if path := j.Getenv(envFile); path != "" {
			return file(j, path), nil
		}
		return nil, &Missing{Platform: "file", Lacks: envFile + " is not set", Do: "Set it to the path of the identity token, or write --identity file:PATH"}
	}
	for _, p := range platforms {
		if p.name == choice || choice == "" && p.detect(j) {
			return p.source(j), nil
		}
	}
	if choice != "" {
		return nil, fmt.Errorf("--identity is %q, expected one of %s, env:NAME or file:PATH", choice, strings.Join(Names(), ", "))
	}
	return nil, &Missing{
		Platform: "no CI platform is recognised",
		Lacks:    "none of " + envToken + ", " + envFile + ", GITHUB_ACTIONS, GITLAB_CI, BUILDKITE, CIRCLECI, BITBUCKET_BUILD_NUMBER, TF_BUILD, SEMAPHORE, GCE_METADATA_HOST and KUBERNETES_SERVICE_HOST is set",
		Do:       "Run this in a CI job, or put the identity token into " + envToken + ", or its path into " + envFile,
	}
}

// run runs a program whose standard error becomes the error's text.
func run(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // a platform's own program, by a name of the table
	cmd.WaitDelay = time.Second
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", err
		}
		return "", fmt.Errorf("%w: %s", err, oneLine(complaint.String()))
	}
	return out.String(), nil
}

// oneLine is the beginning of what a program or a server said, on one line and in printable ASCII.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	// Azure Pipelines and GitHub take what follows for a command, anywhere in a line.
	for strings.Contains(text, "##") {
		text = strings.ReplaceAll(text, "##", "# #")
	}
	if strings.Contains(text, "eyJ") {
		return "(not shown, since there may be a token in it)"
	}
	if len(text) > 300 {
		text = text[:300] + "..."
	}
	return text
}

// attempts is how often an endpoint is asked that can't be reached or says that the fault is its own.
const attempts = 3

// ask sends a request, again where that may help, and returns the answer's body.
func ask(ctx context.Context, j Job, build func(context.Context) (*http.Request, error)) (status int, body []byte, err error) {
	for attempt := range attempts {
		if attempt > 0 {
			if err := j.Wait(ctx, time.Duration(attempt)*time.Second); err != nil {
				return 0, nil, err
			}
		}
		var req *http.Request
		if req, err = build(ctx); err != nil {
			return 0, nil, err
		}
		if status, body, err = once(j, req); err == nil && status < http.StatusInternalServerError {
			return status, body, nil
		}
	}
	if err != nil {
		return 0, nil, err
	}
	return status, body, nil
}

func once(j Job, req *http.Request) (int, []byte, error) {
	resp, err := j.Client.Do(req)
	if err != nil {
		return 0, nil, unreachable{err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxToken+1))
	return resp.StatusCode, body, err
}

// unreachable is an error whose text is one line: what a server sends gets into errors too, as the names of its certificate.
type unreachable struct{ cause error }

// Error is the cause's text.
func (e unreachable) Error() string { return oneLine(e.cause.Error()) }

// Unwrap gives the cause.
func (e unreachable) Unwrap() error { return e.cause }
