// Package lint finds what is wrong with policies that load: shapes by which packages were taken over elsewhere, policies that
// never act, and names that are not what they seem. Each rule has a stable code, a severity and the incident or reason behind
// it; docs/lint.md is written from the rules.
//
// A finding is ignored by a comment on its line or above it, with a reason: # trustpub:ignore CODE reason.
package lint

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/policies"
)

// Severity says how bad a finding is.
type Severity string

// The severities, the worst first.
const (
	// Error: somebody who should not can publish, or the policy can never act.
	Error Severity = "error"
	// Warning: more people or runs than meant can probably publish.
	Warning Severity = "warning"
	// Note: worth a look.
	Note Severity = "note"
)

// Severities lists them, the worst first.
func Severities() []Severity { return []Severity{Error, Warning, Note} }

// AtLeast is true where a severity is as bad as another, or worse.
func (s Severity) AtLeast(other Severity) bool {
	return slices.Index(Severities(), s) <= slices.Index(Severities(), other)
}

// Finding is one thing that a rule found, and where.
type Finding struct {
	// Code and Severity are those of the rule.
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	// File is the path as it was found. Line and Column start at 1 and count characters; EndColumn is the one behind. All
	// are 0 where the whole file is meant.
	File      string `json:"file"`
	Line      int    `json:"line,omitempty"`
	Column    int    `json:"column,omitempty"`
	EndColumn int    `json:"end_column,omitempty"`
	// Policy is the policy's name; empty where none is meant.
	Policy string `json:"policy,omitempty"`
	// Message says what was found, Help what to do. Neither ever holds a secret.
	Message string `json:"message"`
	Help    string `json:"help,omitempty"`
	// Source is the line of the file, with secrets struck out.
	Source string `json:"source,omitempty"`
	// Reason is why it is ignored; empty where it is not.
	Reason string `json:"reason,omitempty"`
}

// Report is what a run found.
type Report struct {
	// Findings are in the order of files and lines; Ignored are those that a comment ignores.
	Findings []Finding `json:"findings"`
	Ignored  []Finding `json:"ignored"`
	// Files and Policies count what was read.
	Files    int `json:"files"`
	Policies int `json:"policies"`
}

// Count is the number of findings of a severity.
func (r *Report) Count(s Severity) int {
	n := 0
	for i := range r.Findings {
		if r.Findings[i].Severity == s {
			n++
		}
	}
	return n
}

// Fails is true where a finding is at least that severe.
func (r *Report) Fails(on Severity) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity.AtLeast(on) })
}

// Options say what the gateway has. The zero value knows nothing: every registry and issuer is taken to exist.
type Options struct {
	// Registries maps the gateway's registries to their ecosystems; nil: any registry exists, of the ecosystem pypi.
	Registries map[string]string
	// Issuers are the gateway's issuers; nil: any issuer exists.
	Issuers []policies.Issuer
	// Now is the clock by which policies expire; nil: time.Now.
	Now func() time.Time
}

// defaultEcosystem is that of registries that the options do not name.
const defaultEcosystem = "pypi"

// Run reads policy files (files, directories and globs, as policies.Load does) and applies every rule. What does not load is a
// finding; the rest is looked at all the same.
func Run(paths []string, opts Options) *Report {
	files, err := policies.Files(paths)
	texts := make(map[string]string, len(files))
	problems := asErrors(err)
	for _, path := range files {
		text, err := read(path)
		if err != nil {
			problems = append(problems, policies.Error{File: path, Message: "cannot be read: " + err.Error()})
			continue
		}
		texts[path] = text
	}
	return check(texts, problems, opts)
}

// Check is Run for texts by their names.
func Check(texts map[string]string, opts Options) *Report { return check(texts, nil, opts) }

// read reads a file whole, and one byte more than is loaded of a larger one, so that loading says so.
func read(path string) (string, error) {
	r, err := os.Open(path)
	if err != nil {
		return "", errors.Unwrap(err)
	}
	data, err := io.ReadAll(io.LimitReader(r, policies.MaxFileSize+1))
	return string(data), errors.Join(err, r.Close())
}

func asErrors(err error) policies.Errors {
	if err == nil {
		return nil
	}
	var all policies.Errors
	if errors.As(err, &all) {
		return slices.Clone(all)
	}
	return policies.Errors{{Message: err.Error()}}
}

func check(texts map[string]string, problems policies.Errors, opts Options) *Report {
	p := &pass{opts: opts, files: make(map[string]*file, len(texts))}
	if p.opts.Now == nil {
		p.opts.Now = time.Now
	}
	for name, text := range texts {
		p.files[name] = newFile(text)
	}
	broken := p.load(texts, &problems)
	for i := range problems {
		p.problem(&problems[i])
	}
	for i := range rules {
		if rules[i].check != nil {
			p.rule = &rules[i]
			rules[i].check(p)
		}
	}
	return p.finish(broken)
}

// load compiles the texts, and where some are broken the others without them; it returns the broken ones.
func (p *pass) load(texts map[string]string, problems *policies.Errors) map[string]bool {
	env := policies.Env{
		Registries: p.opts.Registries, Issuers: p.opts.Issuers, AnyRegistry: defaultEcosystem, AnyIssuer: true, Now: p.opts.Now,
	}
	broken := map[string]bool{}
	set, err := policies.Parse(texts, env)
	if err != nil {
		good := map[string]string{}
		found := asErrors(err)
		for _, e := range found {
			broken[e.File] = true
		}
		for name, text := range texts {
			if !broken[name] {
				good[name] = text
			}
		}
		*problems = append(*problems, found...)
		if set, err = policies.Parse(good, env); err != nil {
			*problems = append(*problems, asErrors(err)...)
			return broken
		}
	}
	for _, one := range set.Policies() {
		p.policies = append(p.policies, newPolicy(one))
	}
	return broken
}

// problem makes an error of the loader a finding.
func (p *pass) problem(e *policies.Error) {
	message := e.Message
	if e.Field != "" {
		message = e.Field + ": " + message
	}
	if f := p.files[e.File]; f != nil && f.text != strikeOut(f.text) {
		// What the loader says may hold a part of the secret that no longer looks like one.
		message = "the file does not load; why is told once no secret is in it"
	}
	p.rule = ruleOf(codeLoad)
	p.add(e.File, policies.Position{Line: e.Line, Column: e.Column}, "", message, "")
}

// finish takes out what is ignored and orders the rest.
func (p *pass) finish(broken map[string]bool) *Report {
	r := &Report{Findings: []Finding{}, Ignored: []Finding{}, Files: len(p.files), Policies: len(p.policies)}
	ignores := p.ignores()
	for _, f := range p.findings {
		if reason, ignored := ignores.match(&f); ignored {
			f.Reason = reason
			r.Ignored = append(r.Ignored, f)
			continue
		}
		r.Findings = append(r.Findings, f)
	}
	p.findings = nil
	p.complain(ignores, broken)
	r.Findings = append(r.Findings, p.findings...)
	slices.SortStableFunc(r.Findings, byPlace)
	slices.SortStableFunc(r.Ignored, byPlace)
	return r
}

func byPlace(a, b Finding) int {
	return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Code, b.Code))
}
