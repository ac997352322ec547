package policies

import (
	"fmt"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
)

// Policy is one compiled policy. It is immutable and shared by all requests.
type Policy struct {
	// Name is the policy's own name; File and Line say where it is written.
	Name string
	File string
	Line int

	provider  *provider.Provider
	issuer    Issuer
	matches   []match
	grants    []grant
	actions   actionSet
	events    []string
	tag       *tagPattern
	when      *condition
	exclusive bool
	// notBefore and notAfter bound the time in which the policy grants: from the first on, and until just before the second.
	// Either may be zero.
	notBefore, notAfter time.Time
	newPackages         newPackages

	// What only tools ask for.
	unpinned, anyPackage bool
	packageKinds         []packageKind
	marks                []mark
	number, column       int
}

// newPackages says whether the policy grants the first publish of a package that it does not name exactly.
type newPackages struct {
	allowed bool
	// until is the end of the permission; zero: it does not end.
	until time.Time
}

// actionSet is a set of actions.
type actionSet uint8

func (s actionSet) has(a model.Action) bool { return s&actionBit(a) != 0 }

// actionBit is an action's bit; zero for a word that is no action.
func actionBit(a model.Action) actionSet {
	for i, known := range model.Actions() {
		if a == known {
			return 1 << i
		}
	}
	return 0
}

// allows is true where the set grants an action: whoever may publish a package may also read it.
func (s actionSet) allows(a model.Action) bool {
	return s.has(a) || a == model.ActionRead && s.has(model.ActionPublish)
}

func (s actionSet) String() string {
	var words []string
	for _, a := range model.Actions() {
		if s.has(a) {
			words = append(words, string(a))
		}
	}
	return oneOf(words)
}

// oneOf shows a list of accepted values.
func oneOf(list []string) string {
	const shown = 8
	switch {
	case len(list) == 0:
		return "nothing"
	case len(list) == 1:
		return list[0]
	case len(list) > shown:
		return fmt.Sprintf("one of %s and %d more", strings.Join(list[:shown], ", "), len(list)-shown)
	}
	return "one of " + strings.Join(list, ", ")
}
