package model

import (
	"fmt"
	"regexp"
)

const (
	// maxNPMName is the longest name that npm takes, in bytes; maxSemver the longest version.
	maxNPMName = 214
	maxSemver  = 256
)

// npmGrammar is what npm takes for the name of a new package. Capital letters, which very old packages have, are refused: some
// registries fold them, and none takes a new package that has some.
var npmGrammar = regexp.MustCompile(`^(?:@[a-z0-9][a-z0-9._~-]*/)?[a-z0-9][a-z0-9._~-]*$`)

// npmName checks "name" or "@scope/name"; there is one spelling.
func npmName(s string) (string, error) {
	if len(s) > maxNPMName || !npmGrammar.MatchString(s) {
		return "", fmt.Errorf("package is %s, expected name or @scope/name in lower-case letters, digits, '.', '_', '~' and '-', at most %d bytes", shown(s), maxNPMName)
	}
	return s, nil
}

// semverGrammar is that of Semantic Versioning 2.0.0.
var semverGrammar = regexp.MustCompile(`^(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)` +
	`(?:-(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?` +
	`(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$`)

// semanticVersion checks a version of Semantic Versioning, which has one spelling.
func semanticVersion(s string) (string, error) {
	if len(s) > maxSemver || !semverGrammar.MatchString(s) {
		return "", fmt.Errorf("version is %s, expected a semantic version as in 1.2.3 or 1.2.3-beta.1", shown(s))
	}
	return s, nil
}
