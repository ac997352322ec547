package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/trustpub/trustpub/internal/demo/script"
	"github.com/trustpub/trustpub/internal/model"
)

// scenario is one run: what one step has learned and a later one needs.
type scenario struct {
	*house
	client *script.Client
	p      *printer

	explain  func(ctx context.Context, token string, q Question) (string, error)
	audience string
	identity string         // the token that is exchanged or sent, and replayed later
	login    script.Login   // of the publish
	first    script.Package // what it published
	stored   []string       // what the registry holds since
	refused  []model.Code   // what was refused so far
}

// step is one line of the story. run returns what goes into the parentheses.
type step struct {
	name string
	run  func(ctx context.Context) (string, error)
}

// part is a titled group of steps.
type part struct {
	title string
	steps []step
}

// runScenario runs every step in order and stops at the first that does not go as it should.
func runScenario(ctx context.Context, h *house, p *printer, o Options) error {
	s := &scenario{house: h, client: newClient(h), p: p, explain: o.Explain}
	defer s.client.HTTP.CloseIdleConnections()
	for _, part := range s.parts() {
		p.title("%s", part.title)
		for _, st := range part.steps {
			if err := s.run(ctx, st); err != nil {
				p.failed(st.name, err, h.logTail())
				return fmt.Errorf("the step %q of %s did not go as it should", st.name, h.script.Ecosystem)
			}
		}
	}
	return nil
}

// newClient trusts the demo's authority alone.
func newClient(h *house) *script.Client {
	return &script.Client{
		Root: "https://" + h.host, Host: h.host, Public: h.public,
		HTTP: &http.Client{
			Timeout: stepTimeout,
			// No proxy of the environment: everything is on this machine.
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: h.pki.pool, MinVersion: tls.VersionTLS12}, IdleConnTimeout: time.Second},
		},
	}
}

func (s *scenario) run(ctx context.Context, st step) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	detail, err := st.run(ctx)
	if err != nil {
		return err
	}
	s.p.ok(st.name, "%s", detail)
	return nil
}

func (s *scenario) parts() []part {
	return []part{
		{"A release job of acme/widget publishes, with no password anywhere:", s.publish()},
		{"What is refused, and what " + s.script.Client + " prints:", s.refusals()},
		{"The policy is edited while the gateway runs:", s.edits()},
		{"What the audit says:", []step{{"audit", s.readAudit}}},
	}
}

// publish are the steps of a publish that goes well.
func (s *scenario) publish() []step {
	steps := []step{{"audience", s.askAudience}, {"identity token", s.requestIdentity}}
	if s.script.Exchange != nil {
		steps = append(steps, step{"exchange", s.exchangeIdentity})
	}
	steps = append(steps, step{"publish " + s.script.Package + " " + script.FirstVersion, s.publishFirst}, step{"read it back", s.readBack})
	if s.script.Revoke != nil {
		steps = append(steps, step{"revoke", s.revoke})
	}
	return steps
}

func (s *scenario) askAudience(ctx context.Context) (how string, err error) {
	s.audience, how = s.host, "the gateway's host"
	if s.script.Audience != nil {
		s.audience, how, err = s.script.Audience(ctx, s.client)
	}
	return s.audience + ": " + how, err
}

// identityToken asks the CI platform for an identity token, as a job on GitHub Actions does.
func (s *scenario) identityToken(ctx context.Context, job string) (string, error) {
	at := s.issuer.TokenRequestURL() + "&audience=" + url.QueryEscape(s.audience)
	return s.client.Ask(ctx, http.MethodGet, at, script.Bearer(job), nil, "value")
}

func (s *scenario) requestIdentity(ctx context.Context) (_ string, err error) {
	s.identity, err = s.identityToken(ctx, releaseJob)
	return "a job of acme/widget, workflow release.yml, environment release", err
}

// exchange swaps an identity token for a login; where the client does not, the login is the identity token.
func (s *scenario) exchange(ctx context.Context, identity, pkg string) (script.Login, error) {
	if s.script.Exchange == nil {
		return script.Login{Password: identity}, nil
	}
	token, err := s.script.Exchange(ctx, s.client, identity, pkg)
	var r *script.Refused
	if errors.As(err, &r) {
		r.Exchange = true
	}
	return script.Login{Password: token}, err
}

func (s *scenario) exchangeIdentity(ctx context.Context) (_ string, err error) {
	s.login, err = s.exchange(ctx, s.identity, s.script.Package)
	return "identity token for a publish token of 15 minutes" + s.script.Exchanges, err
}

