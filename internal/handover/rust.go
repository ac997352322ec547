package handover

var cargo = Client{
	Name: "cargo", Programs: []string{"cargo"},
	Tell: "publish with: cargo publish --registry NAME, whose index is in .cargo/config.toml",
	Hand: func(g Grant, _ Place, _ []string) (Handover, error) {
		return Handover{Env: map[string]string{
			"CARGO_REGISTRIES_" + g.variable() + "_TOKEN": g.Token,
			// Without it, cargo does not read an index that wants a token, whatever the variable above says.
			"CARGO_REGISTRIES_" + g.variable() + "_CREDENTIAL_PROVIDER": "cargo:token",
		}}, nil
	},
}
