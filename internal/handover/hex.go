package handover

import (
	"regexp"
	"strings"
)

// ofOrganization is the end of a URL that is of one organisation, which the client adds by itself.
var ofOrganization = regexp.MustCompile(`/repos/[^/]+$`)

// hexAPI is where the API is: mix and rebar3 take its URL without a slash at its end.
func hexAPI(registry string) string {
	at := ofOrganization.ReplaceAllString(strings.TrimSuffix(registry, "/"), "")
	if !strings.HasSuffix(at, "/api") {
		at += "/api"
	}
	return at
}

// hex is mix and rebar3. Gleam publishes to one host only, whatever it is told, so it gets no token.
var hex = Client{
	Name: "hex", Programs: []string{"mix", "rebar3"},
	Tell: "for an authority of your own, HEX_CACERTS_PATH must name its file",
	Hand: func(g Grant, _ Place, _ []string) (Handover, error) {
		return Handover{Env: map[string]string{"HEX_API_KEY": g.Token, "HEX_API_URL": hexAPI(g.URL)}}, nil
	},
}
