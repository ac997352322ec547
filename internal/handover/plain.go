package handover

// Plain are the variables for programs that know nothing of all this.
func Plain(g Grant) map[string]string {
	return map[string]string{"TRUSTPUB_TOKEN": g.Token, "TRUSTPUB_USERNAME": User, "TRUSTPUB_REGISTRY": g.URL}
}

var env = Client{
	Name: "env",
	Hand: func(g Grant, _ Place, _ []string) (Handover, error) { return Handover{Env: Plain(g)}, nil },
	Shadow: func(g Grant, _ Place, _ []string) (Handover, error) {
		return Handover{Env: map[string]string{"TRUSTPUB_IDENTITY": g.Token, "TRUSTPUB_REGISTRY": g.URL}}, nil
	},
}
