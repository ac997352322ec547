package migration

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
)

var update = flag.Bool("update", false, "write the golden files")

// start is the time of the first event of a test; each further one is a day later.
var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// claimsOf is a provider's sample with some claims replaced; nil removes one.
func claimsOf(t testing.TB, name string, over map[string]any) map[string]any {
	t.Helper()
	p, ok := provider.Get(name)
	if !ok {
		t.Fatalf("no provider %s", name)
	}
	claims := maps.Clone(p.Sample)
	if p.Issuer.Default != "" {
		claims["iss"] = p.Issuer.Default
	}
	maps.Copy(claims, over)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// run is one judged publish.
type run struct {
	provider, issuer string
	over             map[string]any
	pkg, version     string
	registry         string
	beside           bool
	change           func(*model.Event)
}

// audited are the events of runs as the gateway writes them.
func audited(t testing.TB, runs ...run) []model.Event {
	t.Helper()
	var events []model.Event
	for i, r := range runs {
		if r.provider == "" {
			r.provider = "github"
		}
		if r.issuer == "" {
			r.issuer = r.provider
		}
		if r.registry == "" {
			r.registry = "internal-pypi"
		}
		if r.pkg == "" {
			r.pkg = "acme-widget"
		}
		p, _ := provider.Get(r.provider)
		e := model.Event{
			Time: start.AddDate(0, 0, i), ID: fmt.Sprintf("e%d", i), Kind: model.EventDecision, Decision: "deny", Code: model.CodeNoMatchingPolicy,
			Credential: "identity_token", Issuer: r.issuer, Provider: r.provider, Run: p.RunClaims(claimsOf(t, r.provider, r.over)),
			Target: &model.Target{Ecosystem: "pypi", Registry: r.registry, Package: r.pkg, Version: r.version, Action: model.ActionPublish},
		}
		if r.beside {
			e.Decision, e.Credential = "would_deny", "foreign"
		}
		if r.change != nil {
			r.change(&e)
		}
		events = append(events, e)
	}
	return events
}

func suggest(t testing.TB, opts SuggestOptions, events []model.Event) *Suggestion {
	t.Helper()
	s := NewSuggester(opts)
	for _, e := range events {
		s.Add(e)
	}
	got, err := s.Suggest()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// load loads files as a gateway with these issuers would.
func load(t testing.TB, files []File, issuers ...policies.Issuer) *policies.Set {
	t.Helper()
	texts := map[string]string{}
	for i := range files {
		texts[files[i].Name] = files[i].Text()
	}
	set, err := policies.Parse(texts, policies.Env{AnyRegistry: "pypi", AnyIssuer: true, Issuers: issuers})
	if err != nil {
		t.Fatalf("%v\n%v", err, texts)
	}
	return set
}
