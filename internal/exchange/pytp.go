package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// mediaPytp is the media type of PEP 807.
const mediaPytp = "application/vnd.pypi.pytp.v1+json"

// pytp finds an index that has PEP 807's discovery and not ours; absent is what ours was answered with.
func (c *Client) pytp(ctx context.Context, u *url.URL, absent *Refusal) (*Registry, error) {
	origin := u.Scheme + "://" + u.Host
	at := origin + "/.well-known/pytp?discover=" + url.QueryEscape(u.EscapedPath())
	body, err := c.do(ctx, "discovery at "+at, http.MethodGet, at, mediaPytp, nil)
	var refusal *Refusal
	if errors.As(err, &refusal) && refusal.Status == http.StatusNotFound {
		return nil, fmt.Errorf("%s has neither %s nor /.well-known/pytp (both answered %d): is trustpub in front of this host?", origin, wellKnown, absent.Status)
	}
	if err != nil {
		return nil, err
	}
	var found struct {
		Audience string `json:"audience-endpoint"`
		Mint     string `json:"token-mint-endpoint"`
	}
	if err := json.Unmarshal(body, &found); err != nil || !strings.HasPrefix(found.Audience, origin+"/") || !plainURL.MatchString(found.Audience) || !strings.HasPrefix(found.Mint, origin+"/") {
		return nil, fmt.Errorf("%s names no endpoints below %s/", at, origin)
	}
	if body, err = c.do(ctx, "audience", http.MethodGet, found.Audience, mediaPytp, nil); err != nil {
		return nil, err
	}
	var aud struct {
		Audience string `json:"audience"`
	}
	if err := json.Unmarshal(body, &aud); err != nil || aud.Audience == "" {
		return nil, fmt.Errorf("%s answered no audience", printable(found.Audience))
	}
	reg := &Registry{Name: "index", Ecosystem: "pypi", URL: u.String(), Audience: aud.Audience, Exchange: found.Mint}
	if u.Path == "" {
		reg.URL += "/"
	}
	return reg, reg.check(origin)
}
