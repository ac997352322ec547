package handover

var twine = Client{
	Name: "twine", Programs: []string{"twine"},
	Hand: func(g Grant, _ Place, _ []string) (Handover, error) {
		return Handover{Env: map[string]string{
			"TWINE_REPOSITORY_URL": g.URL, "TWINE_USERNAME": User, "TWINE_PASSWORD": g.Token, "TWINE_NON_INTERACTIVE": "1",
		}}, nil
	},
}

var poetry = Client{
	Name: "poetry", Programs: []string{"poetry"},
	Tell: "publish with: poetry publish --repository NAME",
	Hand: func(g Grant, _ Place, _ []string) (Handover, error) {
		return Handover{Env: map[string]string{
			"POETRY_REPOSITORIES_" + g.variable() + "_URL":    g.URL,
			"POETRY_HTTP_BASIC_" + g.variable() + "_USERNAME": User,
			"POETRY_HTTP_BASIC_" + g.variable() + "_PASSWORD": g.Token,
		}}, nil
	},
}

var hatch = Client{
	Name: "hatch", Programs: []string{"hatch"},
	Hand: func(g Grant, _ Place, _ []string) (Handover, error) {
		return Handover{Env: map[string]string{"HATCH_INDEX_REPO": g.URL, "HATCH_INDEX_USER": User, "HATCH_INDEX_AUTH": g.Token}}, nil
	},
}

var flit = Client{
	Name: "flit", Programs: []string{"flit"},
	Hand: func(g Grant, _ Place, _ []string) (Handover, error) {
		return Handover{Env: map[string]string{"FLIT_INDEX_URL": g.URL, "FLIT_USERNAME": User, "FLIT_PASSWORD": g.Token}}, nil
	},
}

var pdm = Client{
	Name: "pdm", Programs: []string{"pdm"},
	Hand: func(g Grant, _ Place, _ []string) (Handover, error) {
		return Handover{Env: map[string]string{"PDM_PUBLISH_REPO": g.URL, "PDM_PUBLISH_USERNAME": User, "PDM_PUBLISH_PASSWORD": g.Token}}, nil
	},
}

// uv publishes with a token of its variable, and installs with the one of netrc.
var uv = Client{
	Name: "uv", Programs: []string{"uv"},
	Hand: func(g Grant, p Place, _ []string) (Handover, error) {
		h := withNetrc(g, p)
		h.Env["UV_PUBLISH_URL"], h.Env["UV_PUBLISH_TOKEN"] = g.URL, g.Token
		return h, nil
	},
}

// pip installs: the index is the user's own setting, the password comes from netrc.
var pip = Client{
	Name: "pip", Programs: []string{"pip"}, Renews: true,
	Tell: "name the index yourself: pip install --index-url ...",
	Hand: func(g Grant, p Place, _ []string) (Handover, error) { return withNetrc(g, p), nil },
}
