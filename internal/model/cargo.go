package model

import (
	"fmt"
	"regexp"
	"strings"
)

// crateGrammar is what the public registry takes for the name of a crate.
var crateGrammar = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// cargoName checks the name of a crate and writes it in lower case, as the paths of every index do.
func cargoName(s string) (string, error) {
	if !crateGrammar.MatchString(s) {
		return "", fmt.Errorf("package is %s, expected a letter, then letters, digits, '-' and '_', at most 64", shown(s))
	}
	return strings.ToLower(s), nil
}

// dashFold writes a name as registries do that take '-' and '_' for the same, as the public ones of crates and of gems do.
func dashFold(s string) string { return strings.ReplaceAll(s, "_", "-") }
