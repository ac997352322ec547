package handover

import (
	"strings"
)

// Npmrc is the line of an npmrc file.
func Npmrc(g Grant) string {
	return "//" + g.host() + g.parsed().EscapedPath() + ":_authToken=" + g.Token + "\n"
}

// npm reads the token from the user's settings, of which it gets a copy with one more line at the end.
var npm = Client{
	Name: "npm", Programs: []string{"npm", "npx", "pnpm", "pnpx"}, Renews: true,
	Hand: func(g Grant, p Place, _ []string) (Handover, error) {
		own := p.own(p.Getenv("NPM_CONFIG_USERCONFIG"), p.Getenv("npm_config_userconfig"), p.inHome(".npmrc"))
		if own != "" && !strings.HasSuffix(own, "\n") {
			own += "\n"
		}
		return Handover{
			Env: map[string]string{
				"NPM_CONFIG_USERCONFIG": p.file("npmrc"), "npm_config_userconfig": p.file("npmrc"), "npm_config_registry": g.URL,
				// What settings in a repository name most often.
				"NODE_AUTH_TOKEN": g.Token, "NPM_TOKEN": g.Token,
			},
			Files: map[string]string{"npmrc": own + Npmrc(g)},
		}, nil
	},
}

// yarn of today has variables for all of its settings; that of yesterday reads npm's.
var yarn = Client{
	Name: "yarn", Programs: []string{"yarn", "yarnpkg"},
	Hand: func(g Grant, p Place, command []string) (Handover, error) {
		h, err := npm.Hand(g, p, command)
		h.Env["YARN_NPM_AUTH_TOKEN"], h.Env["YARN_NPM_REGISTRY_SERVER"] = g.Token, strings.TrimSuffix(g.URL, "/")
		return h, err
	},
}
