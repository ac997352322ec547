package model

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSecretFileIsTheOneOfNow: whatever happens to a secret file, and however its times look, the next use has what is in it.
func TestSecretFileIsTheOneOfNow(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	old := time.Now().Add(-time.Hour)
	write := func(path, text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	want := func(step, value string) {
		t.Helper()
		for range 2 { // the second may come from memory
			if got, err := Secret("{file." + path + "}").Resolve(); got != value || err != nil {
				t.Errorf("%s: got %q, %v, expected %q", step, got, err, value)
			}
		}
	}
	write(path, "first\n", old)
	want("an old file", "first")
	write(path, "other\n", time.Now())
	want("written in place, with the same length", "other")
	write(path, "third\n", time.Now())
	want("written again in the same moment", "third")
	write(path, "longer\n", old)
	want("another length", "longer")
	write(filepath.Join(dir, "new"), "mounts\n", old)
	if err := os.Rename(filepath.Join(dir, "new"), path); err != nil {
		t.Fatal(err)
	}
	want("replaced by one of the same length and time", "mounts")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, err := Secret("{file." + path + "}").Resolve(); err == nil {
		t.Errorf("removed: got %q", got)
	}
}

// BenchmarkSecretFile is what each request with a credential from a file costs.
func BenchmarkSecretFile(b *testing.B) {
	path := filepath.Join(b.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("secret\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Secret("{file." + path + "}").Resolve(); err != nil {
			b.Fatal(err)
		}
	}
}
