package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/policies"
	"github.com/trustpub/trustpub/policies/format"
)

// ignoreMark is what a comment says that ignores a finding.
const ignoreMark = "trustpub:ignore"

var ignorePattern = regexp.MustCompile(`^#+\s*` + ignoreMark + `(?:\s+(\S+))?(?:\s+(.*))?$`)

// ignore is one such comment.
type ignore struct {
	file string
	at   policies.Position
	// line is the one whose findings it ignores.
	line         int
	code, reason string
	// problem says why it is not honoured; empty: it is.
	problem string
	used    bool
}

// ignores are all of them by file.
type ignores map[string][]*ignore

// ignores reads the comments of the files that mention the mark.
func (p *pass) ignores() ignores {
	all := ignores{}
	for name, f := range p.files {
		if !strings.Contains(f.text, ignoreMark) {
			continue
		}
		comments, err := format.Comments(f.text)
		if err != nil {
			continue // the file does not load, and the finding says so
		}
		own := map[int]bool{}
		for _, c := range comments {
			if c.Own {
				own[c.Line] = true
			}
		}
		for _, c := range comments {
			if one := parseIgnore(c); one != nil {
				one.file = name
				// A comment of its own is for the next line that holds something else.
				for own[one.line] || one.line > c.Line && strings.TrimSpace(f.line(one.line)) == "" && one.line <= len(f.lines) {
					one.line++
				}
				all[name] = append(all[name], one)
			}
		}
	}
	return all
}

// parseIgnore reads one comment; nil where it is another one.
func parseIgnore(c format.Comment) *ignore {
	if !strings.Contains(c.Text, ignoreMark) {
		return nil
	}
	one := &ignore{at: policies.Position{Line: c.Line, Column: c.Column}, line: c.Line}
	m := ignorePattern.FindStringSubmatch(c.Text)
	if m == nil {
		one.problem = fmt.Sprintf("the comment mentions %s and does not begin with it", ignoreMark)
		return one
	}
	one.code, one.reason = m[1], strings.TrimSpace(m[2])
	switch rule := ruleOf(one.code); {
	case one.code == "":
		one.problem = "no code is named"
	case rule == nil:
		one.problem = fmt.Sprintf("%q is no code of a rule", one.code)
	case rule.fixed:
		one.problem = fmt.Sprintf("%s cannot be ignored", one.code)
	case one.reason == "":
		one.problem = "no reason is given"
	}
	return one
}

// match finds the comment that ignores a finding.
func (i ignores) match(f *Finding) (reason string, ignored bool) {
	for _, one := range i[f.File] {
		if one.problem == "" && one.code == f.Code && one.line == f.Line {
			one.used = true
			reason, ignored = one.reason, true
		}
	}
	return redact(reason), ignored
}

// complain notes comments that are not honoured and those that ignore nothing. In a file that does not load nothing was looked for.
func (p *pass) complain(all ignores, broken map[string]bool) {
	for name, list := range all {
		for _, one := range list {
			switch {
			case one.problem != "":
				p.rule = ruleOf(codeIgnoreInvalid)
				p.add(name, one.at, "", one.problem, "")
			case !one.used && !broken[name]:
				p.rule = ruleOf(codeIgnoreUnused)
				p.add(name, one.at, "", fmt.Sprintf("no finding of %s is on line %d", one.code, one.line), "")
			}
		}
	}
}

// ruleOf finds a rule by its code; nil for an unknown one.
func ruleOf(code string) *Rule {
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.Code == code })
	if i < 0 {
		return nil
	}
	return &rules[i]
}
