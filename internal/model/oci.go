package model

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxRepository is the longest name of a repository, in bytes.
const maxRepository = 255

// repositoryGrammar and tagGrammar are those of the OCI distribution specification 1.1.
var (
	repositoryGrammar = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagGrammar        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

// ociWords stand in paths behind the name of a repository: with one of them inside a name, two servers could read one path in two
// ways.
var ociWords = []string{"manifests", "blobs", "uploads", "tags", "referrers"}

// ociName checks the name of a repository; there is one spelling.
func ociName(s string) (string, error) {
	if len(s) > maxRepository || !repositoryGrammar.MatchString(s) {
		return "", fmt.Errorf("package is %s, expected a repository as in acme/widget, in lower-case letters, digits and separators, at most %d bytes", shown(s), maxRepository)
	}
	for part := range strings.SplitSeq(s, "/") {
		if slices.Contains(ociWords, part) {
			return "", fmt.Errorf("package is %s, expected a repository without the part %q, which stands behind names in paths", shown(s), part)
		}
	}
	return s, nil
}

// ociTag checks a tag, which is the version of an image.
func ociTag(s string) (string, error) {
	if !tagGrammar.MatchString(s) {
		return "", fmt.Errorf("version is %s, expected a tag of letters, digits, '_', '.' and '-', at most 128", shown(s))
	}
	return s, nil
}

// ociRelease is the repository: its blobs have no tag. The colon, which no name has, keeps it from being the beginning of another.
func ociRelease(t Target) string { return t.Package + ":" }
