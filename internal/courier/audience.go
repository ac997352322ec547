package courier

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/trustpub/trustpub/internal/ambient"
	"github.com/trustpub/trustpub/internal/exchange"
)

// A host that is asked for a registry says itself for which audience it wants a token. One that says another's would get a token
// that is good there, and could use it in the job's name. So a token is asked for, and shown to, the host that it is for.

// mayAsk refuses to ask the platform for a token of an audience that is another host's or service's.
func (e *Errand) mayAsk(reg *exchange.Registry, source *ambient.Source) error {
	if !source.Chooses || e.Audience != "" || exchange.Names(reg.Audience, reg.URL) {
		return nil
	}
	return fmt.Errorf("%s asks for an identity token whose audience is %s, which does not name that host: with such a token it could act in this job's name elsewhere. "+
		"If it is meant so, say it with --audience %s", reg.URL, reg.Audience, reg.Audience)
}

// mayShow refuses to show a token to a host that the user has not named, unless it is for that host alone.
func (e *Errand) mayShow(reg *exchange.Registry, source *ambient.Source, token string) error {
	if e.Named {
		return nil
	}
	audiences := audiencesOf(token)
	for _, audience := range audiences {
		if !exchange.Names(audience, reg.URL) {
			audiences = nil
			break
		}
	}
	if len(audiences) > 0 {
		return nil
	}
	return fmt.Errorf("the identity token of %s is not for %s: its audience does not name that host, so that it is not shown to it. "+
		"If that is the gateway, set TRUSTPUB_REGISTRY to its URL", source.Where, reg.URL)
}

// audiencesOf reads the audiences of a token, which nobody has verified; nil where it has none.
func audiencesOf(token string) []string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var claims struct {
		Audience any `json:"aud"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return nil
	}
	switch aud := claims.Audience.(type) {
	case string:
		return []string{aud}
	case []any:
		var all []string
		for _, one := range aud {
			text, ok := one.(string)
			if !ok {
				return nil
			}
			all = append(all, text)
		}
		return all
	}
	return nil
}
