package handover

import "strings"

var gem = Client{
	Name: "gem", Programs: []string{"gem"},
	Hand: func(g Grant, _ Place, _ []string) (Handover, error) {
		return Handover{Env: map[string]string{"GEM_HOST_API_KEY": g.Token, "RUBYGEMS_HOST": strings.TrimSuffix(g.URL, "/")}}, nil
	},
}

// bundle installs with the credential of a host, and its release task pushes with gem.
var bundle = Client{
	Name: "bundle", Programs: []string{"bundle", "bundler", "rake"},
	Hand: func(g Grant, p Place, command []string) (Handover, error) {
		h, err := gem.Hand(g, p, command)
		host := strings.NewReplacer(".", "__", "-", "___").Replace(strings.ToUpper(g.parsed().Hostname()))
		h.Env["BUNDLE_"+host] = User + ":" + g.Token
		return h, err
	},
}
