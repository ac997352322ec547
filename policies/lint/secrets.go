package lint

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/trustpub/trustpub/policies"
)

// secretKind is a kind of secret that is known by its looks.
type secretKind struct {
	what string
	// mark is a text that every secret of the kind holds: a file without it need not be searched.
	mark    string
	pattern *regexp.Regexp
}

// secretKinds come from the vendors' documentation of their tokens' forms.
var secretKinds = []secretKind{
	{"a GitHub token", "gh", regexp.MustCompile(`\bgh[pousr]_[A-Za-z0-9]{20,}`)},
	{"a GitHub token", "github_pat_", regexp.MustCompile(`\bgithub_pat_[A-Za-z0-9_]{20,}`)},
	{"a GitLab token", "gl", regexp.MustCompile(`\bgl(?:pat|dt|cbt|rt|ptt|soat|ft|oas)-[A-Za-z0-9_.-]{16,}`)},
	{"a token of a Python index", "pypi-", regexp.MustCompile(`\bpypi-[A-Za-z0-9_-]{40,}`)},
	{"an npm token", "npm_", regexp.MustCompile(`\bnpm_[A-Za-z0-9]{30,}`)},
	{"a RubyGems key", "rubygems_", regexp.MustCompile(`\brubygems_[0-9a-f]{32,}`)},
	{"an Artifactory token", "cmVmdGtu", regexp.MustCompile(`\bcmVmdGtu[A-Za-z0-9]{40,}`)},
	{"an Artifactory key", "AKCp", regexp.MustCompile(`\bAKCp[A-Za-z0-9]{50,}`)},
	{"a Docker token", "dckr_pat_", regexp.MustCompile(`\bdckr_pat_[A-Za-z0-9_-]{20,}`)},
	{"an AWS key", "IA", regexp.MustCompile(`\bA(?:KIA|SIA)[A-Z0-9]{16}\b`)},
	{"a Vault token", "hv", regexp.MustCompile(`\bhv[sb]\.[A-Za-z0-9_-]{24,}`)},
	{"a Slack token", "xox", regexp.MustCompile(`\bxox[abeoprs]-[A-Za-z0-9-]{10,}`)},
	{"a publish token", "tpub_", regexp.MustCompile(`\btpub_[A-Za-z0-9_.-]{8,}`)},
	{"an identity token (JWT)", "eyJ", regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?`)},
	{"a private key", "PRIVATE KEY", regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)`)},
	{"a password in a URL", "://", regexp.MustCompile(`\b[a-z][a-z0-9+.-]*://[^\s/@:"']*:[^\s/@"']+@`)},
}

// secrets searches whole files, comments included and broken ones too.
func secrets(p *pass) {
	for name, f := range p.files {
		for _, kind := range secretKinds {
			if !strings.Contains(f.text, kind.mark) {
				continue
			}
			for _, at := range kind.pattern.FindAllStringIndex(f.text, -1) {
				start := strings.LastIndexByte(f.text[:at[0]], '\n') + 1
				place := policies.Position{
					Line: 1 + strings.Count(f.text[:start], "\n"), Column: 1 + utf8.RuneCountInString(f.text[start:at[0]]),
				}
				p.add(name, place, "", "this looks like "+kind.what, "")
				first, _, _ := strings.Cut(f.text[at[0]:at[1]], "\n")
				p.findings[len(p.findings)-1].EndColumn = place.Column + utf8.RuneCountInString(first)
			}
		}
	}
}

// redact replaces secrets in a text that is shown.
func redact(s string) string {
	return replaceSecrets(s, func(string) string { return "***" })
}

// strikeOut replaces secrets by as many stars, so that what stands behind keeps its line and column.
func strikeOut(s string) string {
	star := func(r rune) rune {
		if r == '\n' {
			return r
		}
		return '*'
	}
	return replaceSecrets(s, func(secret string) string { return strings.Map(star, secret) })
}

func replaceSecrets(s string, by func(string) string) string {
	for _, kind := range secretKinds {
		if strings.Contains(s, kind.mark) {
			s = kind.pattern.ReplaceAllStringFunc(s, by)
		}
	}
	return s
}
