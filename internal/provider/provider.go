// Package provider describes the CI platforms behind issuers as data: one embedded YAML file each, with the claims of its
// identity tokens, what of them names a publisher, which ids are stable, and which issuer URLs it may have. A further
// platform is a further file in data/ and no code.
package provider

import "slices"

// Provider is one kind of CI, read-only after its file was loaded.
type Provider struct {
	// Name is the word in configurations and policies ("github").
	Name string `yaml:"name"`
	// Title is the platform's own name, Source where its facts are documented.
	Title  string `yaml:"title"`
	Source string `yaml:"source"`
	// Sources are further pages that facts of the file come from.
	Sources []string `yaml:"sources"`
	// Issuer says which issuer URLs the platform has.
	Issuer IssuerForms `yaml:"issuer"`
	// AudienceArray is true where the platform may send aud as an array.
	AudienceArray bool `yaml:"audience_array"`
	// Audience is what aud always is where jobs cannot choose it: a text, in which {issuer} stands for iss and
	// {issuer_address} for iss without its scheme. Empty: the job chooses. No other provider's tokens may carry it.
	Audience string `yaml:"audience"`
	// JTI says whether tokens carry an id of their own.
	JTI Presence `yaml:"jti"`
	// Shared is true where many jobs read one token, as from a file in a pod: a use by one job then says nothing about
	// the next, so such a token may be exchanged again until it ends.
	Shared bool `yaml:"shared"`
	// Claims are the claims that the fields below speak of, by the name that this file gives them.
	Claims map[string]*Claim `yaml:"claims"`
	// Required are the names of claims without which a token is not judged at all.
	Required []string `yaml:"required"`
	// Fields are what a policy's publisher may ask for.
	Fields []*Field `yaml:"publisher"`
	// OpenClaims lets a publisher compare any string claim by its exact name, under "claims:".
	OpenClaims bool `yaml:"open_claims"`
	// Trigger is what started the run; nil where the platform does not say.
	Trigger *Trigger `yaml:"trigger"`
	// Tag says how to read the git tag that started the run; nil where the platform does not say.
	Tag *Tag `yaml:"tag"`
	// RunID is the name of the claim that is the run's id; empty where the platform has none.
	RunID string `yaml:"run_id"`
	// Run are the names of claims that the audit keeps of each run.
	Run []string `yaml:"run"`
	// Sample is a claim set as the platform documents it, without iss, aud, iat, nbf and exp.
	Sample map[string]any `yaml:"sample"`
	// Docs are the parts of the platform's page that no fact tells.
	Docs Docs `yaml:"docs"`

	fields map[string]*Field
}

// Presence says whether a claim is always there.
type Presence string

// The presences.
const (
	Always    Presence = "always"
	Sometimes Presence = "sometimes"
	Never     Presence = "never"
)

// Kind is the type of a claim's value.
type Kind string

// The kinds. BoolString is a string that is "true" or "false".
const (
	String     Kind = "string"
	BoolString Kind = "bool_string"
	Bool       Kind = "bool"
	Number     Kind = "number"
	List       Kind = "list"
	Object     Kind = "object"
)

// Claim is where a value lies in a token and what it is.
type Claim struct {
	Kind Kind `yaml:"kind"`
	// Path are the exact keys from the top; the claim's own name where it is left out.
	Path []string `yaml:"path"`
	// After keeps only what of the text follows the last such separator: the name in "acme/widget". The claim is absent
	// where the text has no separator.
	After string `yaml:"after"`
	// Template is true where the platform alone sets the claim and no run of the publisher can choose it, so that a
	// policy's packages may be named after it. It needs a kind of text.
	Template bool `yaml:"template"`
	// About is one line for documentation.
	About string `yaml:"about"`
}

// Subject says what a field names or is an id of.
type Subject string

// The subjects.
const (
	Repository Subject = "repository"
	Owner      Subject = "owner"
)

// Field is one thing that a policy's publisher may ask for. Its value is compared byte for byte, with a glob where Glob
// allows it and the policy has one.
type Field struct {
	// Name is the word in a policy.
	Name string `yaml:"name"`
	// Claim is the name of the claim that is compared. Empty where Equals is set.
	Claim string `yaml:"claim"`
	// Kind is the kind of Claim; String for a field with Equals.
	Kind Kind `yaml:"-"`
	// Glob is true where a policy may use globs.
	Glob bool `yaml:"glob"`
	// Stable says of what the claim is an id that is never given to another; empty: it is no such id.
	Stable Subject `yaml:"stable"`
	// Names says what the claim names; names can pass to others.
	Names Subject `yaml:"names"`
	// Equals is a template: each of EqualClaims must be equal to it once {value} is replaced by the policy's value, {claim}
	// by that claim of the same token, and {issuer_address} by iss without its scheme.
	Equals *Template `yaml:"equals"`
	// EqualClaims are the claims that Equals is compared with; all of them, except those that another field of the
	// same publisher Replaces.
	EqualClaims []string `yaml:"equal_claims"`
	// Replaces names a claim that fields with Equals no longer ask for once the policy has this field.
	Replaces string `yaml:"replaces"`
	// Gate says what of a run the field holds back, beyond whose it is; empty: nothing.
	Gate Gate `yaml:"gate"`
	// Needed is true where every policy must have the field, because without it the publisher speaks for strangers' code too.
	Needed bool `yaml:"needed"`
	// About is one line for documentation.
	About string `yaml:"about"`
}

// Trigger is the claim that says what started the run.
type Trigger struct {
	// Claim is the claim's name.
	Claim string `yaml:"claim"`
	// Allowed are the values that a policy accepts unless its events add to them: none that runs a stranger's code.
	Allowed []string `yaml:"allowed"`
	// Known are all values of the platform that a policy may add.
	Known []string `yaml:"known"`
}

// Allows is true where the trigger is allowed by default.
func (t *Trigger) Allows(event string) bool { return slices.Contains(t.Allowed, event) }

// Tag says how a git tag is found in the claims.
type Tag struct {
	// Claim holds the tag after Prefix.
	Claim  string `yaml:"claim"`
	Prefix string `yaml:"prefix"`
	// Where are claims that must have these values beside.
	Where map[string]string `yaml:"where"`
	// Chosen is true where whoever starts a run may name any tag, an absent one included. It is shown, and proves
	// nothing: a policy cannot ask for it.
	Chosen bool `yaml:"chosen"`
}

// Field finds a publisher field by its name.
func (p *Provider) Field(name string) (*Field, bool) {
	f, ok := p.fields[name]
	return f, ok
}

// StableClaim is the name of the claim that is the stable id of a subject; empty where the platform has none.
func (p *Provider) StableClaim(of Subject) string {
	for _, f := range p.Fields {
		if f.Stable == of {
			return f.Claim
		}
	}
	return ""
}

// Pinned is true where the platform has a stable id at all, so that a policy can be asked for one.
func (p *Provider) Pinned() bool {
	return p.StableClaim(Repository) != "" || p.StableClaim(Owner) != ""
}
