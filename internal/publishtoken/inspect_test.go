package publishtoken

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

// TestInspect: the keys are counted as they are stored, and looking makes none and rotates none.
func TestInspect(t *testing.T) {
	s, c := newMemory(), newClock()
	look := func(want int) {
		t.Helper()
		if got, err := node(t, s, c).Inspect(t.Context()); err != nil || got != want {
			t.Errorf("got %d keys (%v), expected %d", got, err, want)
		}
	}
	look(0)
	m := node(t, s, c)
	mint(t, m)
	look(1)
	c.Add(rotateAfter)
	look(1)
	mint(t, m)
	look(2)
	c.Add(keepKey)
	look(0)
	if _, stores := s.counts(); stores != 2 {
		t.Errorf("the storage was written %d times, expected 2, by the two tokens", stores)
	}
	s.setAway(true)
	if _, err := node(t, s, c).Inspect(t.Context()); err == nil {
		t.Error("no error while the storage is away")
	}
}

// TestInspectMounted: keys that are derived are there as soon as their secret can be read.
func TestInspectMounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	m, err := New(Options{Storage: newMemory(), Logger: quiet(), Mounted: []model.Secret{model.Secret("{file." + path + "}")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Inspect(t.Context()); err == nil {
		t.Error("no error without the file")
	}
	if err := os.WriteFile(path, []byte("0123456789abcdef0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err = New(Options{Storage: newMemory(), Logger: quiet(), Mounted: []model.Secret{model.Secret("{file." + path + "}")}}); err != nil {
		t.Fatal(err)
	}
	if n, err := m.Inspect(t.Context()); err != nil || n == 0 {
		t.Errorf("got %d keys (%v), expected those of the days around", n, err)
	}
}
