package npm

import (
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/jsonstream"
	"github.com/trustpub/trustpub/internal/model"
)

// rule is what must stand at a place of a document, and what is wanted of it. A place is keys joined by slashes, with a star for
// a version, a tag and the name of an attachment.
type rule struct {
	place string
	kind  jsonstream.Kind
	mode  jsonstream.Mode
}

// rules are few, and looked through. What has no rule is checked to be JSON and says nothing about what is published.
type rules []rule

// maxPlace is the depth of the deepest rule.
const maxPlace = 4

// open are the objects whose keys are names.
var open = map[string]bool{"versions": true, "dist-tags": true, "_attachments": true}

// place spells a path as rules have it; empty where no rule can be.
func place(path []string) string {
	if len(path) == 0 || len(path) > maxPlace {
		return ""
	}
	var b strings.Builder
	for i, key := range path {
		if i > 0 {
			b.WriteByte('/')
		}
		switch {
		case i == 1 && open[path[0]]:
			b.WriteByte('*')
		case strings.ContainsAny(key, "/*"):
			return ""
		default:
			b.WriteString(key)
		}
	}
	return b.String()
}

// is compares a path with a rule's place, without making a text of it: a document has as many values as it likes. folded is true where
// they are the same but for the case of letters.
func (r *rule) is(path []string) (same, folded bool) {
	if strings.Count(r.place, "/") != len(path)-1 {
		return false, false
	}
	rest, same := r.place, true
	for i, key := range path {
		segment, behind, _ := strings.Cut(rest, "/")
		rest = behind
		switch {
		case i == 1 && open[path[0]]:
			if segment != "*" {
				return false, false
			}
		case key == segment && segment != "*":
		case segment == "*" || !strings.EqualFold(key, segment):
			return false, false
		default:
			same = false
		}
	}
	return same, true
}

// prototype is a key that gives an object of JavaScript further keys once it is copied.
const prototype = "__proto__"

// find gives the place and the mode of a value; the place of one that no rule knows is empty. A key that some parsers take for a known one, since they don't look at case, is
// refused, as is a known key with a value of another kind.
func (r rules) find(path []string, kind jsonstream.Kind) (at string, mode jsonstream.Mode, err error) {
	if len(path) == 0 {
		if kind != jsonstream.Object {
			return "", jsonstream.Skip, model.Deny(model.CodeMalformedUpload).Differ("body", kind.String(), "an object")
		}
		return "", jsonstream.Skip, nil
	}
	if path[len(path)-1] == prototype {
		return "", jsonstream.Skip, model.Deny(model.CodeMalformedUpload).Differ("key", prototype, "none of that name")
	}
	if len(path) > maxPlace || slices.Contains(path, jsonstream.Element) {
		return "", jsonstream.Skip, nil // no rule is for what is in an array
	}
	for i := range r {
		one := &r[i]
		switch same, folded := one.is(path); {
		case !folded:
			continue
		case !same:
			return "", jsonstream.Skip, model.Deny(model.CodeMalformedUpload).Differ("key", brief(strings.Join(path, "/")), one.place)
		case kind != one.kind:
			return one.place, jsonstream.Skip, model.Deny(model.CodeMalformedUpload).Differ(brief(strings.Join(path, "/")), kind.String(), one.kind.String())
		}
		return one.place, one.mode, nil
	}
	return "", jsonstream.Skip, nil
}
