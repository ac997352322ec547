package provider_test

import (
	"flag"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
	"github.com/trustpub/trustpub/policies/lint"
)

var update = flag.Bool("update", false, "write the generated pages below docs/issuers and the table in docs/issuers.md")

const docs = "../../docs"

// The generated table of docs/issuers.md lies between these two lines.
const (
	tableBegin = "<!-- providers: written by go test ./internal/provider -update -->\n"
	tableEnd   = "<!-- end of providers -->\n"
)

func TestPages(t *testing.T) {
	known := map[string]bool{}
	for _, name := range provider.Names() {
		p, _ := provider.Get(name)
		if p.Docs.Policy == "" {
			t.Errorf("%s has no docs", name)
			continue
		}
		known[name+".md"] = true
		compare(t, filepath.Join(docs, "issuers", name+".md"), page(p))
	}
	pages, err := os.ReadDir(filepath.Join(docs, "issuers"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range pages {
		if !known[entry.Name()] {
			t.Errorf("docs/issuers/%s is the page of no provider", entry.Name())
		}
	}
}

// compare reads a generated file, or writes it with -update.
func compare(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
		return
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s differs from the data: run go test ./internal/provider -update (-want +got):\n%s", file, diff)
	}
}

func TestOverview(t *testing.T) {
	file := filepath.Join(docs, "issuers.md")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(whole), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("the lines %q and %q are missing", tableBegin, tableEnd)
	}
	var b strings.Builder
	b.WriteString("\n| provider | platform | stable ids | trigger known | tag | tokens |\n|---|---|---|---|---|---|\n")
	for _, name := range provider.Names() {
		p, _ := provider.Get(name)
		fmt.Fprintf(&b, "| [`%s`](issuers/%s.md) | %s | %s | %s | %s | %s |\n", name, name, p.Title, stableIDs(p), yes(p.Trigger != nil), yes(p.Tag != nil && !p.Tag.Chosen), kindOfTokens(p))
	}
	b.WriteString("\n")
	compare(t, file, before+tableBegin+b.String()+tableEnd+after)
}

func stableIDs(p *provider.Provider) string {
	var ids []string
	for _, f := range p.Fields {
		if f.Stable != "" {
			ids = append(ids, "`"+f.Name+"`")
		}
	}
	if len(ids) == 0 {
		return "none"
	}
	return strings.Join(ids, ", ")
}

func yes(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}

func kindOfTokens(p *provider.Provider) string {
	switch {
	case p.Shared:
		return "shared by jobs: exchange only"
	case p.Audience != "":
		return "audience fixed by the platform"
	default:
		return "audience chosen by the job"
	}
}

// env is a gateway with one registry and a provider's issuer.
func env(p *provider.Provider) policies.Env {
	return policies.Env{
		Registries: map[string]string{"internal-pypi": "pypi"},
		Issuers:    []policies.Issuer{{Name: p.Name, Provider: p.Name}},
	}
}

// load loads a policy text that has to be good.
func load(t *testing.T, text string, env policies.Env) *policies.Set {
	t.Helper()
	set, err := tryLoad(t, text, env)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func tryLoad(t *testing.T, text string, env policies.Env) (*policies.Set, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "widget.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return policies.Load([]string{file}, env)
}

// What people copy from a page loads, and the linter has nothing to say about it.
func TestPagePolicies(t *testing.T) {
	for _, name := range provider.Names() {
		t.Run(name, func(t *testing.T) {
			p, _ := provider.Get(name)
			load(t, p.Docs.Policy, env(p))
			report := lint.Check(map[string]string{"page.yaml": p.Docs.Policy}, lint.Options{Now: now})
			for _, f := range report.Findings {
				t.Errorf("%s: %s", f.Code, f.Message)
			}
		})
	}
}

// The shell scripts of the pages are shell scripts.
func TestPageScripts(t *testing.T) {
	for _, name := range provider.Names() {
		p, _ := provider.Get(name)
		for _, job := range p.Docs.Jobs {
			if job.Language != "sh" {
				continue
			}
			cmd := osexec.CommandContext(t.Context(), "sh", "-n")
			cmd.Stdin = strings.NewReader(expand(job.Text))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s, %s: %v\n%s", name, job.Title, err, out)
			}
		}
	}
}

// The first thing that a page shows is trustpub exec, and the way by hand comes after all others.
func TestPagesBeginWithExec(t *testing.T) {
	for _, name := range provider.Names() {
		p, _ := provider.Get(name)
		shown, hands := false, false
		for i, job := range p.Docs.Jobs {
			switch {
			case byHand(job):
				hands = true
			case hands:
				t.Errorf("%s: %q comes after what is done by hand", name, job.Title)
			default:
				shown = shown || exec.MatchString(job.Text)
			}
			if i == 0 && hands || hands && !shown {
				t.Errorf("%s: %q comes before trustpub exec", name, job.Title)
			}
		}
		if !shown || !hands {
			t.Errorf("%s: trustpub exec is shown: %t, the way by hand: %t; expected both", name, shown, hands)
		}
	}
}

// A package may be named after the claims that the data marks, and after no other.
func TestTemplateClaims(t *testing.T) {
	for _, name := range provider.Names() {
		p, _ := provider.Get(name)
		one := newPlatform(t, name, name, pageIssuer(p), 0)
		id, err := verifier(t, one).Verify(t.Context(), one.sign(t, one.claims()), []string{one.audience})
		if err != nil {
			t.Fatal(err)
		}
		for claim, c := range p.Claims {
			text := strings.Replace(p.Docs.Policy, "[acme-widget]", `["{claims.`+claim+`}"]`, 1)
			set, err := tryLoad(t, text, env(p))
			if (err == nil) != c.Template {
				t.Errorf("%s: packages named after %s, marked %t: %v", name, claim, c.Template, err)
			}
			value, _ := p.Text(id.Claims, claim)
			if err != nil || !c.Template || strings.Contains(value, "/") {
				continue
			}
			target := upload()
			if target.Package, err = model.NormalizeName("pypi", value); err != nil {
				continue // an id that is no name
			}
			if d := set.Evaluate(id, target); !d.Allow {
				t.Errorf("%s: %s of the sample: %+v", name, claim, d)
			}
			target.Package += "x"
			if d := set.Evaluate(id, target); d.Allow {
				t.Errorf("%s: %s publishes %s", name, claim, target.Package)
			}
		}
	}
}

// The issuer that a page configures is one that the provider accepts.
func TestPageIssuers(t *testing.T) {
	for _, name := range provider.Names() {
		p, _ := provider.Get(name)
		if _, err := p.IssuerURL(pageIssuer(p)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// pageIssuer is the URL of the first issuer line of a page; empty for the provider's default.
func pageIssuer(p *provider.Provider) string {
	line, _, _ := strings.Cut(p.Docs.Issuer[0], "#")
	words := strings.Fields(line)
	if len(words) > 2 {
		return words[2]
	}
	return ""
}
