package policies

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// further is a further size of the benchmarks, as in -policies 1000000.
var further = flag.Int("policies", 0, "run the benchmarks with this many policies too")

func sizes() []int {
	if *further > 0 {
		return []int{10, 1_000, 100_000, *further}
	}
	return []int{10, 1_000, 100_000}
}

// manyPolicies writes n policies of n repositories and packages into files of a thousand.
func manyPolicies(tb testing.TB, n int) string {
	tb.Helper()
	dir := tb.TempDir()
	const perFile = 1000
	for from := 0; from < n; from += perFile {
		var b strings.Builder
		b.WriteString("policies:\n")
		for i := from; i < min(n, from+perFile); i++ {
			fmt.Fprintf(&b, "  - name: widget-%d\n    registry: internal-pypi\n    packages: [acme-widget-%d]\n    publisher:\n"+
				"      github:\n        repository: acme/widget-%d\n        repository_owner_id: \"222\"\n        workflow: release.yml\n"+
				"        environment: release\n", i, i, i)
		}
		writeFile(tb, filepath.Join(dir, fmt.Sprintf("%04d.yaml", from/perFile)), b.String())
	}
	return dir
}

// widgetRun is a run of the i-th repository.
func widgetRun(i int) *Identity {
	repository := fmt.Sprintf("acme/widget-%d", i)
	ref := repository + "/.github/workflows/release.yml@refs/tags/v1"
	return &Identity{Issuer: "github", Provider: "github", Claims: map[string]any{
		"iss": "https://token.actions.githubusercontent.com", "sub": "repo:" + repository + ":environment:release",
		"repository": repository, "repository_id": fmt.Sprint(1000 + i), "repository_owner": "acme", "repository_owner_id": "222",
		"event_name": "push", "ref": "refs/tags/v1", "ref_type": "tag", "environment": "release",
		"workflow_ref": ref, "job_workflow_ref": ref,
	}}
}

func BenchmarkEvaluate(b *testing.B) {
	for _, n := range sizes() {
		set, err := Load([]string{manyPolicies(b, n)}, testEnv())
		if err != nil {
			b.Fatal(err)
		}
		// Different runs, so that the caches do not hold the one policy that is asked for.
		const runs = 256
		ids, targets := make([]*Identity, runs), make([]Target, runs)
		for i := range runs {
			at := i * max(n/runs, 1) % n
			ids[i] = widgetRun(at)
			targets[i] = Target{Ecosystem: "pypi", Registry: "internal-pypi", Package: fmt.Sprintf("acme-widget-%d", at), Version: "1", Action: ActionPublish}
		}
		b.Run(fmt.Sprintf("allow/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if d := set.Evaluate(ids[i%runs], targets[i%runs]); !d.Allow {
					b.Fatal(d)
				}
			}
		})
		b.Run(fmt.Sprintf("deny/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if d := set.Evaluate(ids[i%runs], targets[(i+1)%runs]); d.Allow {
					b.Fatal(d)
				}
			}
		})
		b.Run(fmt.Sprintf("protected/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if !set.Protected("internal-pypi", targets[i%runs].Package) {
					b.Fatal(targets[i%runs].Package)
				}
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range sizes() {
		dir := manyPolicies(b, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				set, err := Load([]string{dir}, testEnv())
				if err != nil || set.Len() != n {
					b.Fatal(err)
				}
			}
		})
	}
}
