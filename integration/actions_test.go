package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

// publishAction is what a vendor's publish action for GitHub sends, as it was seen to, and where it reads what it goes on with.
type publishAction struct {
	rig func(*testing.T) *rig
	// discover is what it asks first for the audience; empty: the audience is the host, by its input.
	discover string
	// exchange is the path, header all that is not of every request, body the form with the identity token in the place of JWT.
	exchange func(*rig) string
	header   http.Header
	body     string
	// status is that of a good answer, token its key, and reason the way to the sentence in a bad one.
	status int
	token  string
	reason []any
	// revokes is true where its end sends a DELETE to the same path.
	revokes bool
}

// toHost is below the root of the host, toRegistry below the registry's own URL.
func toHost(path string) func(*rig) string { return func(*rig) string { return path } }

func toRegistry(path string) func(*rig) string {
	return func(r *rig) string { return strings.TrimSuffix(r.reg.Path, "/") + path }
}

var publishActions = map[string]publishAction{
	"pypi": {
		rig: func(t *testing.T) *rig { return newRig(t, "pypiserver") }, discover: "/_/oidc/audience", exchange: toHost("/_/oidc/mint-token"),
		header: http.Header{"User-Agent": {"python-requests/2.32.5"}, "Accept": {"*/*"}, "Content-Type": {"application/json"}},
		body:   `{"token": "JWT"}`, status: http.StatusOK, token: "token", reason: []any{"errors", 0, "description"},
	},
	"cargo": {
		rig: func(t *testing.T) *rig { return cargoRig(t, "ktra") }, exchange: toHost("/api/v1/trusted_publishing/tokens"),
		header: http.Header{"User-Agent": {"crates-io-auth-action/1.0.1"}, "Accept": {"*/*"}, "Content-Type": {"application/json"}},
		body:   `{"jwt":"JWT"}`, status: http.StatusOK, token: "token", reason: []any{"errors", 0, "detail"}, revokes: true,
	},
	"rubygems": {
		rig:      func(t *testing.T) *rig { return giteaRig(t, "rubygems", widgetPolicy) },
		exchange: toRegistry("/api/v1/oidc/trusted_publisher/exchange_token"),
		header:   http.Header{"User-Agent": {"rubygems-oidc-action"}, "Accept": {"application/json"}, "Content-Type": {"application/json"}},
		// What is above 299 the action shows whole.
		body: "{\n  \"jwt\": \"JWT\"\n}", status: http.StatusCreated, token: "rubygems_api_key", reason: []any{"error"},
	},
	"nuget": {
		rig: func(t *testing.T) *rig {
			return giteaRig(t, "nuget", strings.Replace(widgetPolicy, "acme-widget", "acme.widget", 1))
		},
		exchange: toHost("/api/v2/token"),
		header:   http.Header{"User-Agent": {"nuget/login-action"}, "Authorization": {"Bearer JWT"}, "Content-Type": {"application/json"}},
		body:     `{"username":"ci","tokenType":"ApiKey"}`, status: http.StatusOK, token: "apiKey", reason: []any{"error"},
	},
}

// TestPublishActions sends what the publish actions send, and reads of the answers what they read: the token, or the sentence that they show.
func TestPublishActions(t *testing.T) {
	t.Parallel()
	for name, action := range publishActions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := action.rig(t)
			token, a := action.ask(t, r, nil)
			if a.Status != action.status || !strings.HasPrefix(token, "tpub_") {
				t.Fatalf("got %d %s, expected %d and a token as %s", a.Status, a.Body, action.status, action.token)
			}
			if action.revokes {
				header := http.Header{"Authorization": {"Bearer " + token}, "User-Agent": action.header["User-Agent"]}
				if a := r.send(t, http.MethodDelete, action.exchange(r), header, nil); a.Status != http.StatusNoContent {
					t.Errorf("the revocation: %d %s", a.Status, a.Body)
				}
			}
			for job, claims := range map[string]map[string]any{"another repository": otherRepository, "a stranger": foreignRepository} {
				_, a := action.ask(t, r, claims)
				sentence, _ := at(t, a.Body, action.reason...).(string)
				_, code, _ := strings.Cut(sentence, "[")
				code, _, _ = strings.Cut(code, " ")
				got := []any{a.Status/100 == 4 && a.Status != http.StatusNotFound, code}
				if diff := cmp.Diff([]any{true, string(model.CodeNoMatchingPolicy)}, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s\n%d %s", job, diff, a.Status, a.Body)
				}
			}
		})
	}
}

// ask does what the action does for a job with these claims.
func (action publishAction) ask(t *testing.T, r *rig, claims map[string]any) (token string, a answer) {
	t.Helper()
	audience := r.site.Host()
	if action.discover != "" {
		a := r.send(t, http.MethodGet, action.discover, http.Header{"User-Agent": action.header["User-Agent"]}, nil)
		audience, _ = at(t, a.Body, "audience").(string)
	}
	identity := shared.issuer.Token(audience, claims)
	header := action.header.Clone()
	for name, values := range header {
		header[name] = []string{strings.ReplaceAll(values[0], "JWT", identity)}
	}
	a = r.send(t, http.MethodPost, action.exchange(r), header, []byte(strings.ReplaceAll(action.body, "JWT", identity)))
	if a.Status == action.status {
		token, _ = at(t, a.Body, action.token).(string)
	}
	return token, a
}

// at is what stands at a place of a JSON document; nil: nothing.
func at(t *testing.T, text string, way ...any) any {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for _, step := range way {
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				return nil
			}
			value = list[step]
		}
	}
	return value
}
