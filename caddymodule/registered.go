package caddymodule

import (
	"fmt"
	"sort"
	"strings"

	"github.com/caddyserver/caddy/v2"

	auditfile "github.com/trustpub/trustpub/internal/audit/file"
	auditlog "github.com/trustpub/trustpub/internal/audit/log"
	"github.com/trustpub/trustpub/internal/credential/artifactory"
	"github.com/trustpub/trustpub/internal/credential/cloudsmith"
	"github.com/trustpub/trustpub/internal/credential/devpi"
	"github.com/trustpub/trustpub/internal/credential/distribution"
	"github.com/trustpub/trustpub/internal/credential/exec"
	"github.com/trustpub/trustpub/internal/credential/gitea"
	"github.com/trustpub/trustpub/internal/credential/gitlab"
	"github.com/trustpub/trustpub/internal/credential/google"
	"github.com/trustpub/trustpub/internal/credential/harbor"
	"github.com/trustpub/trustpub/internal/credential/hexpm"
	"github.com/trustpub/trustpub/internal/credential/http"
	"github.com/trustpub/trustpub/internal/credential/nexus"
	"github.com/trustpub/trustpub/internal/credential/reposilite"
	"github.com/trustpub/trustpub/internal/credential/static"
	"github.com/trustpub/trustpub/internal/credential/vault"
	"github.com/trustpub/trustpub/internal/credential/verdaccio"
	"github.com/trustpub/trustpub/internal/credential/zot"
	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/ecosystem/cargo"
	"github.com/trustpub/trustpub/internal/ecosystem/generic"
	"github.com/trustpub/trustpub/internal/ecosystem/hex"
	"github.com/trustpub/trustpub/internal/ecosystem/maven"
	"github.com/trustpub/trustpub/internal/ecosystem/npm"
	"github.com/trustpub/trustpub/internal/ecosystem/nuget"
	"github.com/trustpub/trustpub/internal/ecosystem/oci"
	"github.com/trustpub/trustpub/internal/ecosystem/pypi"
	"github.com/trustpub/trustpub/internal/ecosystem/rubygems"
	"github.com/trustpub/trustpub/internal/store/local"
	"github.com/trustpub/trustpub/internal/store/memory"
	"github.com/trustpub/trustpub/internal/store/redis"
)

// The namespaces of the guest modules.
const (
	credentialNamespace = appName + ".credentials"
	storeNamespace      = appName + ".stores"
	auditNamespace      = appName + ".audit"
)

// The parts of this build, one line each.
func init() {
	RegisterEcosystem(pypi.Kind)
	RegisterEcosystem(generic.Kind)
	RegisterEcosystem(maven.Kind)
	RegisterEcosystem(npm.Kind)
	RegisterEcosystem(cargo.Kind)
	RegisterEcosystem(oci.Kind)
	RegisterEcosystem(rubygems.Kind)
	RegisterEcosystem(nuget.Kind)
	RegisterEcosystem(hex.Kind)

	RegisterCredential(static.Kind)
	RegisterCredential(devpi.Kind)
	RegisterCredential(distribution.Kind)
	RegisterCredential(gitea.Kind)
	RegisterCredential(artifactory.Kind)
	RegisterCredential(gitlab.Kind)
	RegisterCredential(harbor.Kind)
	RegisterCredential(hexpm.Kind)
	RegisterCredential(nexus.Kind)
	RegisterCredential(cloudsmith.Kind)
	RegisterCredential(zot.Kind)
	RegisterCredential(reposilite.Kind)
	RegisterCredential(verdaccio.Kind)
	RegisterCredential(exec.Kind)
	RegisterCredential(http.Kind)
	RegisterCredential(vault.Kind)
	RegisterCredential(google.Kind)

	RegisterStore(local.Kind)
	RegisterStore(memory.Kind)
	RegisterStore(redis.Kind)

	RegisterAudit(auditfile.Kind)
	RegisterAudit(auditlog.Kind)
}

// ecosystems holds the registered protocols by name. It is written by init functions only.
var ecosystems = map[string]ecosystem.Kind{}

// ecosystemNames lists the registered protocols for an error.
func ecosystemNames() string {
	var names []string
	for name := range ecosystems {
		names = append(names, name)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// RegisterEcosystem adds a protocol. Call it from an init function; it panics when the name is taken.
func RegisterEcosystem(kind EcosystemKind) {
	if kind.Name == "" || kind.New == nil {
		panic("an ecosystem needs a name and a constructor")
	}
	if _, taken := ecosystems[kind.Name]; taken {
		panic(fmt.Sprintf("ecosystem %q is registered twice", kind.Name))
	}
	ecosystems[kind.Name] = kind
}

// RegisterCredential adds a credential source as the Caddy module trusted_publishing.credentials.NAME. Call it from an init
// function; it panics when the name is taken.
func RegisterCredential(kind CredentialKind) { registerGuest(credentialNamespace, kind) }

// RegisterStore adds a store as the Caddy module trusted_publishing.stores.NAME. Call it from an init function; it panics
// when the name is taken.
func RegisterStore(kind StoreKind) { registerGuest(storeNamespace, kind) }

// RegisterAudit adds an audit sink as the Caddy module trusted_publishing.audit.NAME. Call it from an init function; it panics
// when the name is taken.
func RegisterAudit(kind AuditKind) { registerGuest(auditNamespace, kind) }

// guestNames lists the modules of a namespace, sorted.
func guestNames(namespace string) []string {
	var names []string
	for _, m := range caddy.GetModules(namespace) {
		names = append(names, m.ID.Name())
	}
	sort.Strings(names)
	return names
}

func guestRegistered(namespace, name string) bool {
	_, err := caddy.GetModule(namespace + "." + name)
	return err == nil
}
