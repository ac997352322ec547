package local

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/store"
)

// TestCheck: a file is looked at without a byte of it being changed, whether or not a gateway has it.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	config := &Config{Path: "x.db"}
	env := store.Env{DataDir: dir}
	look := func(want string) {
		t.Helper()
		before, _ := os.ReadFile(path)
		if got, err := config.Check(t.Context(), env); err != nil || got != want {
			t.Errorf("got %q (%v), expected %q", got, err, want)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) {
			t.Error("the file was changed")
		}
	}
	if file, err := config.File(env); err != nil || file != path {
		t.Errorf("the file is %q (%v), expected %q", file, err, path)
	}
	look("")
	s := openAt(t, path, Options{})
	if _, err := s.Claim(t.Context(), "key", "holder", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	look(path + " is in use by a gateway that runs")
	closeStore(t, s)
	look(path + " is whole (claims in it: 1)")
	if _, err := (&Config{Path: dir}).Check(t.Context(), env); err == nil {
		t.Error("no error for a folder")
	}
}
