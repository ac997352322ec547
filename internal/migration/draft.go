package migration

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
)

// Pair is a publisher's field and its value.
type Pair struct{ Field, Value string }

// Draft is a policy that is not written yet. Fields without a value are left out of the file.
type Draft struct {
	// Comments stand above the policy, one a line.
	Comments []string
	Name     string
	// Registries and Packages are what is granted, Actions what may be done; no action means publish.
	Registries, Packages []string
	Actions              []model.Action
	// Issuer is the configured name of the issuer, Provider the kind of CI behind it.
	Issuer, Provider string
	// Publisher are the typed fields; Claims are compared by their own names, where the provider allows that.
	Publisher, Claims []Pair
	Events            []string
	Tag               string
	// Shared policies do not claim their packages: passwords go on working in mode claimed.
	Shared bool
	// Unpinned policies do without a stable id, AnyPackage ones cover every package.
	Unpinned, AnyPackage bool
}

// File is a policy file that is not written yet.
type File struct {
	// Name is the file's base name.
	Name string
	// Comments stand at the top, one a line.
	Comments []string
	Drafts   []Draft
}

// Text is the file as YAML.
func (f *File) Text() string {
	var b strings.Builder
	comments(&b, "", f.Comments)
	b.WriteString("policies:\n")
	for i := range f.Drafts {
		f.Drafts[i].write(&b)
	}
	return b.String()
}

func comments(b *strings.Builder, indent string, lines []string) {
	for _, line := range lines {
		b.WriteString(indent + strings.TrimRight("# "+model.OneLine(line, 400), " ") + "\n")
	}
}

func (d *Draft) write(b *strings.Builder) {
	comments(b, "  ", d.Comments)
	fmt.Fprintf(b, "  - name: %s\n", scalar(d.Name))
	line := func(field, value string) {
		if value != "" {
			fmt.Fprintf(b, "    %s: %s\n", field, value)
		}
	}
	if len(d.Registries) == 1 {
		line("registry", scalar(d.Registries[0]))
	} else {
		line("registry", flow(d.Registries))
	}
	line("packages", flow(d.Packages))
	if len(d.Actions) > 0 && !slices.Equal(d.Actions, []model.Action{model.ActionPublish}) {
		line("actions", flow(d.Actions))
	}
	if d.Issuer != "" {
		line("issuer", scalar(d.Issuer))
	}
	fmt.Fprintf(b, "    publisher:\n      %s:\n", d.Provider)
	for _, p := range d.Publisher {
		fmt.Fprintf(b, "        %s: %s\n", p.Field, d.value(p))
	}
	if len(d.Claims) > 0 {
		b.WriteString("        claims:\n")
	}
	for _, p := range d.Claims {
		fmt.Fprintf(b, "          %s: %s\n", scalar(p.Field), quoted(p.Value))
	}
	if len(d.Events) > 0 {
		line("events", flow(d.Events))
	}
	if d.Tag != "" {
		line("tag", quoted(d.Tag))
	}
	for _, flag := range []struct {
		field string
		set   bool
		value string
	}{{"exclusive", d.Shared, "false"}, {"allow_unpinned", d.Unpinned, "true"}, {"allow_any_package", d.AnyPackage, "true"}} {
		if flag.set {
			line(flag.field, flag.value)
		}
	}
}

// value quotes what the loader wants quoted: ids and booleans.
func (d *Draft) value(p Pair) string {
	prov, _ := provider.Get(d.Provider)
	if prov != nil {
		if f, ok := prov.Field(p.Field); ok && f.Stable != "" {
			return quoted(p.Value)
		}
	}
	return scalar(p.Value)
}

// plain is what YAML reads as this very text, whatever its version: it begins with a letter and holds nothing special.
var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./@+-]*$`)

// words are plain texts that some reader takes for something else.
var words = []string{"true", "false", "yes", "no", "on", "off", "null", "y", "n"}

// scalar writes a text as a YAML scalar, plain where that is safe.
func scalar(s string) string {
	if plain.MatchString(s) && !slices.Contains(words, strings.ToLower(s)) {
		return s
	}
	return quoted(s)
}

// quoted writes a text as a double-quoted YAML scalar. Everything but printable ASCII is escaped, so that nothing a token
// says can look like something else, end the line or begin a comment.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r > 0x7e && r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// flow writes a list on one line.
func flow[T ~string](list []T) string {
	items := make([]string, len(list))
	for i, one := range list {
		items[i] = scalar(string(one))
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// slug makes a word for a policy's or a file's name out of a repository's.
func slug(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			b.WriteRune(r)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	const longest = 96
	text := strings.Trim(b.String(), "-._")
	if len(text) > longest {
		text = strings.TrimRight(text[:longest], "-._")
	}
	if text == "" {
		return "unnamed"
	}
	return text
}

// fileName is a file's name for a repository, which must not look like that of a test of policies.
func (n namer) fileName(repository string) string {
	name := slug(repository)
	if policies.IsTestFile(name + ".yaml") {
		name += "-policy"
	}
	return n.take(name) + ".yaml"
}

// namer gives names that are not taken.
type namer map[string]bool

func (n namer) take(want string) string {
	name := want
	for i := 2; n[name]; i++ {
		name = fmt.Sprintf("%s-%d", want, i)
	}
	n[name] = true
	return name
}