func (s *scenario) publishFirst(ctx context.Context) (_ string, err error) {
	if s.first, err = s.script.Build(s.script.Package, script.FirstVersion); err != nil {
		return "", err
	}
	if s.script.Exchange == nil {
		s.login = script.Login{Password: s.identity}
	}
	if err := s.script.Publish(ctx, s.client, s.login, s.first); err != nil {
		return "", err
	}
	if s.stored, err = s.store.Stored(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %d bytes, sha256 %s, %s", s.first.File, len(s.first.Data), script.SHA256(s.first.Data)[:16], s.script.Carries), nil
}

func (s *scenario) readBack(ctx context.Context) (string, error) {
	return s.script.Read(ctx, s.client, s.login, s.first)
}

func (s *scenario) revoke(ctx context.Context) (string, error) {
	return "the publish token, as " + s.script.Revokes, s.script.Revoke(ctx, s.client, s.login.Password)
}

// refusals are the steps that must not go through.
func (s *scenario) refusals() []step {
	steps := []step{
		{"refuse another repository", s.otherRepository},
		{"refuse another package", s.otherPackage},
		{"refuse a replayed identity token", s.replayed},
	}
	for _, trial := range s.script.Trials {
		steps = append(steps, step{trial.Name, func(ctx context.Context) (string, error) { return s.try(ctx, trial) }})
	}
	steps = append(steps, step{"refuse a stolen password", s.stolenPassword})
	if s.script.Revoke != nil {
		steps = append(steps, step{"refuse a revoked publish token", s.revokedToken})
	}
	return append(steps, step{"registry unchanged", s.unchanged})
}

// expect reports a step that must be refused with a code, and shows what the client prints.
func (s *scenario) expect(err error, code model.Code, detail string) (string, error) {
	var r *script.Refused
	switch {
	case err == nil:
		return "", fmt.Errorf("it went through, expected the refusal %s", code)
	case !errors.As(err, &r):
		return "", err
	case !r.Says(code):
		return "", fmt.Errorf("got %q, expected the refusal %s", r.Error(), code)
	}
	s.refused = append(s.refused, code)
	s.p.quote(s.script.Prints(r)...)
	return string(code) + ": " + detail, nil
}

// release does what a run of a job does: it has an identity token of its own, exchanges it where the client does, and publishes.
func (s *scenario) release(ctx context.Context, job, pkg, version string) error {
	identity, err := s.identityToken(ctx, job)
	if err != nil {
		return err
	}
	login, err := s.exchange(ctx, identity, pkg)
	if err != nil {
		return err
	}
	p, err := s.script.Build(pkg, version)
	if err != nil {
		return err
	}
	return s.script.Publish(ctx, s.client, login, p)
}

func (s *scenario) otherRepository(ctx context.Context) (string, error) {
	err := s.release(ctx, strangerJob, s.script.Package, script.SecondVersion)
	return s.expect(err, model.CodeNoMatchingPolicy, "the same workflow in mallory/widget")
}

func (s *scenario) otherPackage(ctx context.Context) (string, error) {
	err := s.release(ctx, releaseJob, s.script.Other, script.FirstVersion)
	return s.expect(err, model.CodeNoMatchingPolicy, s.script.Other+", which no policy gives to acme/widget")
}

func (s *scenario) replayed(ctx context.Context) (string, error) {
	if s.script.Exchange != nil {
		_, err := s.exchange(ctx, s.identity, s.script.Package)
		return s.expect(err, model.CodeReplayed, "the token of the publish above, once more")
	}
	again := s.script.Replay
	if again.Name == "" {
		again = script.Release{Name: s.script.Package, Version: script.SecondVersion}
	}
	p, err := s.script.Build(again.Name, again.Version)
	if err != nil {
		return "", err
	}
	err = s.script.Publish(ctx, s.client, script.Login{Password: s.identity}, p)
	return s.expect(err, model.CodeReplayed, "the token of the publish above, for "+again.Name+" "+again.Version)
}

// try makes an attempt of the ecosystem's own with a login of another run.
func (s *scenario) try(ctx context.Context, trial script.Trial) (string, error) {
	identity, err := s.identityToken(ctx, releaseJob)
	if err != nil {
		return "", err
	}
	login, err := s.exchange(ctx, identity, s.script.Package)
	if err != nil {
		return "", fmt.Errorf("a login of another run: %v", err) //nolint:errorlint // a refusal of the exchange is not the one that is expected
	}
	p, err := s.script.Build(s.script.Package, script.SecondVersion)
	if err != nil {
		return "", err
	}
	return s.expect(trial.Try(ctx, s.client, login, p), trial.Code, trial.Detail)
}

func (s *scenario) stolenPassword(ctx context.Context) (string, error) {
	p, err := s.script.Build(s.script.Package, script.SecondVersion)
	if err != nil {
		return "", err
	}
	login, whose := script.Login{User: s.store.User, Password: s.store.Password}, "a person's"
	if login.Password == "" {
		login.Password, whose = s.store.Secret, "the registry's own"
	}
	return s.expect(s.script.Publish(ctx, s.client, login, p), model.CodeTrustedPublishingOnly, whose+", sent to the gateway")
}

func (s *scenario) revokedToken(ctx context.Context) (string, error) {
	p, err := s.script.Build(s.script.Package, script.SecondVersion)
	if err != nil {
		return "", err
	}
	return s.expect(s.script.Publish(ctx, s.client, s.login, p), model.CodeRevoked, "the one of the publish above")
}

// unchanged looks into the registry behind the gateway's back. The registry clears a cut upload away after the client has had its
// answer.
func (s *scenario) unchanged(ctx context.Context) (string, error) {
	err := eventually(ctx, func() error {
		now, err := s.store.Stored()
		if err == nil && !slices.Equal(now, s.stored) {
			err = fmt.Errorf("the registry holds %q, expected %q alone", now, s.stored)
		}
		return err
	})
	return "it holds " + s.first.File + " and nothing of the refused ones", err
}
