package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// naming is how one ecosystem spells names and versions: two spellings that a registry takes for the same thing give the
// same string, and a spelling that no registry of the ecosystem should accept gives an error.
type naming struct {
	name, version func(string) (string, error)
	// fold gives the same for all canonical names that some registry of the ecosystem takes for one; nil: they are as they are.
	fold func(string) string
	// rivals are the other packages to which a file of the target's name could belong; nil: a file's name belongs to one package.
	rivals func(Target) []string
	// actions are those that some operation of the ecosystem asks for.
	actions []Action
	// release is the unit of replay within a registry; nil: package and version.
	release func(Target) string
}

// namings has one line for each ecosystem whose names policies and registries share.
var namings = map[string]naming{
	"cargo": {
		name: cargoName, fold: dashFold, version: semanticVersion,
		actions: []Action{ActionRead, ActionPublish, ActionYank},
	},
	// Paths differ in case, and yet some registries keep their packages without it (Gitea).
	"generic": {
		name: genericName, fold: strings.ToLower, version: genericVersion,
		actions: []Action{ActionRead, ActionPublish, ActionOverwrite, ActionDelete},
	},
	"hex": {name: hexName, version: semanticVersion, actions: []Action{ActionRead, ActionPublish, ActionOverwrite, ActionYank, ActionDelete}},
	"maven": {
		name: mavenName, fold: strings.ToLower, version: mavenVersion,
		actions: []Action{ActionRead, ActionPublish, ActionOverwrite}, release: mavenRelease,
	},
	"npm":   {name: npmName, version: semanticVersion, actions: []Action{ActionRead, ActionPublish, ActionYank, ActionDelete, ActionTag}},
	"nuget": {name: nugetName, version: nugetVersion, actions: []Action{ActionRead, ActionPublish, ActionDelete}},
	"oci":   {name: ociName, version: ociTag, actions: []Action{ActionRead, ActionPublish, ActionOverwrite, ActionDelete}, release: ociRelease},
	"rubygems": {
		name: rubygemsName, fold: dashFold, rivals: gemRivals, version: rubygemsVersion,
		actions: []Action{ActionRead, ActionPublish, ActionYank},
	},
	"pypi": {name: pypiName, version: pypiVersion, actions: []Action{ActionRead, ActionPublish}},
}

// Ecosystems lists those whose names have rules, in the order of the alphabet.
func Ecosystems() []string { return slices.Sorted(maps.Keys(namings)) }

// NormalizeName gives the one spelling by which an ecosystem knows a package.
func NormalizeName(ecosystem, name string) (string, error) {
	n, ok := namings[ecosystem]
	if !ok {
		return "", fmt.Errorf("ecosystem is %q, which has no rules for names", ecosystem)
	}
	return n.name(name)
}

// FoldName gives the loosest spelling of a canonical name: what two names share that some registry of the ecosystem takes for
// one. It is false where every registry tells canonical names apart.
func FoldName(ecosystem, canonical string) (folded string, folds bool) {
	if n := namings[ecosystem]; n.fold != nil {
		return n.fold(canonical), true
	}
	return canonical, false
}

// Rivals are the canonical names of other packages of the ecosystem to which a file of the target's name could belong as well, for
// registries that keep files by their names alone.
func Rivals(target Target) []string {
	if n := namings[target.Ecosystem]; n.rivals != nil && target.File != "" {
		return n.rivals(target)
	}
	return nil
}

// NormalizeVersion gives the one spelling of all versions that an ecosystem takes for equal.
func NormalizeVersion(ecosystem, version string) (string, error) {
	n, ok := namings[ecosystem]
	if !ok {
		return "", fmt.Errorf("ecosystem is %q, which has no rules for versions", ecosystem)
	}
	return n.version(version)
}

// EcosystemActions are the actions that operations of an ecosystem ask for, in the order of Actions; none for one without rules.
func EcosystemActions(ecosystem string) []Action { return slices.Clone(namings[ecosystem].actions) }

// shown quotes a value for an error, cut where a hostile one is long.
func shown(s string) string {
	const limit = 80
	if len(s) > limit {
		return fmt.Sprintf("%q...", s[:limit])
	}
	return fmt.Sprintf("%q", s)
}
