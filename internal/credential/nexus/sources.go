package nexus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// minter makes users.
type minter struct {
	registry        string
	api             api
	role            mintapi.Template
	token, readable bool
	settings        bool // a read that names no package gets a credential too, where the role does not depend on the package
	lifetime        time.Duration
	now             func() time.Time
	logger          *slog.Logger
	sweeper         mintapi.Sweeper[string]
}

var (
	_ credential.Source = (*minter)(nil)
	_ credential.Keeper = (*minter)(nil)
	_ credential.Source = (*fixed)(nil)
)

// Kept is what is known of the API.
func (m *minter) Kept() []credential.Kept { return []credential.Kept{m.api.Kept()} }

// Issue makes a user for one request; none for a read, unless the configuration says reads.
func (m *minter) Issue(ctx context.Context, target model.Target, _ *model.Identity) (model.Credential, error) {
	c, err := m.issue(ctx, target)
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential nexus: %w", err)
	}
	return c, nil
}

func (m *minter) issue(ctx context.Context, target model.Target) (model.Credential, error) {
	if err := credential.CheckTargets(m.registry, target); err != nil {
		return model.Credential{}, err
	}
	if target.Action == model.ActionRead && (!m.readable || target.Package == "" && !m.settings) {
		return model.Credential{}, nil
	}
	role, err := m.role.Text(mintapi.Values{Named: mintapi.TargetValues(target)})
	if err != nil {
		return model.Credential{}, fmt.Errorf("role: %w", err)
	}
	expires := m.now().Add(m.lifetime).UTC().Truncate(time.Second)
	name := mintapi.TemporaryName(expires)
	password, err := m.api.create(ctx, name, role)
	if err != nil {
		return model.Credential{}, err
	}
	c := model.Basic(name, password)
	if m.token {
		made, err := m.api.createToken(ctx, name, m.now())
		if err != nil {
			return model.Credential{}, errors.Join(err, m.end(context.WithoutCancel(ctx), name))
		}
		c = model.Basic(made.NameCode, made.PassCode)
	}
	c.Expiry = expires
	c.Revoke = func(ctx context.Context) error {
		if err := m.end(ctx, name); err != nil {
			return fmt.Errorf("credential nexus: %w", err)
		}
		return nil
	}
	m.sweeper.Sweep(ctx, m.now(), m.lifetime, mintapi.Account[string]{List: m.api.list, Remove: m.end, Logger: m.logger})
	return c, nil
}

// cleanup bounds the deletion of one user.
const cleanup = 5 * time.Second

// end deletes a user, and his token before, so that it ends at once whatever Nexus keeps of a user who is gone.
func (m *minter) end(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, cleanup)
	defer cancel()
	var err error
	if m.token {
		err = m.api.removeToken(ctx, name)
	}
	return errors.Join(err, m.api.remove(ctx, name))
}

// fixed uses one credential as it stands.
type fixed struct {
	registry string
	secret   model.Secret
}

// Issue gives the credential, read anew, so that a replaced one acts at the next upload.
func (f *fixed) Issue(_ context.Context, target model.Target, _ *model.Identity) (model.Credential, error) {
	if err := credential.CheckTargets(f.registry, target); err != nil {
		return model.Credential{}, fmt.Errorf("credential nexus: %w", err)
	}
	secret, err := f.secret.Resolve()
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential nexus: %w", err)
	}
	if err := credential.CheckValue(secret); err != nil {
		return model.Credential{}, fmt.Errorf("credential nexus: fixed %s %w", f.secret, err)
	}
	name, code, _ := strings.Cut(secret, ":")
	if name == "" || code == "" {
		return model.Credential{}, fmt.Errorf("credential nexus: fixed %s is not of the form NAME:CODE, as Nexus shows a user token", f.secret)
	}
	return model.Basic(name, code), nil
}
