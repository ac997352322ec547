package zot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/lease"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// tokenPath is zot's token endpoint for workloads.
const tokenPath = "/zot/auth/token" //nolint:gosec // a path

// maxExchanged is the longest life of a token that is believed, in seconds; zot's end with the identity token.
const maxExchanged = int64(24 * time.Hour / time.Second)

// federated exchanges the identity token; what its holder may do is decided by zot's own rules, so one token serves all uploads of a run.
type federated struct {
	origin
	tokens *lease.Cache
}

var (
	_ credential.Source    = (*federated)(nil)
	_ credential.Federated = (*federated)(nil)
	_ credential.Keeper    = (*federated)(nil)
)

// Kept are the tokens, and what is known of the API.
func (f *federated) Kept() []credential.Kept {
	return []credential.Kept{f.API.Kept(), f.tokens.Kept(Kind.Name, f.Base())}
}

// errAbsent is a request without what would be exchanged.
var errAbsent = errors.New("credential zot: the identity token is absent, which exchange swaps")

// Issue has nothing to exchange.
func (f *federated) Issue(context.Context, model.Target, *model.Identity) (model.Credential, error) {
	return model.Credential{}, errAbsent
}

// IssueFederated exchanges the identity token, once for all uploads with it.
func (f *federated) IssueFederated(ctx context.Context, targets []model.Target, id *model.Identity, token model.IdentityToken) (model.Credential, error) {
	if token.Empty() {
		return model.Credential{}, errAbsent
	}
	err := credential.CheckTargets(f.registry, targets...)
	var c model.Credential
	if err == nil {
		c, err = f.tokens.Get(ctx, lease.Key(id.Issuer, id.DigestHex(), token.Reveal()), func(ctx context.Context) (model.Credential, error) {
			return f.exchange(ctx, token)
		})
	}
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential zot: %w", err)
	}
	return c, nil
}

// exchange shows the identity token as a password. What comes back is this token itself, as zot stands: it is a credential there.
func (f *federated) exchange(ctx context.Context, token model.IdentityToken) (model.Credential, error) {
	var answer struct {
		Token     string `json:"token"`
		ExpiresIn int64  `json:"expires_in"`
	}
	started := f.now()
	_, err := f.Do(ctx, mintapi.Call{
		Method: http.MethodGet, Path: tokenPath, User: "trustpub", Password: token.Reveal(), Expect: []int{http.StatusOK},
		Read: func(body []byte) error {
			if err := mintapi.JSON(&answer)(body); err != nil {
				return err
			}
			if err := mintapi.CheckSecret("token", answer.Token); err != nil {
				return err
			}
			if answer.ExpiresIn <= 0 || answer.ExpiresIn > maxExchanged {
				return mintapi.Unfit("the answer's expires_in is not between 1 and %d seconds: compare the clocks of the gateway and of zot", maxExchanged)
			}
			return nil
		},
		Hint: func(status int) string {
			switch status {
			case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
				return "does http.auth.bearer.oidc have this issuer, the gateway's audience, and a claimMapping that the run passes?"
			case http.StatusNotFound, http.StatusMethodNotAllowed:
				return "does this zot have http.auth.bearer.oidc and a token endpoint, and is url its base?"
			}
			return ""
		},
	})
	if err != nil {
		return model.Credential{}, err
	}
	c := model.Bearer(answer.Token)
	c.Expiry = started.Add(time.Duration(answer.ExpiresIn) * time.Second)
	return c, nil
}
