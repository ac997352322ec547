// Package vault is the credential source for OpenBao and HashiCorp Vault: it logs in, with the identity token of the job itself or as
// the gateway, reads a secret or makes a dynamic one, and ends it and the login when the request is over.
package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// Kind registers the source.
var Kind = credential.Kind{Name: "vault", New: func() credential.Config { return new(Config) }}

// cleanup bounds the end of a login after a failure; the request is over then.
const cleanup = 5 * time.Second

// source reads one path.
type source struct {
	registry string
	api      *mintapi.API
	login    login
	headers  http.Header
	read     mintapi.Path
	present  present
	readable bool
	lifetime time.Duration
	now      func() time.Time
	logger   *slog.Logger
}

// federated is a source that logs in with the identity token.
type federated struct{ *source }

var (
	_ credential.Config    = (*Config)(nil)
	_ credential.Source    = (*source)(nil)
	_ credential.Keeper    = (*source)(nil)
	_ credential.Federated = (*federated)(nil)
)

// Provision checks the configuration. A secret that can't be read yet is a warning: it is read again at each use.
func (c *Config) Provision(env credential.Env) (credential.Source, error) {
	s, err := c.source(env)
	if err != nil {
		return nil, fmt.Errorf("credential vault of registry %q: %w", env.Registry, err)
	}
	if s.login.federates {
		return &federated{s}, nil
	}
	env.WarnUnread(Kind.Name, "the vault's secret", s.login.secret)
	return s, nil
}

// Kept is what is known of the API.
func (s *source) Kept() []credential.Kept { return []credential.Kept{s.api.Kept()} }

// Issue gives the credential of one request, by the gateway's own login. A read gets the zero one unless the configuration says reads.
func (s *source) Issue(ctx context.Context, target model.Target, _ *model.Identity) (model.Credential, error) {
	return s.issue(ctx, target, func() (string, error) { return s.login.secret.Resolve() })
}

// Issue is refused: without the identity token there is no login.
func (f *federated) Issue(context.Context, model.Target, *model.Identity) (model.Credential, error) {
	return model.Credential{}, errors.New("credential vault: the login needs the identity token of the job")
}

// IssueFederated gives the credential of one request, by the job's login.
func (f *federated) IssueFederated(ctx context.Context, targets []model.Target, _ *model.Identity, token model.IdentityToken) (model.Credential, error) {
	if len(targets) == 0 || token.Empty() {
		return f.Issue(ctx, model.Target{}, nil)
	}
	return f.issue(ctx, targets[0], func() (string, error) { return token.Reveal(), nil })
}

// issue logs in with a secret and reads.
func (s *source) issue(ctx context.Context, target model.Target, secret func() (string, error)) (model.Credential, error) {
	if target.Action == model.ActionRead && !s.readable {
		return model.Credential{}, nil
	}
	c, err := s.make(ctx, target, secret)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential vault: %w", err)
	}
	return c, nil
}

func (s *source) make(ctx context.Context, target model.Target, secret func() (string, error)) (model.Credential, error) {
	if err := credential.CheckTargets(s.registry, target); err != nil {
		return model.Credential{}, err
	}
	path, err := s.read.Fill(mintapi.Values{Named: mintapi.TargetValues(target)})
	if err != nil {
		return model.Credential{}, fmt.Errorf("read: %w", err)
	}
	raw, err := secret()
	if err != nil {
		return model.Credential{}, err
	}
	session, err := s.enter(ctx, raw)
	if err != nil {
		return model.Credential{}, err
	}
	now := s.now()
	c, lease, err := s.fetch(ctx, session, path, now)
	if err == nil && lease.ID != "" {
		c.Revoke = s.revocation(session, lease.ID)
		return c, nil
	}
	// Nothing is left that the login is needed for, and what an answer that can't be used has made must not live.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	if ended := s.revocation(session, lease.ID)(ending); ended != nil {
		s.logger.Warn("a login or a lease at the vault could not be ended; it ends by itself",
			slog.String("registry", s.registry), slog.String("credential", Kind.Name), slog.Any("error", ended))
	}
	return c, err
}

// session is a login: its token, and whether it was made for this request.
type session struct {
	token string
	own   bool
}

