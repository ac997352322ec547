package lint

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/trustpub/trustpub/policies"
)

// pass is one run of all rules.
type pass struct {
	opts     Options
	files    map[string]*file
	policies []*policy
	// rule is the one that is being applied.
	rule     *Rule
	findings []Finding
}

// file is a text, cut into lines with its secrets struck out when a finding shows one.
type file struct {
	text  string
	lines []string
}

func newFile(text string) *file { return &file{text: text} }

// line is a line of the text without its line break, from 1; empty outside.
func (f *file) line(n int) string {
	if f == nil {
		return ""
	}
	if f.lines == nil {
		f.lines = strings.Split(strikeOut(f.text), "\n")
	}
	if n < 1 || n > len(f.lines) {
		return ""
	}
	return strings.TrimSuffix(f.lines[n-1], "\r")
}

// policy is a policy with what several rules ask for.
type policy struct {
	*policies.Policy

	fields []policies.Field
	grants []policies.Grant
}

func newPolicy(p *policies.Policy) *policy {
	return &policy{Policy: p, fields: p.Fields(), grants: p.Grants()}
}

// may says what the policy lets its publisher do. Publishing says it for all that comes with it.
func (p *policy) may() string {
	list := p.Actions()
	if slices.Contains(list, policies.ActionPublish) {
		return string(policies.ActionPublish)
	}
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = string(a)
	}
	if last := len(words) - 1; last > 0 {
		return strings.Join(words[:last], ", ") + " and " + words[last]
	}
	return strings.Join(words, "")
}

// onlyReads is true where the policy lets its publisher change nothing.
func (p *policy) onlyReads() bool {
	return slices.Equal(p.Actions(), []policies.Action{policies.ActionRead})
}

// field finds a field of the publisher by its name.
func (p *policy) field(name string) *policies.Field {
	for i := range p.fields {
		if p.fields[i].Name == name {
			return &p.fields[i]
		}
	}
	return nil
}

// each makes a rule of a look at one policy.
func each(look func(*pass, *policy)) func(*pass) {
	return func(p *pass) {
		for _, one := range p.policies {
			look(p, one)
		}
	}
}

// report notes a finding of the current rule in a policy.
func (p *pass) report(in *policy, at policies.Position, help, format string, args ...any) {
	if at.Line == 0 {
		at = in.At("")
	}
	p.add(in.File, at, in.Name, fmt.Sprintf(format, args...), help)
}

// add notes a finding of the current rule.
func (p *pass) add(name string, at policies.Position, policy, message, help string) {
	source := p.files[name].line(at.Line)
	f := Finding{
		Code: p.rule.Code, Severity: p.rule.Severity, File: name, Line: at.Line, Column: at.Column, Policy: redact(policy),
		Message: redact(message), Help: help, Source: source,
	}
	if f.Help == "" {
		f.Help = p.rule.Fix
	}
	if f.Line > 0 {
		f.EndColumn = end(source, at.Column)
	}
	p.findings = append(p.findings, f)
}

// end is the column behind the value that begins at a column of a line.
func end(line string, column int) int {
	runes := []rune(line)
	if column < 1 || column > len(runes) {
		return column + 1
	}
	rest := runes[column-1:]
	if q := rest[0]; q == '"' || q == '\'' {
		for i := 1; i < len(rest); i++ {
			switch {
			case rest[i] == '\\' && q == '"':
				i++
			case rest[i] == q:
				return column + i + 1
			}
		}
		return column + len(rest)
	}
	text := string(rest)
	if cut := strings.Index(text, " #"); cut >= 0 {
		text = text[:cut]
	}
	if strings.ContainsAny(string(runes[:column-1]), "[{") {
		if cut := strings.IndexAny(text, ",]}"); cut > 0 {
			text = text[:cut]
		}
	}
	return column + max(utf8.RuneCountInString(strings.TrimRight(text, " \t")), 1)
}

// quoted shows a list of values.
func quoted(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(out, " or ")
}
