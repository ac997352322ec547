package static

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// TestReadsShareALook: a publish always has the secret of now; reads have it a second later at the latest, and at once after a publish.
func TestReadsShareALook(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	made, err := (&Config{Bearer: model.Secret("{file." + file + "}")}).Provision(env())
	if err != nil {
		t.Fatal(err)
	}
	s := made.(*source)
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return now }
	issue := func(step string, action model.Action, want string) {
		t.Helper()
		got, err := s.Issue(t.Context(), model.Target{Action: action}, nil)
		if value := got.Header.Get("Authorization"); value != want || (err != nil) != (want == "") {
			t.Errorf("%s: got %q, %v, expected %q", step, value, err, want)
		}
		if got.Header != nil {
			got.Header.Set("X-Other", "changes nothing of the next one")
		}
		if values := got.Header["Authorization"]; len(values) > 0 {
			values[0] = "nor does this"
		}
	}
	issue("a read", model.ActionRead, "Bearer first")
	write("second")
	issue("a read in the same second", model.ActionRead, "Bearer first")
	issue("a publish", model.ActionPublish, "Bearer second")
	issue("a read after it", model.ActionRead, "Bearer second")
	write("third")
	now = now.Add(time.Second)
	issue("a read a second later", model.ActionRead, "Bearer third")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	issue("a read without the file", model.ActionRead, "")
	write("third")
	issue("a read with it", model.ActionRead, "Bearer third")
}
