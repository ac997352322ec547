package identity

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

// TestWhose: what counts as one publisher, and what of a token it may choose by itself.
func TestWhose(t *testing.T) {
	for _, tc := range []struct {
		name, issuer, provider string
		claims                 map[string]any
		want                   string
	}{
		{"a repository", "github", "github", map[string]any{"repository_id": "111", "repository_owner_id": "222", "sub": "repo:acme/widget:ref:refs/heads/x"}, "github repository_id=111"},
		{"of another issuer", "ghes", "github", map[string]any{"repository_id": "111"}, "ghes repository_id=111"},
		{"a number", "work", "gitlab", map[string]any{"project_id": json.Number("7")}, "work project_id=7"},
		{"only an owner", "github", "github", map[string]any{"repository_owner_id": "222", "sub": "x"}, "github repository_owner_id=222"},
		{"no ids", "work", "oidc", map[string]any{"sub": "job-1"}, "work sub=job-1"},
		{"nothing", "work", "oidc", nil, "work sub=<nil>"},
	} {
		id := &model.Identity{Issuer: tc.issuer, Provider: tc.provider, Claims: tc.claims}
		if diff := cmp.Diff(tc.want, (*Verifier)(nil).Whose(id)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}