// enter logs in; a mounted token is a login already.
func (s *source) enter(ctx context.Context, secret string) (session, error) {
	if s.login.mount == "" {
		if err := mintapi.CheckSecret("token", secret); err != nil {
			return session{}, fmt.Errorf("secret %s is no token of a vault", s.login.secret)
		}
		return session{token: secret}, nil
	}
	var answer struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	body := map[string]string{"role": s.login.role, "jwt": secret}
	if !s.login.federates {
		body = map[string]string{"role_id": s.login.role, "secret_id": secret}
	}
	_, err := s.api.Do(ctx, mintapi.Call{
		Method: http.MethodPost, Path: "/v1/auth/" + s.login.mount + "/login", Header: s.headers, JSON: body, Expect: []int{http.StatusOK},
		Read: func(b []byte) error {
			if err := mintapi.JSON(&answer)(b); err != nil {
				return err
			}
			return mintapi.CheckSecret("auth.client_token", answer.Auth.Token)
		},
		Hint: s.loginHint,
	})
	return session{token: answer.Auth.Token, own: true}, err
}

func (s *source) loginHint(status int) string {
	if status != http.StatusBadRequest && status != http.StatusForbidden {
		return ""
	}
	if s.login.federates {
		return "role " + s.login.role + " does not take this identity token: check its bound_audiences, bound_claims and the issuer's keys"
	}
	return "check the role's id and the secret in " + string(s.login.secret)
}

// lease is what the vault says of the life of a secret; without an ID it has none.
type lease struct {
	ID      string `json:"lease_id"`
	Seconds int64  `json:"lease_duration"`
}

// fetch reads the secret.
func (s *source) fetch(ctx context.Context, in session, path string, now time.Time) (c model.Credential, l lease, err error) {
	_, err = s.api.Do(ctx, mintapi.Call{
		Method: http.MethodGet, Path: "/v1" + path, Header: s.with(in), Expect: []int{http.StatusOK},
		Read: func(b []byte) error {
			l = lease{} // of an attempt before
			var whole any
			if err := errors.Join(mintapi.JSON(&l)(b), mintapi.JSON(&whole)(b)); err != nil {
				return mintapi.Unfit("the answer is not the JSON of a vault: does url lead to one?")
			}
			var err error
			c, err = s.present.credential(whole)
			return err
		},
		Hint: func(status int) string {
			switch status {
			case http.StatusForbidden:
				return "no policy of the login lets it read the path of read"
			case http.StatusNotFound:
				return "is there a secret at the path of read? One of KV version 2 has /data/ behind its mount"
			}
			return ""
		},
	})
	if err != nil {
		return model.Credential{}, l, err
	}
	if l.ID == "" {
		return c, l, nil // it lives for as long as it is in the vault
	}
	life := s.lifetime
	if l.Seconds > 0 && l.Seconds < int64(life/time.Second) {
		life = time.Duration(l.Seconds) * time.Second
	}
	c.Expiry = now.Add(life)
	return c, l, nil
}

// revocation ends a lease once, where there is one. With a login of its own, all that was made by it ends with it.
func (s *source) revocation(in session, id string) func(context.Context) error {
	var done atomic.Bool
	return func(ctx context.Context) error {
		if done.Load() || !in.own && id == "" {
			return nil
		}
		end := mintapi.Call{Method: http.MethodPost, Path: "/v1/auth/token/revoke-self", Header: s.with(in), Expect: []int{http.StatusNoContent, http.StatusOK}}
		if !in.own {
			end.Path, end.JSON = "/v1/sys/leases/revoke", map[string]string{"lease_id": id}
		}
		if _, err := s.api.Do(ctx, end); err != nil {
			return fmt.Errorf("credential vault: %w", err)
		}
		done.Store(true)
		return nil
	}
}

// with are the headers of a login.
func (s *source) with(in session) http.Header {
	h := s.headers.Clone()
	h.Set("X-Vault-Token", in.token)
	return h
}

// present is how the registry takes what is in the secret: pointers into it.
type present struct {
	user, secret, header string
}

func (p present) credential(answer any) (model.Credential, error) {
	secret, err := mintapi.TextAt(answer, p.secret)
	if err != nil {
		return model.Credential{}, err
	}
	if err := credential.CheckValue(secret); err != nil {
		return model.Credential{}, mintapi.Unfit("the text at %s %s", p.secret, err)
	}
	switch {
	case p.header != "":
		return model.Credential{Header: http.Header{p.header: {secret}}}, nil
	case p.user == "":
		return model.Bearer(secret), nil
	}
	user := p.user
	if strings.HasPrefix(user, "/") {
		if user, err = mintapi.TextAt(answer, user); err != nil {
			return model.Credential{}, err
		}
		if err := credential.CheckUser(user); err != nil {
			return model.Credential{}, mintapi.Unfit("the user at %s is empty, or has a colon, a brace or a control character", p.user)
		}
	}
	return model.Basic(user, secret), nil
}
