package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

// federated is a source that keeps what it was handed, and makes a credential or fails.
type federated struct {
	mu      sync.Mutex
	tokens  []string
	targets []model.Target
	refused int
	err     error
}

func (f *federated) Issue(context.Context, model.Target, *model.Identity) (model.Credential, error) {
	return model.Credential{}, errors.New("asked without the identity token")
}

func (f *federated) IssueFederated(_ context.Context, targets []model.Target, id *model.Identity, token model.IdentityToken) (model.Credential, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return model.Credential{}, f.err
	}
	f.tokens = append(f.tokens, token.Reveal())
	f.targets = append(f.targets, targets...)
	c := model.Bearer("canary-federated-credential")
	c.Refused = func() { f.refused++ }
	_ = fmt.Sprint(id, token)
	return c, nil
}

func withSource(s *federated) option {
	return func(r *gateway.Registry, _ *gateway.Config) { r.Source = s }
}

// TestFederated: the identity token reaches a source that federates, whichever way it came, and nobody else.
func TestFederated(t *testing.T) {
	source := new(federated)
	h := open(t, withSource(source))
	direct, exchanged := h.identity(), h.identity()
	if a := h.publish(upload{token: direct}); a.status != 200 {
		t.Fatalf("direct: got %d %s", a.status, a.body)
	}
	publish, _ := h.exchange(exchanged)
	if a := h.publish(upload{token: publish, name: "acme-widget", version: "1.1"}); a.status != 200 {
		t.Fatalf("exchanged: got %d %s", a.status, a.body)
	}
	if got := fmt.Sprint(source.tokens); got != fmt.Sprint([]string{direct, exchanged}) {
		t.Errorf("the source was handed %d tokens, expected the two identity tokens", len(source.tokens))
	}
	for _, k := range h.upstream.stored() {
		if got := k.header.Get("Authorization"); got != "Bearer canary-federated-credential" {
			t.Error("the registry got another credential than the source's")
		}
	}
	text := h.log.String() + h.audit.text()
	for _, secret := range []string{direct, exchanged, publish, "canary-federated", direct[strings.LastIndexByte(direct, '.'):]} {
		if strings.Contains(text, secret) {
			t.Error("a secret is in the log or in the audit")
		}
	}
}

// TestFederatedNeedsTheToken: a publish token that has none inside says what to do.
func TestFederatedNeedsTheToken(t *testing.T) {
	source := new(federated)
	h := open(t, withSource(source))
	grant := &model.Grant{Identity: mustVerify(t, h), Registries: []string{"internal-pypi"}}
	before, err := h.tokens.Mint(t.Context(), grant, []string{h.registry.Public.String()})
	if err != nil {
		t.Fatal(err)
	}
	a := h.publish(upload{token: before})
	h.refused(a, http.StatusForbidden, model.CodeOutOfScope)
	if !strings.Contains(a.body, "exchange a new identity token") || len(source.tokens) != 0 {
		t.Errorf("got %s, expected what to do", a.body)
	}
}

func mustVerify(t *testing.T, h *house) *model.Identity {
	t.Helper()
	id, err := h.verifier.Verify(t.Context(), h.identity(), h.registry.Audiences)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestFederatedExpired: an identity token in its leeway is still ours, and nobody else's.
func TestFederatedExpired(t *testing.T) {
	source := new(federated)
	h := open(t, withSource(source), func(_ *gateway.Registry, c *gateway.Config) {
		c.Now = func() time.Time { return time.Now().Add(6 * time.Minute) }
	})
	token := h.identity(map[string]any{"exp": time.Now().Add(5 * time.Minute).Unix()})
	a := h.publish(upload{token: token})
	h.refused(a, http.StatusUnauthorized, model.CodeExpired)
	if !strings.Contains(a.body, "exp of the identity token") || len(source.tokens) != 0 {
		t.Errorf("got %s, expected a denial that names exp, and no token handed out", a.body)
	}
}

// TestPlainSourceGetsNoToken: where no source federates, the publish token carries no identity token and lives its own life.
func TestPlainSourceGetsNoToken(t *testing.T) {
	h := open(t)
	publish, _ := h.exchange(h.identity())
	grant, err := h.tokens.Verify(t.Context(), publish, h.registry.Public.String())
	if err != nil {
		t.Fatal(err)
	}
	if !grant.Token.Empty() {
		t.Error("a publish token carries an identity token that nobody needs")
	}
}

// TestSourceErrors: a source's own denial is what the client sees, with its time; another error only says that there is none.
func TestSourceErrors(t *testing.T) {
	own := model.Deny(model.CodeCredentialUnavailable).After(17 * time.Second).Hinted("try again in 17 seconds").Because(errors.New("canary-cause"))
	for name, tc := range map[string]struct {
		err        error
		status     int
		code       model.Code
		retryAfter string
		text       string
	}{
		"its own":       {fmt.Errorf("credential x: %w", own), 503, model.CodeCredentialUnavailable, "17", "try again in 17 seconds"},
		"another code":  {fmt.Errorf("credential x: %w", model.Deny(model.CodeExpired)), 401, model.CodeExpired, "", "expired"},
		"a plain error": {errors.New("credential x: POST http://api: got 401"), 503, model.CodeCredentialUnavailable, "", "operator"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, withSource(&federated{err: tc.err}))
			a := h.publish(upload{token: h.identity()})
			h.refused(a, tc.status, tc.code)
			if a.header.Get("Retry-After") != tc.retryAfter || !strings.Contains(a.body, tc.text) || strings.Contains(a.body, "canary") || strings.Contains(a.body, "api:") {
				t.Errorf("got Retry-After %q, %s", a.header.Get("Retry-After"), a.body)
			}
			if !strings.Contains(h.log.String(), "credential x") {
				t.Errorf("got log %s, expected the source's error", h.log)
			}
		})
	}
}

// TestRefusedCredentialIsReported: the source learns that the registry refused what it had made.
func TestRefusedCredentialIsReported(t *testing.T) {
	source := new(federated)
	h := open(t, withSource(source))
	h.upstream.behave(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	h.refused(h.publish(upload{token: h.identity()}), http.StatusBadGateway, model.CodeUpstreamRefusedCredential)
	if source.refused != 1 {
		t.Errorf("got %d reports, expected 1", source.refused)
	}
	h = open(t, once, withSource(source)) // the question before the upload is refused in the same way
	h.upstream.behave(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	h.refused(h.publish(upload{token: h.identity()}), http.StatusBadGateway, model.CodeUpstreamRefusedCredential)
	if source.refused != 2 {
		t.Errorf("got %d reports, expected 2", source.refused)
	}
}
