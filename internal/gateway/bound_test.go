package gateway_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

// TestInvariantNoReplayThroughScopesThatPull: the realm of container clients does not use an identity token up, so that it must be good
// for pushes to one repository alone, whatever the scopes were that it was asked with.
func TestInvariantNoReplayThroughScopesThatPull(t *testing.T) {
	h := open(t, allEcosystems(t))
	h.policies.set(grantAll + `  - name: more-images
    registry: internal-oci
    packages: [acme/other]
    publisher: {github: {repository: acme/widget, repository_owner_id: "222"}}
`)
	scoped := func(identity, scope string) (string, answer) {
		r, _ := http.NewRequest(http.MethodGet, h.front.URL+"/v2/token?"+scope, nil)
		r.SetBasicAuth("oidc", identity)
		a := h.do(r)
		var out struct{ Token string }
		_ = json.Unmarshal([]byte(a.body), &out)
		return out.Token, a
	}
	push := func(repository, token string) answer {
		r, _ := http.NewRequest(http.MethodPost, h.front.URL+"/v2/"+repository+"/blobs/uploads/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		return h.do(r)
	}
	for _, tc := range []struct{ name, first, second string }{
		{"a second exchange", "scope=repository:acme/widget:pull,push", "scope=repository:acme/other:pull"},
		{"one exchange", "scope=repository:acme/widget:pull,push&scope=repository:acme/other:pull", ""},
		{"pulls alone", "scope=repository:acme/widget:pull&scope=repository:acme/other:pull", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			identity := h.identity()
			token, a := scoped(identity, tc.first)
			if a.status != http.StatusOK {
				t.Fatalf("%d %s", a.status, a.body)
			}
			for range 2 { // a push has several steps
				if a := push("acme/widget", token); a.status != http.StatusOK {
					t.Fatalf("the repository that is pushed to: %d %s", a.status, a.body)
				}
			}
			if tc.second != "" {
				if token, a = scoped(identity, tc.second); a.status != http.StatusOK {
					t.Fatalf("%d %s", a.status, a.body)
				}
			}
			before := len(h.upstream.stored())
			a = push("acme/other", token)
			if code := errorCode(a); a.status != http.StatusUnauthorized || len(h.upstream.stored()) != before {
				t.Errorf("another repository: %d %s, expected %s", a.status, code, model.CodeReplayed)
			}
		})
	}
}

// errorCode is the message of the first error of an answer in the form of container registries.
func errorCode(a answer) string {
	var out struct {
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || len(out.Errors) == 0 {
		return a.body
	}
	return out.Errors[0].Message
}
