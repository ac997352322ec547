package migration

import (
	"slices"
	"time"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
)

// observation is one judged publish of the audit.
type observation struct {
	event model.Event
	prov  *provider.Provider
	// id is the identity as far as the audit has it.
	id     *model.Identity
	target model.Target
	// beside is true where the identity came beside a password that was let through.
	beside bool
}

// changes are the actions that a policy has to grant; whoever may publish may read.
var changes = []model.Action{model.ActionPublish, model.ActionOverwrite, model.ActionYank, model.ActionDelete, model.ActionTag}

// observe reads a judged publish that no policy allowed; false for every other event.
func observe(event model.Event, providers map[string]string) (observation, bool) {
	denied := event.Kind == model.EventDecision && (event.Decision == "deny" || event.Decision == "would_deny")
	if !denied || event.Code != model.CodeNoMatchingPolicy || event.Target == nil || event.Target.Package == "" || event.Target.Registry == "" {
		return observation{}, false
	}
	prov, id := identityOf(event, providers)
	if id == nil || !slices.Contains(changes, event.Target.Action) {
		return observation{}, false
	}
	o := observation{event: event, prov: prov, id: id, target: *event.Target, beside: event.Credential == "foreign"}
	o.target.Versionless = o.exchanged()
	return o, true
}

// exchanged is true for a refused exchange that named its package (npm's): the version would have come with the upload.
func (o *observation) exchanged() bool {
	return o.target.Ecosystem == "npm" && o.target.Action == model.ActionPublish && o.target.Version == "" && o.target.File == ""
}

// identityOf reads an event's identity; nil where it has none, or where its provider is not known. providers maps issuers to
// providers for events of before the audit named the provider.
func identityOf(event model.Event, providers map[string]string) (*provider.Provider, *model.Identity) {
	if event.Issuer == "" || len(event.Run) == 0 {
		return nil, nil
	}
	name := event.Provider
	if name == "" {
		name = providers[event.Issuer]
	}
	if name == "" {
		name = event.Issuer // the default name of an issuer
	}
	prov, known := provider.Get(name)
	if !known {
		return nil, nil
	}
	return prov, &model.Identity{Issuer: event.Issuer, Provider: prov.Name, Claims: prov.RunIdentity(event.Run)}
}

// text is a claim's text; empty where it is absent.
func (o *observation) text(claim string) string {
	s, _ := o.prov.Text(o.id.Claims, claim)
	return s
}

// repository is what names the repository: its name, or else its id.
func (o *observation) repository() string {
	var id string
	for _, f := range o.prov.Fields {
		if f.Names == provider.Repository && o.text(f.Claim) != "" {
			return o.text(f.Claim)
		}
		if f.Stable == provider.Repository && id == "" {
			id = o.text(f.Claim)
		}
	}
	return id
}

// ofOwner is true where a name or an id of the run's repository or owner is one of the wanted.
func (o *observation) ofOwner(wanted []string) bool {
	if len(wanted) == 0 {
		return true
	}
	for _, f := range o.prov.Fields {
		if (f.Names != "" || f.Stable != "") && slices.Contains(wanted, o.text(f.Claim)) {
			return true
		}
	}
	return false
}

// span is the first and the last time of something, and how often it was.
type span struct {
	count       int
	first, last time.Time
}

func (s *span) add(at time.Time) {
	if s.count == 0 || at.Before(s.first) {
		s.first = at
	}
	if at.After(s.last) {
		s.last = at
	}
	s.count++
}

// String is "2030-01-02" or "2030-01-02 to 2030-02-03".
func (s *span) String() string {
	first, last := s.first.UTC().Format(time.DateOnly), s.last.UTC().Format(time.DateOnly)
	if first == last {
		return first
	}
	return first + " to " + last
}
