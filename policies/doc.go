// Package policies reads, compiles, watches and evaluates package policies: files that say which publisher may do which
// actions on which packages of which registry.
//
// Load reads files strictly: everything that could be misread is an error with file, line and column. A Set is the compiled,
// immutable result; its Evaluate costs the same with ten policies as with a hundred thousand. A Watcher keeps a Set up to
// date with the files and is what a gateway asks.
//
// The format is documented in docs/policies.md, with an example for every field.
package policies

import "github.com/trustpub/trustpub/internal/model"

// The words that policies share with the rest of the gateway, so that importers need no internal package.
type (
	// Identity is a verified identity token.
	Identity = model.Identity
	// Target is what one request acts on.
	Target = model.Target
	// Decision says whether an identity may act on a target, and why.
	Decision = model.Decision
	// Action is what a policy grants.
	Action = model.Action
	// Code is the stable code of a refusal.
	Code = model.Code
)

// The actions that a policy may grant.
const (
	ActionRead      = model.ActionRead
	ActionPublish   = model.ActionPublish
	ActionOverwrite = model.ActionOverwrite
	ActionYank      = model.ActionYank
	ActionDelete    = model.ActionDelete
	ActionTag       = model.ActionTag
)
