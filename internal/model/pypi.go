package model

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

const (
	// maxPyPIName and maxPyPIVersion bound what is taken for a name and a version, in bytes.
	maxPyPIName    = 128
	maxPyPIVersion = 128
	// maxPyPIFile is the longest file name that file systems of registries take.
	maxPyPIFile = 255
)

// pypiName folds as PEP 503 says: lower case, and every run of '-', '_' and '.' is one '-'.
func pypiName(name string) (string, error) {
	if pypiFolded(name) {
		return name, nil
	}
	if name == "" || len(name) > maxPyPIName || !alphanumeric(name[0]) || !alphanumeric(name[len(name)-1]) || !only(name, "._-") {
		return "", fmt.Errorf("package name is %s, expected at most %d letters, digits, '.', '_' and '-', with a letter or digit at both ends", shown(name), maxPyPIName)
	}
	var b strings.Builder
	b.Grow(len(name))
	for i := range len(name) {
		switch c := name[i]; {
		case c == '-' || c == '_' || c == '.':
			if prev := name[i-1]; prev != '-' && prev != '_' && prev != '.' {
				b.WriteByte('-')
			}
		case c >= 'A' && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

// pypiFolded is true for a name that is folded already, as nearly all are.
func pypiFolded(name string) bool {
	if name == "" || len(name) > maxPyPIName || name[0] == '-' || name[len(name)-1] == '-' {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c != '-' || name[i-1] == '-') {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// only is true for a text of ASCII letters, digits and these signs.
func only(text, signs string) bool {
	for i := range len(text) {
		if c := text[i]; !alphanumeric(c) && strings.IndexByte(signs, c) < 0 {
			return false
		}
	}
	return true
}

// words is true for one or more of letters, digits and these signs each, with one of the marks between two.
func words(text, signs, marks string) bool {
	inWord := false
	for i := range len(text) {
		switch c := text[i]; {
		case alphanumeric(c) || strings.IndexByte(signs, c) >= 0:
			inWord = true
		case inWord && strings.IndexByte(marks, c) >= 0:
			inWord = false
		default:
			return false
		}
	}
	return inWord
}

// pypiVersionGrammar is that of PEP 440, appendix B, for lower case and without surrounding spaces.
var pypiVersionGrammar = regexp.MustCompile(`^v?(?:([0-9]+)!)?([0-9]+(?:\.[0-9]+)*)` +
	`(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?([0-9]*))?` +
	`(?:-([0-9]+)|[-_.]?(post|rev|r)[-_.]?([0-9]*))?` +
	`(?:[-_.]?(dev)[-_.]?([0-9]*))?` +
	`(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?$`)

// The groups of pypiVersionGrammar.
const (
	groupEpoch = iota + 1
	groupRelease
	groupPre
	groupPreNumber
	groupImplicitPost
	groupPost
	groupPostNumber
	groupDev
	groupDevNumber
	groupLocal
)

var pypiPreNames = map[string]string{
	"alpha": "a", "a": "a", "beta": "b", "b": "b", "preview": "rc", "pre": "rc", "c": "rc", "rc": "rc",
}

// pypiVersion gives equal versions of PEP 440 one spelling, that of packaging.utils.canonicalize_version: 1.0, v1 and 1.0.0
// are all "1".
func pypiVersion(version string) (string, error) {
	refuse := func() (string, error) {
		return "", fmt.Errorf("version is %s, expected one of PEP 440 such as 1.2.3 or 1.2rc1", shown(version))
	}
	if version == "" || len(version) > maxPyPIVersion {
		return refuse()
	}
	if release, ok := plainRelease(version); ok {
		return release, nil
	}
	for i := range len(version) {
		if version[i] <= ' ' || version[i] > '~' {
			return refuse() // before the case is folded: a few other letters fold into ASCII
		}
	}
	g := pypiVersionGrammar.FindStringSubmatch(strings.ToLower(version))
	if g == nil {
		return refuse()
	}
	var b strings.Builder
	if epoch := pypiNumber(g[groupEpoch]); epoch != "0" {
		b.WriteString(epoch + "!")
	}
	release := strings.Split(g[groupRelease], ".")
	for i := range release {
		release[i] = pypiNumber(release[i])
	}
	for len(release) > 1 && release[len(release)-1] == "0" {
		release = release[:len(release)-1]
	}
	b.WriteString(strings.Join(release, "."))
	if g[groupPre] != "" {
		b.WriteString(pypiPreNames[g[groupPre]] + pypiNumber(g[groupPreNumber]))
	}
	switch {
	case g[groupImplicitPost] != "":
		b.WriteString(".post" + pypiNumber(g[groupImplicitPost]))
	case g[groupPost] != "":
		b.WriteString(".post" + pypiNumber(g[groupPostNumber]))
	}
	if g[groupDev] != "" {
		b.WriteString(".dev" + pypiNumber(g[groupDevNumber]))
	}
	if g[groupLocal] != "" {
		b.WriteString("+" + pypiLocal(g[groupLocal]))
	}
	return b.String(), nil
}

// plainRelease is the canonical form of a version of nothing but numbers and dots, as nearly all are: the grammar costs more than the rest
// of a small upload. ok is false for all others, and for numbers that begin with a zero.
func plainRelease(version string) (canonical string, ok bool) {
	for i := range len(version) {
		c, first := version[i], i == 0 || version[i-1] == '.'
		last := i == len(version)-1 || version[i+1] == '.'
		if c == '.' && (first || i == len(version)-1) || c != '.' && (c < '0' || c > '9') || c == '0' && first && !last {
			return "", false
		}
	}
	for strings.HasSuffix(version, ".0") {
		version = version[:len(version)-2]
	}
	return version, version != ""
}

// pypiNumber drops leading zeros; no number at all is zero. Numbers stay text, so that none is too large.
func pypiNumber(s string) string {
	if s = strings.TrimLeft(s, "0"); s == "" {
		return "0"
	}
	return s
}

func pypiLocal(s string) string {
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	for i, p := range parts {
		if strings.Trim(p, "0123456789") == "" {
			parts[i] = pypiNumber(p)
		}
	}
	return strings.Join(parts, ".")
}

// The types of file that are published, by the words of the upload's filetype field.
const (
	PyPIWheel = "bdist_wheel"
	PyPISdist = "sdist"
)

// PyPIFile is what the name of a wheel or source distribution says.
type PyPIFile struct {
	// Type is PyPIWheel or PyPISdist.
	Type string
	// Package and Version are in canonical form.
	Package, Version string
	// Python are the wheel's interpreter tags, as in "py2.py3"; empty for a source distribution.
	Python string
}

var (
	sdistName    = regexp.MustCompile(`^[A-Za-z0-9]+(?:[._]+[A-Za-z0-9]+)*$`)
	sdistOldName = regexp.MustCompile(`^[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*$`)
	// misreadName is a hyphen in a name after which some registries already look for the version, or for a Python tag.
	misreadName = regexp.MustCompile(`(?i)-(?:[0-9]|py[0-9])`)
)

// ParsePyPIFile reads the name of a wheel (PEP 427) or a source distribution (PEP 625, and the older spellings with hyphens,
// capitals and dots). A name that two registries could cut into package and version at different places is refused:
// several of them know a file by nothing but its name.
func ParsePyPIFile(file string) (PyPIFile, error) {
	if len(file) > maxPyPIFile {
		return PyPIFile{}, fmt.Errorf("file name is %s, expected at most %d bytes", shown(file), maxPyPIFile)
	}
	parse, stem, ok := pypiFileKind(file)
	if !ok {
		return PyPIFile{}, fmt.Errorf("file name is %s, expected one that ends in .whl, .tar.gz or .zip", shown(file))
	}
	f, err := parse(stem)
	if err != nil {
		return PyPIFile{}, fmt.Errorf("file name is %s: %w", shown(file), err)
	}
	return f, nil
}

func pypiFileKind(file string) (parse func(string) (PyPIFile, error), stem string, ok bool) {
	if stem, ok = strings.CutSuffix(file, ".whl"); ok {
		return parseWheel, stem, true
	}
	for _, ext := range []string{".tar.gz", ".zip"} {
		if stem, ok = strings.CutSuffix(file, ext); ok {
			return parseSdist, stem, true
		}
	}
	return nil, "", false
}

func parseWheel(stem string) (PyPIFile, error) {
	var parts [6]string
	n := 0
	for part := range strings.SplitSeq(stem, "-") {
		if n < len(parts) {
			parts[n] = part
		}
		n++
	}
	if n != 5 && n != 6 {
		return PyPIFile{}, errors.New("expected NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM.whl")
	}
	if !words(parts[0], "", "._") {
		return PyPIFile{}, fmt.Errorf("name is %q, expected letters, digits and single '_' or '.'", parts[0])
	}
	if n == 6 && !beginsWithDigit(parts[2], "_.") {
		return PyPIFile{}, fmt.Errorf("build tag is %q, expected one that begins with a digit", parts[2])
	}
	tags := parts[n-3 : n]
	for _, tag := range tags {
		if !words(tag, "_", ".") {
			return PyPIFile{}, fmt.Errorf("tag is %q, expected letters, digits, '_' and '.'", tag)
		}
	}
	return pypiFile(PyPIWheel, parts[0], parts[1], tags[0])
}

// beginsWithDigit is true for a digit, and after it letters, digits and these signs.
func beginsWithDigit(text, signs string) bool {
	return text != "" && text[0] >= '0' && text[0] <= '9' && only(text, signs)
}

func parseSdist(stem string) (PyPIFile, error) {
	cut := strings.LastIndexByte(stem, '-')
	if cut < 0 {
		return PyPIFile{}, errors.New("expected NAME-VERSION.tar.gz")
	}
	name := stem[:cut]
	if !sdistName.MatchString(name) && (!sdistOldName.MatchString(name) || misreadName.MatchString(name)) {
		return PyPIFile{}, fmt.Errorf("name is %q, expected the normalised name with '_' for '-', as in acme_widget-1.0.tar.gz", name)
	}
	return pypiFile(PyPISdist, name, stem[cut+1:], "")
}

func pypiFile(kind, name, version, python string) (PyPIFile, error) {
	pkg, err := pypiName(name)
	if err != nil {
		return PyPIFile{}, err
	}
	if !beginsWithDigit(version, "._+!") { // what every registry recognises as the start of a version
		return PyPIFile{}, fmt.Errorf("version is %q, expected one that begins with a digit", version)
	}
	canonical, err := pypiVersion(version)
	if err != nil {
		return PyPIFile{}, err
	}
	return PyPIFile{Type: kind, Package: pkg, Version: canonical, Python: python}, nil
}
