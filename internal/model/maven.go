package model

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// SnapshotSuffix ends the versions of Maven that may be published again and again.
const SnapshotSuffix = "-SNAPSHOT"

// maxMaven bounds a group, an artifact and a version, in bytes.
const maxMaven = 200

var (
	mavenGroup = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*$`)
	// What Maven's own model validator takes for an id, without a dot in front, which would make a path of another form.
	mavenArtifact = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	mavenVersions = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]*$`)
)

// mavenName checks "group:artifact". Maven compares both byte for byte, so there is one spelling.
func mavenName(s string) (string, error) {
	group, artifact, ok := strings.Cut(s, ":")
	switch {
	case !ok:
		return "", fmt.Errorf("package is %s, expected group:artifact, as in com.example:widget", shown(s))
	case len(group) > maxMaven || !mavenGroup.MatchString(group):
		return "", fmt.Errorf("group is %s, expected letters, digits, '-' and '_', in parts between dots", shown(group))
	case len(artifact) > maxMaven || !mavenArtifact.MatchString(artifact):
		return "", fmt.Errorf("artifact is %s, expected letters, digits, '.', '-' and '_'", shown(artifact))
	case strings.HasSuffix(artifact, SnapshotSuffix):
		return "", errors.New("an artifact whose name ends in -SNAPSHOT can't be told from a version")
	}
	return s, nil
}

// mavenVersion checks a version. Versions that Maven orders as equal (1.0 and 1.0.0) are two directories and two releases, so
// they are compared as they are written.
func mavenVersion(s string) (string, error) {
	if len(s) > maxMaven || !mavenVersions.MatchString(s) || strings.HasSuffix(s, ".") {
		return "", fmt.Errorf("version is %s, expected letters, digits, '.', '-', '_' and '+'", shown(s))
	}
	return s, nil
}

// mavenRelease is the unit of replay: the modules of one build share group and version.
func mavenRelease(t Target) string {
	group, _, _ := strings.Cut(t.Package, ":")
	return group + "/" + t.Version
}
