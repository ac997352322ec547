package audit

import (
	"bytes"
	"encoding/json"
	"math/rand"
	"reflect"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

// TestEventIsWhatItsTagsSay: the lines are those of encoding/json, whatever the fields hold, and no field is forgotten.
func TestEventIsWhatItsTagsSay(t *testing.T) {
	same := func(event model.Event) {
		t.Helper()
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(event); err != nil {
			t.Fatal(err)
		}
		got, _, err := appendEvent(nil, &event)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.String(), string(got)+"\n"); diff != "" {
			t.Error(diff)
		}
	}
	same(model.Event{})
	same(model.Event{Time: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC), ID: "\x00\x1f\x7f\"\\<>&\u2028é\xff", Registries: []string{"", "a\n"}, Target: &model.Target{}})
	random := rand.New(rand.NewSource(1))
	for range 200 {
		event := model.Event{Time: time.Unix(random.Int63n(1<<36), random.Int63n(1e9)).UTC()}
		anything(t, random, reflect.ValueOf(&event).Elem())
		same(event)
	}
}

// TestSuspects: what redact would change is always looked at, wherever it stands, and what publishes usually say never is.
func TestSuspects(t *testing.T) {
	secrets := []string{
		"tpub_" + strings.Repeat("a", 9), "eyJ" + strings.Repeat("a", 9) + ".b", "pypi-" + strings.Repeat("a", 41), "devpi-" + strings.Repeat("a", 41),
		"Basic  " + strings.Repeat("a", 9), "basic " + strings.Repeat("a", 9), "Bearer " + strings.Repeat("a", 9), "bearer " + strings.Repeat("a", 9),
	}
	for _, secret := range secrets {
		for _, text := range []string{secret, "x" + secret, "\n" + secret, secret + "\n", "é" + secret, "_ -J" + secret + "\""} {
			for name, event := range map[string]model.Event{
				"a field": {Got: text}, "the id": {ID: text}, "a list": {Registries: []string{"", text}}, "a key": {Run: map[string]string{text: ""}},
				"a value": {Detail: map[string]string{"": text}}, "a target": {Target: &model.Target{File: text}},
			} {
				line, suspect, err := appendEvent(nil, &event)
				if err != nil {
					t.Fatal(err)
				}
				if !suspect || bytes.Equal(redact(line), line) {
					t.Errorf("%q as %s: suspect is %t, and what is written %s", text, name, suspect, redact(line))
				}
			}
		}
	}
	usual := model.Event{
		ID: "9c1fb2a07d3e4d51", Kind: model.EventDecision, Credential: "publish_token", Policy: "widget-release", Message: "no policy allows this",
		Target: &model.Target{Ecosystem: "pypi", Registry: "internal-pypi", File: "acme_widget-1.0-py3-none-any.whl"},
		Run:    map[string]string{"job_workflow_ref": "acme/widget/.github/workflows/release.yml@refs/tags/v1.0", "run_id": "1"},
	}
	if line, suspect, err := appendEvent(nil, &usual); err != nil || suspect {
		t.Errorf("%s: suspect is %t, %v", line, suspect, err)
	}
}

// anything puts something into every field but times.
func anything(t *testing.T, random *rand.Rand, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		field := v.Field(i)
		switch {
		case field.Type() == reflect.TypeFor[time.Time]():
		case field.Type() == reflect.TypeFor[*model.Target]():
			field.Set(reflect.ValueOf(new(model.Target)))
			anything(t, random, field.Elem())
		default:
			value, ok := quick.Value(field.Type(), random)
			if !ok {
				t.Fatalf("a field of type %s is new to this test", field.Type())
			}
			field.Set(value)
		}
	}
}
