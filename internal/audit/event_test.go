package audit

import (
	"bytes"
	"encoding/json"
	"math/rand"
	"reflect"
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
		got, err := appendEvent(nil, &event)
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
