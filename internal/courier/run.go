package courier

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/trustpub/trustpub/internal/ambient"
	"github.com/trustpub/trustpub/internal/exchange"
	"github.com/trustpub/trustpub/internal/handover"
)

// The exit codes of a command that could not be run, as shells have them.
const (
	ExitNotExecutable = 126
	ExitNotFound      = 127
	// exitSignal is added to the number of the signal that ended a child.
	exitSignal = 128
)

// revokeTimeout bounds the revocation when the child has ended.
const revokeTimeout = 10 * time.Second

// Trip is a run of a command.
type Trip struct {
	Errand
	// Command is the child and its arguments.
	Command []string
	// For names clients, where the child's name does not; Name is what they call the registry; empty: as the gateway does.
	For, Name string
	// Shadow leaves the child its password, and adds the identity token.
	Shadow bool
	// Environ is the child's environment before anything is added, Home the user's home folder.
	Environ []string
	Home    string
	// Stdin, Stdout and Stderr are the child's.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Signals are those to forward. Interactive is true at a terminal, which sends its own to the child itself.
	Signals     <-chan os.Signal
	Interactive bool
}

// Run runs the command and returns its exit code. An error means that it was not run.
func (t *Trip) Run(ctx context.Context) (code int, err error) {
	t.defaults()
	clients, err := t.clients()
	if err != nil {
		return 0, err
	}
	b := &baggage{trip: t, clients: clients}
	defer b.drop(ctx)
	fetching, interrupted := t.interruptible(ctx)
	err = b.fetch(fetching)
	if sig := interrupted(); sig != nil {
		return number(sig), nil
	}
	if err != nil {
		return 0, err
	}
	if err := b.pack(); err != nil {
		return 0, err
	}
	return b.travel(ctx)
}

