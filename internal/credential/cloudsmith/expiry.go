package cloudsmith

import (
	"math"
	"time"

	"github.com/trustpub/trustpub/internal/credential/mintapi"
)

// maxLife is the longest life of a token that is believed; Cloudsmith's live for about 90 minutes.
const maxLife = 24 * time.Hour

// expiry reads the end of a token, which is a JWT; it says only how long the token is handed out.
func expiry(token string, now time.Time) (time.Time, error) {
	var claims struct {
		Expiry float64 `json:"exp"`
	}
	err := mintapi.UnverifiedClaims(token, &claims)
	if err != nil || claims.Expiry != math.Trunc(claims.Expiry) || claims.Expiry < 1 || claims.Expiry > 1<<40 {
		return time.Time{}, mintapi.Unfit("the answer's token is no JWT with an exp, in seconds, that would say when it ends")
	}
	ends := time.Unix(int64(claims.Expiry), 0)
	if !ends.After(now) || ends.After(now.Add(maxLife)) {
		return time.Time{}, mintapi.Unfit("the answer's token does not end within the next %d hours: compare the clocks of the gateway and of Cloudsmith", int(maxLife.Hours()))
	}
	return ends, nil
}
