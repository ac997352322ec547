package provider

import (
	"strings"
	"sync"
)

// AudienceOf is the one audience that tokens of an issuer URL carry; empty where the job chooses.
func (p *Provider) AudienceOf(issuerURL string) string {
	_, address, _ := strings.Cut(issuerURL, "://")
	return strings.NewReplacer("{issuer_address}", address, "{issuer}", issuerURL).Replace(p.Audience)
}

// fixed are the audiences that are the same for all issuers of a provider.
var fixed = sync.OnceValue(func() map[string]string {
	owners := map[string]string{}
	for _, name := range Names() {
		if p, _ := Get(name); p.Audience != "" && !strings.Contains(p.Audience, "{") {
			owners[p.Audience] = name
		}
	}
	return owners
})

// ForeignAudience is true for an audience that another provider's tokens always carry. A token of this one that carries it
// was requested for the services of that platform, and must not work here because the other's tokens may.
func (p *Provider) ForeignAudience(audience string) bool {
	owner, ok := fixed()[audience]
	return ok && owner != p.Name
}
