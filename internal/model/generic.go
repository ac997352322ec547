package model

import (
	"fmt"
	"regexp"
)

// maxGeneric bounds a name and a version, in bytes.
const maxGeneric = 200

// genericWord is one segment of a path as every server reads it: no separators, no escapes, no dot in front.
var genericWord = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+~@-]*$`)

// genericName checks the name of a package in a store of files, which is compared byte for byte.
func genericName(s string) (string, error) { return genericPart("package name", s) }

// genericVersion checks a version, which is compared byte for byte.
func genericVersion(s string) (string, error) { return genericPart("version", s) }

func genericPart(what, s string) (string, error) {
	if len(s) > maxGeneric || !genericWord.MatchString(s) {
		return "", fmt.Errorf("%s is %s, expected letters, digits, '.', '_', '+', '~', '@' and '-'", what, shown(s))
	}
	return s, nil
}
