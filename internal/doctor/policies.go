package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/trustpub/trustpub/policies"
	"github.com/trustpub/trustpub/policies/lint"
)

// shownFindings is how many findings of policies are shown one by one.
const shownFindings = 20

// Policies loads policy files as the gateway does, and lints them.
func Policies(paths []string, env policies.Env) Check {
	return Check{Area: "policies", What: "they load, and lint finds nothing", Run: func(context.Context) []Finding {
		set, err := policies.Load(paths, env)
		all := unloaded(err)
		if err == nil {
			all = append(all, ok("%s in force", count(set.Len())))
		}
		report := lint.Run(paths, lint.Options{Registries: env.Registries, Issuers: env.Issuers, Now: env.Now})
		left := 0
		for i := range report.Findings {
			f := &report.Findings[i]
			if f.Severity == lint.Note || err != nil && f.Code == "load_error" {
				continue
			}
			if len(all) >= shownFindings {
				left++
				continue
			}
			all = append(all, linted(f))
		}
		if left > 0 {
			all = append(all, warning("run trustpub policy lint "+strings.Join(paths, " "), "lint finds %d more", left))
		}
		return all
	}}
}

// unloaded are the errors of a load. Lint finds most of them too, but not what is only wrong on this machine: modes of files, bounds.
func unloaded(err error) []Finding {
	const help = "correct it: at a reload the last good version of the file stays in force, and a first start is refused"
	if err == nil {
		return nil
	}
	var each policies.Errors
	if !errors.As(err, &each) {
		return []Finding{failure(help, "%v", err)}
	}
	var all []Finding
	for _, one := range each[:min(len(each), shownFindings)] {
		all = append(all, failure(help, "%v", one))
	}
	return all
}

func count(n int) string {
	if n == 1 {
		return "1 policy"
	}
	return fmt.Sprintf("%d policies", n)
}

// linted is a finding of the linter.
func linted(f *lint.Finding) Finding {
	found := Finding{Status: Warn, Message: fmt.Sprintf("%s:%d: %s [%s]", f.File, f.Line, f.Message, f.Code), Help: f.Help}
	if f.Severity == lint.Error {
		found.Status = Fail
	}
	if f.Policy != "" {
		found.Subject = f.Policy
	}
	return found
}

// sample stands where a package that policies only name by a pattern has its "*".
const sample = "trustpub-doctor"

// PackageOf is a package by which a credential for a registry can be tried: one that a policy names exactly, else one that a pattern covers,
// since some registries make credentials for what stands before the "*". It is empty where there is neither, or where the policies do not load.
func PackageOf(paths []string, env policies.Env, registry string) string {
	set, err := policies.Load(paths, env)
	if err != nil {
		return ""
	}
	now := time.Now()
	if env.Now != nil {
		now = env.Now()
	}
	covered := ""
	for _, p := range set.Policies() {
		if end := p.NotAfter(); !end.IsZero() && !now.Before(end) {
			continue
		}
		for _, g := range p.Grants() {
			if g.Registry != registry {
				continue
			}
			for _, pkg := range g.Packages {
				switch {
				case pkg.Any || pkg.Template:
				case !pkg.Glob:
					return pkg.Pattern
				case covered == "":
					covered = strings.ReplaceAll(pkg.Pattern, "*", sample)
				}
			}
		}
	}
	return covered
}
