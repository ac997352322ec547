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
		h := Handover{
			Env: map[string]string{
				"NPM_CONFIG_USERCONFIG": p.file("npmrc"), "npm_config_userconfig": p.file("npmrc"), "npm_config_registry": g.URL,
			},
			Files: map[string]string{"npmrc": own + Npmrc(g)},
		}
		for _, name := range []string{"NODE_AUTH_TOKEN", "NPM_TOKEN"} {
			if wanted(own+p.own(".npmrc"), name, g.host()) {
				h.Env[name] = g.Token
			}
		}
		return h, nil
	},
}

// wanted is true where settings name a variable as the token of the gateway's host, and of no other host, to which npm would send it. The settings of a
// repository come before the user's, so that the variable must be there then.
func wanted(settings, name, host string) (found bool) {
	for line := range strings.Lines(settings) {
		if !strings.Contains(line, "${"+name) {
			continue
		}
		if !strings.HasPrefix(strings.TrimSpace(line), "//"+host+"/") {
			return false
		}
		found = true
	}
	return found
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
