package npm

import (
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

const (
	exchangePath = "/-/npm/v1/oidc/token/exchange/package/"
	packagePath  = "/-/package/"
)

var (
	revision = regexp.MustCompile(`^/-rev/[0-9A-Za-z._-]{1,128}$`)
	tagName  = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z._-]{0,127}$`)
)

func isRevision(rest string) bool { return revision.MatchString(rest) }

// splitPackage takes the package off the front of an escaped path: "/name", "/@scope/name" or "/@scope%2fname", and what
// follows it.
func splitPackage(path string) (pkg, rest string, ok bool) {
	name, found := strings.CutPrefix(path, "/")
	if !found {
		return "", "", false
	}
	if strings.HasPrefix(name, "@") {
		at := strings.IndexAny(name, "/%")
		if at < 0 {
			return "", "", false
		}
		scope, after := name[:at], name[at:]
		if len(after) > 3 && strings.EqualFold(after[:3], "%2f") {
			after = after[3:]
		} else {
			after = after[1:]
		}
		last, _, _ := strings.Cut(after, "/")
		pkg, rest = scope+"/"+last, after[len(last):]
	} else {
		pkg, _, _ = strings.Cut(name, "/")
		rest = name[len(pkg):]
	}
	_, err := model.NormalizeName(Kind.Name, pkg)
	return pkg, rest, err == nil
}

// cutPackage takes the package that follows a prefix and ends the path.
func cutPackage(path, prefix string) (pkg string, ok bool) {
	rest, found := strings.CutPrefix(path, prefix)
	if !found {
		return "", false
	}
	pkg, rest, ok = splitPackage("/" + rest)
	return pkg, ok && rest == ""
}

// splitTag reads the path of a tag.
func splitTag(path string) (pkg, tag string, ok bool) {
	rest, found := strings.CutPrefix(path, packagePath)
	if !found {
		return "", "", false
	}
	pkg, rest, ok = splitPackage("/" + rest)
	tag, found = strings.CutPrefix(rest, "/dist-tags/")
	return pkg, tag, ok && found && tagName.MatchString(tag)
}

// versionOf takes the version out of the name of a file: name-version and the suffix, with or without the scope.
func versionOf(pkg, file, suffix string) (string, bool) {
	stem, ok := strings.CutSuffix(file, suffix)
	if !ok {
		return "", false
	}
	version, ok := strings.CutPrefix(stem, pkg+"-")
	if _, last, scoped := strings.Cut(pkg, "/"); !ok && scoped {
		version, ok = strings.CutPrefix(stem, last+"-")
	}
	if !ok {
		return "", false
	}
	_, err := model.NormalizeVersion(Kind.Name, version)
	return version, err == nil
}
