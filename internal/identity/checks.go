package identity

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
)

// leeway is how far the clocks of an issuer and of the gateway may be apart.
const leeway = 30 * time.Second

// times are the times of a token.
type times struct {
	issued, notBefore, expires time.Time
	// effective is the end that counts: the earlier of exp and iat plus the issuer's longest lifetime.
	effective time.Time
}

// readTimes takes the times out of the claims.
func readTimes(claims map[string]any, longest time.Duration) (times, *model.Denial) {
	var t times
	for _, one := range []struct {
		name     string
		required bool
		into     *time.Time
	}{{"exp", true, &t.expires}, {"iat", true, &t.issued}, {"nbf", false, &t.notBefore}} {
		v, there := claims[one.name]
		if !there {
			if one.required {
				return t, model.Deny(model.CodeMissingClaim).Differ(one.name, "", "a time in seconds since 1970")
			}
			continue
		}
		at, ok := numericDate(v)
		if !ok {
			return t, model.Deny(model.CodeInvalidToken).Differ(one.name, shown(fmt.Sprint(v)), "a time in seconds since 1970")
		}
		*one.into = at
	}
	if !t.expires.After(t.issued) {
		return t, model.Deny(model.CodeInvalidToken).Differ("exp", clock(t.expires), "after iat "+clock(t.issued))
	}
	t.effective = t.expires
	if end := t.issued.Add(longest); end.Before(t.effective) {
		t.effective = end
	}
	return t, nil
}

// numericDate reads seconds since 1970, whole or not.
func numericDate(v any) (time.Time, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	f, err := strconv.ParseFloat(n.String(), 64)
	const year9999 = 253402300799
	if err != nil || math.IsNaN(f) || f <= 0 || f > year9999 {
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0).UTC(), true
}

// check judges the times by a clock. The gateway's own time is told, so that a wrong clock is found.
func (t times) check(now time.Time) *model.Denial {
	if !now.Before(t.effective.Add(leeway)) {
		return model.Deny(model.CodeExpired).Differ("expiry", clock(t.effective), "after "+clock(now)+", the time of the gateway")
	}
	if soonest := now.Add(leeway); t.issued.After(soonest) {
		return early("iat", t.issued, now)
	} else if t.notBefore.After(soonest) {
		return early("nbf", t.notBefore, now)
	}
	return nil
}

func early(name string, at, now time.Time) *model.Denial {
	return model.Deny(model.CodeNotYetValid).Differ(name, clock(at), "before "+clock(now)+", the time of the gateway")
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// readAudience takes the one audience out of the claims. Platforms that may send a list must send a list of one: with a second
// audience the token is good elsewhere too, where others could take it.
func readAudience(p *provider.Provider, claims map[string]any) (string, *model.Denial) {
	v, there := claims["aud"]
	if !there {
		return "", model.Deny(model.CodeMissingClaim).Differ("aud", "", "one audience")
	}
	list, isList := v.([]any)
	switch {
	case isList && !p.AudienceArray:
		return "", model.Deny(model.CodeWrongAudience).Differ("aud", "a list", "a single audience, as "+p.Title+" sends it")
	case isList && len(list) != 1:
		return "", model.Deny(model.CodeWrongAudience).Differ("aud", audienceText(v), "a single audience")
	case isList:
		v = list[0]
	}
	aud, ok := v.(string)
	if !ok || aud == "" {
		return "", model.Deny(model.CodeWrongAudience).Differ("aud", audienceText(v), "a single audience")
	}
	if p.ForeignAudience(aud) {
		return "", model.Deny(model.CodeWrongAudience).Differ("aud", shown(aud), "an audience of this registry; this one is for services of another platform")
	}
	return aud, nil
}

func audienceText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "unreadable"
	}
	return shown(string(text))
}

// checkAudience compares the token's audience with the accepted ones.
func checkAudience(got string, accepted []string) *model.Denial {
	if slices.Contains(accepted, got) {
		return nil
	}
	want := "an audience of this registry"
	if len(accepted) > 0 {
		want = strings.Join(accepted, " or ")
	}
	return model.Deny(model.CodeWrongAudience).Differ("aud", shown(got), want)
}

// checkRequired refuses tokens without the claims that their provider always sends.
func checkRequired(p *provider.Provider, claims map[string]any) *model.Denial {
	name, problem, missing := p.Missing(claims)
	if !missing {
		return nil
	}
	return model.Deny(model.CodeMissingClaim).Differ(name, problem, "a "+strings.ReplaceAll(string(p.Claims[name].Kind), "_", " ")+", as "+p.Title+" sends it")
}

// tokenID is the token's own id where its provider sends one.
func tokenID(p *provider.Provider, claims map[string]any) string {
	if p.JTI == provider.Never {
		return ""
	}
	jti, _ := claims["jti"].(string)
	return jti
}
