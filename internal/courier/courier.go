// Package courier brings a command the publish token that it needs, and takes it back: it finds the identity token of the CI job,
// swaps it at the gateway, hands the publish token to the child as the child expects, renews it, and revokes it at the end. What it
// writes lies in a private folder that is gone when the child is.
package courier

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/ambient"
	"github.com/trustpub/trustpub/internal/exchange"
	"github.com/trustpub/trustpub/internal/handover"
)

// Errand is what every use needs: where to, and out of which job.
type Errand struct {
	// Registry is the URL of a registry. Named is true where the user has named it, and false where a client asks for it, which may be led to any
	// host there is.
	Registry string
	Named    bool
	// Audience is what the identity token is asked for; empty: what the gateway says, as far as that names the gateway.
	Audience string
	// Identity says where the identity token is; empty: the first place that fits.
	Identity string
	// Job is the surroundings, Gateway asks the gateway.
	Job     ambient.Job
	Gateway *exchange.Client
	// Notes takes what is said to people, and GitHub's commands: the runner reads standard error too, and a child's output stays its own.
	Notes io.Writer
	// Now is the clock, After its timer; nil: those of the machine.
	Now   func() time.Time
	After func(time.Duration) <-chan time.Time
}

// Minted is a publish token with where it came from.
type Minted struct {
	Registry *exchange.Registry
	Token    exchange.Token
	Source   *ambient.Source
}

func (e *Errand) defaults() {
	if e.Now == nil {
		e.Now = time.Now
	}
	if e.After == nil {
		e.After = time.After
	}
	if e.Notes == nil {
		e.Notes = io.Discard
	}
}

// say writes a sentence for people.
func (e *Errand) say(format string, args ...any) {
	fmt.Fprintf(e.Notes, "trustpub: "+format+"\n", args...)
}

// mask makes GitHub hide a secret, and what Basic makes of it, in all that the job prints from now on.
func (e *Errand) mask(secret string) {
	if e.Job.Getenv("GITHUB_ACTIONS") != "true" {
		return
	}
	fmt.Fprintf(e.Notes, "::add-mask::%s\n", secret)
	for _, user := range []string{handover.User, "oidc"} {
		fmt.Fprintf(e.Notes, "::add-mask::%s\n", base64.StdEncoding.EncodeToString([]byte(user+":"+secret)))
	}
}

// identity finds the registry and the job's identity token for it.
func (e *Errand) identity(ctx context.Context) (reg *exchange.Registry, source *ambient.Source, token string, err error) {
	// The source first: without one, the gateway need not be asked.
	if source, err = ambient.Find(e.Job, e.Identity); err != nil {
		return nil, nil, "", err
	}
	if reg, err = e.Gateway.Discover(ctx, e.Registry); err != nil {
		return nil, nil, "", err
	}
	if e.Audience != "" {
		reg.Audience = e.Audience
	}
	if err = e.mayAsk(reg, source); err != nil {
		return nil, nil, "", err
	}
	if token, err = source.Token(ctx, reg.Audience); err != nil {
		return nil, nil, "", err
	}
	if err = e.mayShow(reg, source, token); err != nil {
		return nil, nil, "", err
	}
	return reg, source, token, nil
}

// IdentityToken finds the job's identity token for the registry, and masks it.
func (e *Errand) IdentityToken(ctx context.Context) (*exchange.Registry, string, error) {
	e.defaults()
	reg, _, token, err := e.identity(ctx)
	if err == nil {
		e.mask(token)
	}
	return reg, token, err
}

// Mint gets a publish token, and masks it.
func (e *Errand) Mint(ctx context.Context) (*Minted, error) {
	e.defaults()
	reg, source, identity, err := e.identity(ctx)
	if err != nil {
		return nil, err
	}
	token, err := e.Gateway.Exchange(ctx, reg, identity)
	if err != nil {
		return nil, explain(err, reg, source)
	}
	e.mask(token.Value)
	return &Minted{Registry: reg, Token: token, Source: source}, nil
}

// explain adds to a refusal what the job's configuration can do about it.
func explain(err error, reg *exchange.Registry, source *ambient.Source) error {
	var refusal *exchange.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	switch refusal.Code {
	case "wrong_audience":
		return fmt.Errorf("%w\nThe token comes from %s, and its audience must be %s:\n\n%s", err, source.Where, reg.Audience, indent(source.Paste(reg.Audience)))
	case "replayed":
		if !source.Fresh {
			return fmt.Errorf("%w\nThe token comes from %s, and each run of this command needs one of its own", err, source.Where)
		}
	}
	return err
}

// indent sets lines to paste off.
func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
}
