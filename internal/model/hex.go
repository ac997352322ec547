package model

import (
	"fmt"
	"regexp"
	"strings"
)

// maxHex bounds the name of a package of Hex and that of an organisation, in bytes.
const maxHex = 128

var (
	hexPackage      = regexp.MustCompile(`^[a-z][a-z0-9_]+$`)
	hexOrganization = regexp.MustCompile(`^[a-z0-9_][a-z0-9_.-]*$`)
)

// hexMain is the repository that every package without an organisation is in.
const hexMain = "hexpm"

// hexName checks the name of a package, "widget", or of one that an organisation has for itself, "acme/widget". Registries keep
// no name with a capital, and take hexpm/widget for widget.
func hexName(s string) (string, error) {
	organization, name, owned := strings.Cut(s, "/")
	if !owned {
		organization, name = hexMain, s
	}
	if len(name) > maxHex || !hexPackage.MatchString(name) {
		return "", fmt.Errorf("package is %s, expected lower case letters, digits and '_', a letter first, 2 to %d bytes, with the organisation and a slash before it where it has one", shown(s), maxHex)
	}
	if len(organization) > maxHex || !hexOrganization.MatchString(organization) {
		return "", fmt.Errorf("organisation in package %s: expected lower case letters, digits, '_', '-' and '.', at most %d bytes", shown(s), maxHex)
	}
	if organization == hexMain {
		return name, nil
	}
	return organization + "/" + name, nil
}

// HexFile is the name of a release's file, and HexDocs that of its documentation.
func HexFile(pkg, version string) string { return hexStem(pkg, version) + ".tar" }

// HexDocs is the name of the file with a release's documentation.
func HexDocs(pkg, version string) string { return hexStem(pkg, version) + "-docs.tar.gz" }

func hexStem(pkg, version string) string {
	return pkg[strings.LastIndexByte(pkg, '/')+1:] + "-" + version
}
