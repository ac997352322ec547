package integration

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/trustpub/trustpub/integration/registry"
	"github.com/trustpub/trustpub/internal/model"
)

// TestExecCredential: a program makes the credential of a store that knows passwords only. It is asked for exactly what is uploaded, told when the
// upload is over, and when it fails nothing is stored.
func TestExecCredential(t *testing.T) {
	t.Parallel()
	store, err := registry.StartWebDAV(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Stop)
	dir := t.TempDir()
	program := filepath.Join(dir, "mint")
	text := "#!/bin/sh\ncat > " + dir + "/$1\n" +
		"if [ -e " + dir + "/broken ]; then echo 'canary-of-the-program' >&2; exit 1; fi\n" +
		`printf '{"basic":{"user":"` + store.User + `","password":"` + store.Password + `"},"id":"lease-7"}'` + "\n"
	if err := os.WriteFile(program, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "erase"), 0o600); err != nil {
		t.Fatal(err)
	}
	store.Credential = "credential exec {\n\tcommand " + program + "\n}"
	r := startRig(t, store.Registry, withEcosystem("generic"), withLines("layout /{package}/{version}/{file}"))
	put := func(file, token string) answer {
		return r.send(t, http.MethodPut, "/acme-widget/1.0/"+file, bearer(token), []byte("bytes"))
	}
	// Whether the client has its answer before the credential ends or after it is not the question: the program writes into a pipe, on
	// which the test waits.
	erased := pipe(filepath.Join(dir, "erase"))
	if a := put("a.tar.gz", r.identity(nil)); a.Status/100 != 2 {
		t.Fatalf("the upload: %d %s", a.Status, a.Body)
	}
	want := map[string]any{
		"ecosystem": "generic", "registry": registryName, "action": "publish", "package": "acme-widget", "version": "1.0", "file": "a.tar.gz",
	}
	for operation, read := range map[string]func() ([]byte, error){
		"get":   func() ([]byte, error) { return os.ReadFile(filepath.Join(dir, "get")) },
		"erase": erased,
	} {
		var asked struct {
			Targets []map[string]any
			ID      string
		}
		b, err := read()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &asked); err != nil {
			t.Fatalf("%s: %v\n%s", operation, err, b)
		}
		if diff := cmp.Diff([]map[string]any{want}, asked.Targets); diff != "" {
			t.Errorf("%s is asked for (-want +got):\n%s", operation, diff)
		}
		if (operation == "erase") != (asked.ID == "lease-7") {
			t.Errorf("%s got id %q", operation, asked.ID)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.unchanged(t, func() {
		if a := put("b.tar.gz", r.identity(nil)); a.code() != string(model.CodeCredentialUnavailable) || strings.Contains(a.Body, "canary") {
			t.Errorf("got %d %s, expected %s", a.Status, a.Body, model.CodeCredentialUnavailable)
		}
	})
	if strings.Contains(r.gw.Logs(), "canary-of-the-program") {
		t.Error("the program's standard error is in the log")
	}
}

// pipe begins to read what a program will write into a named pipe; the function waits for it.
func pipe(path string) func() ([]byte, error) {
	type result struct {
		b   []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		b, err := os.ReadFile(path)
		done <- result{b, err}
	}()
	return func() ([]byte, error) {
		select {
		case r := <-done:
			return r.b, r.err
		case <-time.After(time.Minute):
			return nil, errors.New("nothing was written into " + path)
		}
	}
}
