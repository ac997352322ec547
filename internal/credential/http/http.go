// Package http is the credential source for any registry with an HTTP API that makes credentials: the configuration says what to send,
// where in the answer the credential is, how the registry takes it, and how it is ended. What is sent is a template; each value is
// escaped for the place where it stands, so that no name of a package can be read as anything else.
package http

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// The lives of credentials that can be asked for.
const (
	DefaultLifetime = 15 * time.Minute
	MinLifetime     = time.Minute
	MaxLifetime     = 24 * time.Hour
)

// Kind registers the source.
var Kind = credential.Kind{Name: "http", New: func() credential.Config { return new(Config) }}

// source mints by one API.
type source struct {
	registry string
	api      *mintapi.API
	login    login
	mint     call
	revoke   *call
	token    string // a pointer
	expiry   *Expiry
	present  present
	scope    string
	reads    string // the scope of reads
	readable bool
	lifetime time.Duration
	now      func() time.Time
}

// call is a request that is sent for each credential.
type call struct {
	method string
	path   mintapi.Path
	json   *mintapi.Body
	form   []field
	expect []int
}

// field is one of a form.
type field struct {
	name  string
	value mintapi.Template
}

var (
	_ credential.Config = (*Config)(nil)
	_ credential.Source = (*source)(nil)
	_ credential.Keeper = (*source)(nil)
)

// Provision checks the configuration. A secret that can't be read yet is a warning: it is read again at each use.
func (c *Config) Provision(env credential.Env) (credential.Source, error) {
	s, err := c.source(env.Registry)
	if err != nil {
		return nil, fmt.Errorf("credential http of registry %q: %w", env.Registry, err)
	}
	if s.login.secret != "" {
		env.WarnUnread(Kind.Name, "the secret of the API that makes credentials", s.login.secret)
	}
	return s, nil
}

// Kept is what is known of the API.
func (s *source) Kept() []credential.Kept { return []credential.Kept{s.api.Kept()} }

// Issue mints a credential for one request. A read gets the zero one unless the configuration says reads.
func (s *source) Issue(ctx context.Context, target model.Target, _ *model.Identity) (model.Credential, error) {
	if target.Action == model.ActionRead && !s.readable {
		return model.Credential{}, nil
	}
	c, err := s.make(ctx, target)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential http: %w", err)
	}
	return c, nil
}

func (s *source) make(ctx context.Context, target model.Target) (model.Credential, error) {
	if err := credential.CheckTargets(s.registry, target); err != nil {
		return model.Credential{}, err
	}
	now := s.now()
	v := mintapi.Values{Named: s.named(target, now)}
	made := model.Credential{}
	err := s.send(ctx, s.mint, v, func(answer []byte) error {
		v.Answer = nil // of an attempt before
		if err := mintapi.JSON(&v.Answer)(answer); err != nil {
			return err
		}
		var err error
		made, err = s.read(v, now)
		return err
	})
	if err != nil {
		return model.Credential{}, err
	}
	if s.revoke != nil {
		made.Revoke = func(ctx context.Context) error {
			if err := s.send(ctx, *s.revoke, v, nil); err != nil {
				return fmt.Errorf("credential http: %w", err)
			}
			return nil
		}
	}
	return made, nil
}

// named are the values of one credential.
func (s *source) named(t model.Target, now time.Time) map[string]string {
	expires := now.Add(s.lifetime)
	scope := s.scope
	if t.Action == model.ActionRead {
		scope = s.reads
	}
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails
	named := mintapi.TargetValues(t)
	for name, value := range map[string]string{
		"scope": scope, "random": hex.EncodeToString(random), "lifetime_seconds": strconv.Itoa(int(s.lifetime / time.Second)),
		"expires": expires.UTC().Format(time.RFC3339), "expires_unix": strconv.FormatInt(expires.Unix(), 10),
	} {
		named[name] = value
	}
	return named
}

// read makes a credential of an answer; its errors quote nothing of it.
func (s *source) read(v mintapi.Values, now time.Time) (model.Credential, error) {
	secret, err := mintapi.TextAt(v.Answer, s.token)
	if err == nil {
		err = mintapi.CheckSecret("text at "+s.token, secret)
	}
	if err != nil {
		return model.Credential{}, err
	}
	c, err := s.present.credential(v, secret)
	if err != nil {
		return model.Credential{}, err
	}
	c.Expiry = now.Add(s.lifetime)
	if s.expiry == nil {
		return c, nil
	}
	ends, err := timeAt(v.Answer, s.expiry.Pointer, s.expiry.Form, now)
	switch {
	case err != nil:
		return model.Credential{}, err
	case !ends.After(now):
		return model.Credential{}, mintapi.Unfit("the answer's credential is over already, by what is at %s", s.expiry.Pointer)
	case ends.Before(c.Expiry):
		c.Expiry = ends
	}
	return c, nil
}

// send makes a call with the values.
func (s *source) send(ctx context.Context, c call, v mintapi.Values, read func([]byte) error) error {
	where, err := c.path.Fill(v)
	if err != nil {
		return fmt.Errorf("the path of %s: %w", c.method, err)
	}
	request := mintapi.Call{Method: c.method, Path: where, Expect: c.expect, Read: read, Header: http.Header{}}
	if c.json != nil {
		if request.JSON, err = c.json.Fill(v); err != nil {
			return fmt.Errorf("the body of %s: %w", c.method, err)
		}
	}
	if c.form != nil {
		request.Form = map[string][]string{}
		for _, f := range c.form {
			value, err := f.value.Text(v)
			if err != nil {
				return fmt.Errorf("the form of %s: %w", c.method, err)
			}
			request.Form.Add(f.name, value)
		}
	}
	if err := s.login.add(&request); err != nil {
		return err
	}
	_, err = s.api.Do(ctx, request)
	return err
}
