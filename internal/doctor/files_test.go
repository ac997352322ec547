package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFiles: what can be written is found out without writing anything.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		check Check
		want  Status
		says  string
	}{
		{"a folder", Folder("a", "", dir), OK, "can be written"},
		{"a folder to come", Folder("a", "", filepath.Join(dir, "b", "c")), OK, "is not there yet and can be made"},
		{"a file", File("a", "", file), OK, "can be written"},
		{"a file to come", File("a", "", filepath.Join(dir, "b", "c.db")), OK, "is not there yet and can be made"},
		{"a folder that is a file", Folder("a", "", file), Fail, "is no folder"},
		{"a file that is a folder", File("a", "", dir), Fail, "expected a regular file"},
		{"below a file", File("a", "", filepath.Join(file, "b")), Fail, "not a directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.check.Run(t.Context()); len(got) != 1 || got[0].Status != tc.want || !strings.Contains(got[0].Message, tc.says) {
				t.Errorf("got %+v, expected %s and %q", got, tc.want, tc.says)
			}
		})
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "kept" {
		t.Errorf("the file holds %q (%v)", text, err)
	}
}

func TestSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("x"), 0o640); err != nil {
		t.Fatal(err)
	}
	there, missing := func() (string, error) { return "hunter22", nil }, func() (string, error) { return "", errors.New("secret {env.X} is empty or not set") }
	look := func(path string, resolve func() (string, error)) Finding {
		return Secret("a", "token", "{placeholder}", path, resolve).Run(t.Context())[0]
	}
	if got := look(path, there); got.Status != OK {
		t.Errorf("for a group: %+v", got)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Finding{Status: Warn, Message: "token {placeholder} can be read, and by every user of this machine (mode 0644)", Help: "chmod o= " + path}, look(path, there)); diff != "" {
		t.Errorf("for everybody (-want +got):\n%s", diff)
	}
	if got := look("", there); got.Status != OK || strings.Contains(got.Message, "hunter22") {
		t.Errorf("of the environment: %+v", got)
	}
	if got := look("", missing); got.Status != Fail || !strings.Contains(got.Message, "is empty or not set") {
		t.Errorf("missing: %+v", got)
	}
}
