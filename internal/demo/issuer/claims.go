package issuer

import (
	"crypto/rand"
	"encoding/hex"
)

// DefaultClaims are the claims of a release job on GitHub Actions, without those that each token gets anew (iss, aud,
// jti, iat, nbf, exp).
func DefaultClaims() map[string]any {
	const workflow = "acme/widget/.github/workflows/release.yml@refs/tags/v1"
	const sha = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
	return map[string]any{
		"sub":                   "repo:acme/widget:environment:release",
		"repository":            "acme/widget",
		"repository_id":         "111",
		"repository_owner":      "acme",
		"repository_owner_id":   "222",
		"repository_visibility": "private",
		"actor":                 "dev",
		"actor_id":              "333",
		"event_name":            "push",
		"ref":                   "refs/tags/v1",
		"ref_type":              "tag",
		"ref_protected":         "true",
		"head_ref":              "",
		"base_ref":              "",
		"sha":                   sha,
		"workflow":              "Release",
		"workflow_ref":          workflow,
		"workflow_sha":          sha,
		"job_workflow_ref":      workflow,
		"job_workflow_sha":      sha,
		"environment":           "release",
		"run_id":                "9",
		"run_number":            "1",
		"run_attempt":           "1",
		"check_run_id":          "12",
		"runner_environment":    "github-hosted",
		"enterprise":            "e",
		"enterprise_id":         "5",
	}
}

// newID is a fresh jti in the shape of a UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the process instead
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
