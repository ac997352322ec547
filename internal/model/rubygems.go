package model

import (
	"fmt"
	"regexp"
	"strings"
)

// maxGem bounds the name of a gem, its version and its platform, in bytes: file names of registries hold all three.
const maxGem = 128

var (
	gemName     = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]*$`)
	gemLetter   = regexp.MustCompile(`[A-Za-z]`)
	gemNumbers  = regexp.MustCompile(`^[0-9]+(?:\.[0-9A-Za-z]+)*$`)
	gemPlatform = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z_]*(?:[-.][0-9A-Za-z_]+)*$`)
)

// rubygemsName checks the name of a gem and folds its case: some registries take Widget and widget for one gem, and none should
// hold both.
func rubygemsName(s string) (string, error) {
	if len(s) > maxGem || !gemName.MatchString(s) || !gemLetter.MatchString(s) {
		return "", fmt.Errorf("package is %s, expected letters, digits, '.', '-' and '_' with a letter among them, the first a letter or digit, at most %d bytes", shown(s), maxGem)
	}
	return strings.ToLower(s), nil
}

// rubygemsVersion checks a version as gems are built with it; "-" is an input of Gem::Version that no built gem has. Gem takes 1.0
// and 1.0.0 for equal, and yet they are two files, so a version stays as it is.
func rubygemsVersion(s string) (string, error) {
	if len(s) > maxGem || !gemNumbers.MatchString(s) {
		return "", fmt.Errorf("version is %s, expected numbers and words with dots between, a number first, as in 1.2.3 or 1.2.3.rc1", shown(s))
	}
	return s, nil
}

// GemFile is the name of a gem's file, whose platform is empty or "ruby" where it runs anywhere.
func GemFile(name, version, platform string) (string, error) {
	stem := name + "-" + version
	switch {
	case platform == "" || platform == "ruby":
	case len(platform) > maxGem || !gemPlatform.MatchString(platform):
		return "", fmt.Errorf("platform is %s, expected ruby, java, x86_64-linux or alike", shown(platform))
	default:
		stem += "-" + platform
	}
	return stem + gemEnd, nil
}

const gemEnd = ".gem"

// gemRivals are the gems whose file could have the target's name: foo-1-a-2.gem is version 1 of foo for the platform a-2, and version 2 of
// foo-1-a.
func gemRivals(target Target) (rivals []string) {
	stem := strings.TrimSuffix(target.File, gemEnd)
	for i := range len(stem) {
		if stem[i] != '-' {
			continue
		}
		version, platform, built := strings.Cut(stem[i+1:], "-")
		if !gemNumbers.MatchString(version) || built && !gemPlatform.MatchString(platform) {
			continue
		}
		if name, err := rubygemsName(stem[:i]); err == nil && name != target.Package {
			rivals = append(rivals, name)
		}
	}
	return rivals
}
