package model

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

const (
	// maxNuGetID is the longest id that NuGet takes, in bytes; maxNuGetVersion the longest version.
	maxNuGetID      = 100
	maxNuGetVersion = 64
)

var (
	nugetID      = regexp.MustCompile(`^[0-9A-Za-z_]+(?:[.-][0-9A-Za-z_]+)*$`)
	nugetNumbers = regexp.MustCompile(`^[0-9]{1,10}(?:\.[0-9]{1,10}){0,3}$`)
	nugetLabels  = regexp.MustCompile(`^[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*$`)
)

// nugetName folds the case of an id, as all of NuGet does.
func nugetName(s string) (string, error) {
	if len(s) > maxNuGetID || !nugetID.MatchString(s) {
		return "", fmt.Errorf("package is %s, expected letters, digits and '_', with single '.' and '-' between, at most %d bytes", shown(s), maxNuGetID)
	}
	return strings.ToLower(s), nil
}

// nugetVersion gives NuGet's normalised version in lower case: three numbers and a fourth that is not 0, without leading zeros
// and without the build metadata.
func nugetVersion(s string) (string, error) {
	rest, metadata, built := strings.Cut(s, "+")
	numbers, label, labelled := strings.Cut(rest, "-")
	if len(s) > maxNuGetVersion || !nugetNumbers.MatchString(numbers) || labelled && !nugetLabels.MatchString(label) || built && !nugetLabels.MatchString(metadata) {
		return "", fmt.Errorf("version is %s, expected one as in 1.2.3, 1.2.3.4 or 1.2.3-beta.1, at most %d bytes", shown(s), maxNuGetVersion)
	}
	var parts []string
	for part := range strings.SplitSeq(numbers, ".") {
		n, err := strconv.ParseInt(part, 10, 32)
		if err != nil {
			return "", fmt.Errorf("version is %s, expected numbers of 32 bits", shown(s))
		}
		parts = append(parts, strconv.FormatInt(n, 10))
	}
	for len(parts) < 3 {
		parts = append(parts, "0")
	}
	if len(parts) == 4 && parts[3] == "0" {
		parts = parts[:3]
	}
	normal := strings.Join(parts, ".")
	if labelled {
		normal += "-" + strings.ToLower(label)
	}
	return normal, nil
}
