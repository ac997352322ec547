package lint

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// several is a report with a finding of each severity, an ignored one, and a name that every format has to escape.
func several(t *testing.T) *Report {
	t.Helper()
	return Check(map[string]string{"a b,c:d%.yaml": part(readExample(t, "ignore_invalid").archive, "good.yaml") + `
  - name: reports
    registry: internal-pypi
    packages: [acme-reports]
    events: [merge_request_event]
    publisher:
      gitlab:
        project_path: acme/reports
        project_id: "4711"
        environment: "rel-*"  # é
    when: target.version != "1\t%"
`, "broken.yaml": "policies:\n  - nam: <x>\n", "empty.yaml": ""}, Options{Now: clock})
}

func TestFormats(t *testing.T) {
	for _, format := range Formats() {
		t.Run(string(format), func(t *testing.T) {
			var b strings.Builder
			if err := several(t).Write(&b, format); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "output", string(format)+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("output, run with -update to write it (-want +got):\n%s", diff)
			}
		})
	}
	if err := several(t).Write(&strings.Builder{}, "xml"); err == nil || !strings.Contains(err.Error(), `format is "xml", expected one of [text json sarif github]`) {
		t.Errorf("got %v", err)
	}
}

// What a clean run says, in each format: no list is null.
func TestNothingFound(t *testing.T) {
	r := Check(map[string]string{"a.yaml": "policies: []\n"}, Options{})
	want := map[Format]string{Text: "0 policies in 1 file: nothing found\n", GitHub: "", JSON: "{\n  \"findings\": [],\n  \"ignored\": [],\n  \"files\": 1,\n  \"policies\": 0\n}\n"}
	for format, text := range want {
		var b strings.Builder
		if err := r.Write(&b, format); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(text, b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
	if log := r.sarif(); log.Runs[0].Results == nil {
		t.Error("results are null, expected an empty list")
	}
}

// TestSARIF holds the log to what the standard requires of the parts that are used; the numbers are its sections.
func TestSARIF(t *testing.T) {
	var b strings.Builder
	if err := several(t).Write(&b, SARIF); err != nil {
		t.Fatal(err)
	}
	var log map[string]any
	if err := json.Unmarshal([]byte(b.String()), &log); err != nil {
		t.Fatal(err)
	}
	if log["version"] != "2.1.0" || !strings.HasSuffix(log["$schema"].(string), "/sarif-schema-2.1.0.json") { // 3.13.2, 3.13.3
		t.Errorf("got version %v and schema %v", log["version"], log["$schema"])
	}
	run := log["runs"].([]any)[0].(map[string]any) // 3.13.4
	driver := run["tool"].(map[string]any)["driver"].(map[string]any)
	if driver["name"] != "trustpub" || run["columnKind"] != "unicodeCodePoints" { // 3.19.8, 3.14.17
		t.Errorf("got driver %v and columns %v", driver["name"], run["columnKind"])
	}
	levels := []any{"none", "note", "warning", "error"} // 3.27.10
	var ids []any
	for _, r := range driver["rules"].([]any) {
		rule := r.(map[string]any)
		ids = append(ids, rule["id"]) // 3.49.3
		for _, text := range []string{"shortDescription", "fullDescription", "help"} {
			if rule[text].(map[string]any)["text"].(string) == "" { // 3.12.3
				t.Errorf("rule %v has an empty %s", rule["id"], text)
			}
		}
		if level := rule["defaultConfiguration"].(map[string]any)["level"]; !slices.Contains(levels, level) {
			t.Errorf("rule %v has the level %v", rule["id"], level)
		}
	}
	suppressed := 0
	for _, r := range run["results"].([]any) {
		result := r.(map[string]any)
		if at := int(result["ruleIndex"].(float64)); at >= len(ids) || ids[at] != result["ruleId"] { // 3.27.6
			t.Errorf("rule %v is not at index %d", result["ruleId"], at)
		}
		if !slices.Contains(levels, result["level"]) || result["message"].(map[string]any)["text"] == "" {
			t.Errorf("level %v, message %v", result["level"], result["message"])
		}
		place := result["locations"].([]any)[0].(map[string]any)["physicalLocation"].(map[string]any)
		link, err := url.Parse(place["artifactLocation"].(map[string]any)["uri"].(string)) // 3.4.3
		if err != nil || link.Path == "" {
			t.Errorf("uri: %v, %v", link, err)
		}
		if region, ok := place["region"].(map[string]any); ok {
			from, to := region["startColumn"].(float64), region["endColumn"].(float64)
			if region["startLine"].(float64) < 1 || from < 1 || to < from { // 3.30.5 to 3.30.8
				t.Errorf("region %v", region)
			}
		}
		if list, ok := result["suppressions"].([]any); ok {
			suppressed++
			if one := list[0].(map[string]any); one["kind"] != "inSource" || one["justification"] == "" { // 3.35.2, 3.35.3
				t.Errorf("suppression %v", one)
			}
		}
	}
	if suppressed != 1 {
		t.Errorf("got %d suppressed results, expected the ignored one", suppressed)
	}
}

func TestURI(t *testing.T) {
	for path, want := range map[string]string{"a/b c.yaml": "a/b%20c.yaml", "/x%/y.yaml": "file:///x%25/y.yaml", "c:d.yaml": "./c:d.yaml"} {
		if got := uri(path); got != want {
			t.Errorf("%s: got %q, expected %q", path, got, want)
		}
	}
}