// interruptible is a context that a signal ends. The function gives that signal, or nil, and must be called.
func (t *Trip) interruptible(ctx context.Context) (context.Context, func() os.Signal) {
	ctx, cancel := context.WithCancel(ctx)
	got := make(chan os.Signal, 1)
	go func() {
		defer close(got)
		select {
		case sig := <-t.Signals:
			got <- sig
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() os.Signal {
		cancel()
		return <-got
	}
}

// clients are those that get the token.
func (t *Trip) clients() ([]handover.Client, error) {
	if len(t.Command) == 0 {
		return nil, errors.New("no command: expected one behind --, as in trustpub exec --registry URL -- twine upload dist/*")
	}
	if t.For != "" {
		return handover.Named(t.For)
	}
	c, err := handover.Of(t.Command)
	return []handover.Client{c}, err
}

// getenv reads the child's environment, in which a later entry wins.
func (t *Trip) getenv(name string) string {
	for _, entry := range slices.Backward(t.Environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// baggage is what the child travels with.
type baggage struct {
	trip    *Trip
	clients []handover.Client
	dir     string
	reg     *exchange.Registry
	source  *ambient.Source
	env     map[string]string
	args    []string

	mu     sync.Mutex
	tokens []exchange.Token // all that were minted, the newest last
	secret string           // what is handed over
}

// fetch gets the token; for a shadow, the identity token itself.
func (b *baggage) fetch(ctx context.Context) error {
	t := b.trip
	if t.Shadow {
		reg, source, token, err := t.identity(ctx)
		if err != nil {
			return err
		}
		t.mask(token)
		b.reg, b.source, b.secret = reg, source, token
		return nil
	}
	minted, err := t.Mint(ctx)
	if err != nil {
		return err
	}
	b.reg, b.source, b.secret = minted.Registry, minted.Source, minted.Token.Value
	b.tokens = append(b.tokens, minted.Token)
	return nil
}

// pack makes the private folder and writes what the child reads.
func (b *baggage) pack() (err error) {
	// Below the folder for temporary files, with no rights for others.
	if b.dir, err = os.MkdirTemp("", "trustpub-"); err != nil {
		return err
	}
	h, err := b.hand()
	if err != nil {
		return err
	}
	b.env, b.args = h.Env, h.Args
	if b.args == nil {
		b.args = b.trip.Command[1:]
	}
	if err := b.write(h.Files); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(h.Links)) {
		at := filepath.Join(b.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.Symlink(h.Links[name], at)); err != nil {
			return err
		}
	}
	return nil
}

// hand asks the clients what they want.
func (b *baggage) hand() (handover.Handover, error) {
	t := b.trip
	name := t.Name
	if name == "" {
		name = b.reg.Name
	}
	place := handover.Place{
		Dir: b.dir, Home: t.Home, Getenv: t.getenv, ReadFile: os.ReadFile,
		ReadDir: func(dir string) ([]string, error) {
			entries, err := os.ReadDir(dir)
			names := make([]string, 0, len(entries))
			for _, e := range entries {
				names = append(names, e.Name())
			}
			return names, err
		},
	}
	return handover.Together(b.clients, handover.Grant{Name: name, URL: b.reg.URL, Token: b.secret}, place, t.Command, t.Shadow)
}

// write writes files in one step each, so that a child which reads one just now sees the old one or the new one.
func (b *baggage) write(files map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		at := filepath.Join(b.dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			return err
		}
		if err := b.replace(at, files[name]); err != nil {
			return err
		}
	}
	return nil
}

// replace writes a new file and moves it to its place. Beside the place may lie links into the user's folders, so the file has a name of its own
// that nothing can have, in the private folder itself.
func (b *baggage) replace(at, text string) error {
	file, err := os.CreateTemp(b.dir, ".new-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return os.Rename(file.Name(), at)
}

// drop removes the folder and revokes the tokens, whatever has happened.
func (b *baggage) drop(ctx context.Context) {
	t := b.trip
	if b.dir != "" {
		if err := os.RemoveAll(b.dir); err != nil {
			t.say("the private folder could not be removed: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
	defer cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, token := range b.tokens {
		if !t.Now().Before(token.Expiry) {
			continue
		}
		if err := t.Gateway.Revoke(ctx, b.reg, token.Value); err != nil {
			t.say("the token was not revoked and ends by itself at %s: %v", token.Expiry.UTC().Format(time.TimeOnly), err)
		}
	}
}

// travel runs the child to its end.
func (b *baggage) travel(ctx context.Context) (int, error) {
	t := b.trip
	path, err := exec.LookPath(t.Command[0])
	if err != nil {
		code := ExitNotFound
		if errors.Is(err, fs.ErrPermission) {
			code = ExitNotExecutable
		}
		t.say("%v", err)
		return code, nil
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), path, b.args...) //nolint:gosec // what the user has asked for
	cmd.Args[0] = t.Command[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = t.Stdin, t.Stdout, t.Stderr
	cmd.WaitDelay = revokeTimeout // for what the child leaves behind, where its output is copied
	cmd.Env = slices.Clone(t.Environ)
	for _, name := range slices.Sorted(maps.Keys(b.env)) {
		cmd.Env = append(cmd.Env, name+"="+b.env[name])
	}
	if err := cmd.Start(); err != nil {
		t.say("%v", err)
		return ExitNotExecutable, nil
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var renewer sync.WaitGroup
	renewer.Go(func() { b.renew(renewing) })
	defer stop()
	for {
		select {
		case sig := <-t.Signals:
			// At a terminal, the child has got these itself already.
			if t.Interactive && (sig == os.Interrupt || sig == syscall.SIGQUIT) {
				continue
			}
			_ = cmd.Process.Signal(sig) // it may have just ended
		case err := <-ended:
			stop()
			renewer.Wait()
			return b.ended(cmd, err), nil
		}
	}
}

// ended turns the child's end into an exit code, and says so where the token may have been the reason.
func (b *baggage) ended(cmd *exec.Cmd, err error) int {
	t := b.trip
	code := cmd.ProcessState.ExitCode()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = exitSignal + int(status.Signal())
	}
	if err != nil && code == 0 {
		code = 1 // its output could not be copied
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.tokens) > 0 && code != 0 {
		if end := b.tokens[len(b.tokens)-1].Expiry; !t.Now().Before(end) {
			t.say("the token expired at %s, before the command ended: %s", end.UTC().Format(time.TimeOnly), b.whyExpired())
		}
	}
	return code
}

// whyExpired says why no new token was there.
func (b *baggage) whyExpired() string {
	for _, c := range b.clients {
		if !c.Renews {
			return c.Name + " gets its token when it starts. Build and test first, and run only the upload with trustpub exec; or raise token_lifetime in the gateway"
		}
	}
	if !b.source.Fresh {
		return "it could not be renewed, since " + b.source.Where + " holds one identity token for the whole job. Run only the upload with trustpub exec; or raise token_lifetime in the gateway"
	}
	return "it could not be renewed"
}

// number is the exit code of a signal.
func number(sig os.Signal) int {
	if s, ok := sig.(syscall.Signal); ok {
		return exitSignal + int(s)
	}
	return 1
}
