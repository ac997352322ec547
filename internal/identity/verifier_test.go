package identity

import (
	"crypto/sha256"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

func TestVerify(t *testing.T) {
	r := sharedRig(t, func(c *Config) { c.Name = "work" })
	for _, alg := range []string{issuer.RS256, issuer.ES256} {
		t.Run(alg, func(t *testing.T) {
			raw := r.dev.TokenAlg(alg, audience, map[string]any{"jti": "id-1", "runner_id": 12})
			claims := map[string]any{}
			maps.Copy(claims, issuer.DefaultClaims())
			claims["iss"], claims["aud"], claims["jti"], claims["runner_id"] = r.dev.URL(), audience, "id-1", json.Number("12")
			claims["iat"], claims["nbf"], claims["exp"] = json.Number("1795435200"), json.Number("1795435200"), json.Number("1795435500")
			want := &model.Identity{
				Issuer: "work", Provider: "github", JTI: "id-1", KeyID: "dev-" + alg + "-1", Audience: audience,
				Digest:   sha256.Sum256([]byte(raw[:strings.LastIndex(raw, ".")])),
				IssuedAt: noon, Expiry: noon.Add(5 * time.Minute), TokenExpiry: noon.Add(5 * time.Minute),
				Claims: claims,
			}
			for _, round := range []string{"first", "remembered"} {
				if diff := cmp.Diff(want, r.accept(t, raw)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", round, diff)
				}
			}
		})
	}
}
