package caddymodule

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/caddyserver/certmagic"
	"github.com/google/go-cmp/cmp"
)

// TestShelf: what the doctor's process writes is there for it, and never reaches the configured storage.
func TestShelf(t *testing.T) {
	ctx := t.Context()
	configured := &certmagic.FileStorage{Path: t.TempDir()}
	for _, key := range []string{"a/one", "a/two", "b"} {
		if err := configured.Store(ctx, key, []byte("configured "+key)); err != nil {
			t.Fatal(err)
		}
	}
	s := newShelf(configured)
	for _, err := range []error{
		s.Store(ctx, "a/one", []byte("own")), s.Store(ctx, "a/c/three", []byte("own three")), s.Delete(ctx, "b"), s.Store(ctx, "d/four", []byte("four")),
		s.Delete(ctx, "d"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	load := func(from certmagic.Storage) map[string]string {
		got := map[string]string{}
		for _, key := range []string{"a/one", "a/two", "a/c/three", "b", "d/four"} {
			value, err := from.Load(ctx, key)
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case err != nil:
				t.Errorf("Load %s: %v", key, err)
			default:
				got[key] = string(value)
			}
			info, err := from.Stat(ctx, key)
			if exists := from.Exists(ctx, key); exists != (got[key] != "") || exists != (err == nil) || int(info.Size) != len(got[key]) {
				t.Errorf("%s: exists %t, size %d (%v), and holds %q", key, exists, info.Size, err, got[key])
			}
		}
		return got
	}
	if diff := cmp.Diff(map[string]string{"a/one": "own", "a/two": "configured a/two", "a/c/three": "own three"}, load(s)); diff != "" {
		t.Errorf("the shelf (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"a/one": "configured a/one", "a/two": "configured a/two", "b": "configured b"}, load(configured)); diff != "" {
		t.Errorf("the configured storage (-want +got):\n%s", diff)
	}
	for recursive, want := range map[bool][]string{false: {"a/c", "a/one", "a/two"}, true: {"a/c/three", "a/one", "a/two"}} {
		if got, err := s.List(ctx, "a", recursive); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("List(recursive %t) = %q (%v), expected %q", recursive, got, err, want)
		}
	}
	if !s.Exists(ctx, "a/c") {
		t.Error("a folder with nothing but what was written does not exist")
	}
	if err := s.Lock(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	if err := s.Unlock(ctx, "x"); err != nil {
		t.Error(err)
	}
	if err := s.Unlock(ctx, "x"); err == nil {
		t.Error("a lock that is not held was released")
	}
	if dataDir(s) != configured.Path {
		t.Errorf("the data folder is %s, expected that of the configured storage, %s", dataDir(s), configured.Path)
	}
}
