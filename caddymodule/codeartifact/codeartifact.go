// Package codeartifact adds the credential source for AWS CodeArtifact, and with it AWS's SDK, to a Caddy that has the trusted
// publishing module: a build that does not import it is smaller.
package codeartifact

import (
	"github.com/trustpub/trustpub/caddymodule"
	"github.com/trustpub/trustpub/internal/credential/codeartifact"
)

func init() { caddymodule.RegisterCredential(codeartifact.Kind) }
