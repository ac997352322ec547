package audit

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

// TestDocumentedSchema: docs/audit.md has every field of a line, in order, and every kind of event, and no others.
func TestDocumentedSchema(t *testing.T) {
	b, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	fields, kinds := table(t, string(b), "field"), table(t, string(b), "kind")
	var wantFields []string
	for _, typ := range []reflect.Type{reflect.TypeFor[link](), reflect.TypeFor[model.Event]()} {
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			wantFields = append(wantFields, name)
		}
	}
	if diff := cmp.Diff(wantFields, fields); diff != "" {
		t.Errorf("fields (-code +docs/audit.md):\n%s", diff)
	}
	var wantKinds []string
	for _, kind := range []model.EventKind{
		model.EventDecision, model.EventOutcome, model.EventExchange, model.EventRevocation, model.EventPolicies, model.EventConfig, model.EventSwitch,
		EventLost, EventRecovery,
	} {
		wantKinds = append(wantKinds, string(kind))
	}
	if diff := cmp.Diff(wantKinds, kinds); diff != "" {
		t.Errorf("kinds (-code +docs/audit.md):\n%s", diff)
	}
	var target []string
	for i := range reflect.TypeFor[model.Target]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[model.Target]().Field(i).Tag.Get("json"), ",")
		if name != "-" { // not written
			target = append(target, "`"+name+"`")
		}
	}
	if want := "| `target` | object | " + strings.Join(target, ", ") + " |"; !strings.Contains(string(b), want) {
		t.Errorf("docs/audit.md lacks the line %s", want)
	}
}

// table lists the names in the first column of the table whose first column has that heading.
func table(t *testing.T, text, heading string) []string {
	t.Helper()
	lines := strings.Split(text, "\n")
	start := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "| "+heading+" |") })
	if start < 0 {
		t.Fatalf("docs/audit.md has no table with the heading %q", heading)
	}
	var names []string
	quoted := regexp.MustCompile("`([^`]+)`")
	for _, line := range lines[start+2:] {
		cells := strings.SplitN(line, "|", 3)
		if len(cells) < 3 {
			break
		}
		for _, m := range quoted.FindAllStringSubmatch(cells[1], -1) {
			names = append(names, m[1])
		}
	}
	return names
}
