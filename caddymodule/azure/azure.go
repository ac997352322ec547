// Package azure adds the credential source for Azure Artifacts and Azure Container Registry, and with it Microsoft's identity library, to a
// Caddy that has the trusted publishing module: a build that does not import it is smaller.
package azure

import (
	"github.com/trustpub/trustpub/caddymodule"
	"github.com/trustpub/trustpub/internal/credential/azure"
)

func init() { caddymodule.RegisterCredential(azure.Kind) }
