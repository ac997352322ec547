package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/registry"
)

// shownNginx is the server that docs/registries/webdav.md shows.
func shownNginx(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/registries/webdav.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```nginx\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/registries/webdav.md has no configuration of nginx")
	}
	return string(block[1])
}

// TestShownWebDAV publishes into the nginx that the page shows, and holds the page's claims about it against it.
func TestShownWebDAV(t *testing.T) {
	t.Parallel()
	store, err := registry.StartNginx(t.Context(), t.TempDir(), shownNginx(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Stop)
	r := startRig(t, store.Registry, withEcosystem("generic"), withLines("layout /{package}/{version}/{file}"))
	wheel := newWheel(t, "acme-widget", "1.0")
	got, err := r.home(nil).CurlRaw(t.Context(), r.site.Public()+"acme-widget/1.0/"+wheel.file,
		"--fail-with-body", "--upload-file", wheel.path, "--header", "Authorization: Bearer "+r.identity(nil))
	if err != nil || got.Code != 0 {
		t.Fatalf("%v, exit status %d\n%s", err, got.Code, got.Output)
	}
	path := "acme-widget/1.0/" + wheel.file
	want := map[string]string{path: wheel.sha256}
	if diff := cmp.Diff(want, r.files()); diff != "" {
		t.Fatal(diff)
	}
	user := basicAs(store.User, store.Password)
	for _, tc := range []struct {
		name, method string
		header       http.Header
		status       int
	}{
		{"a read without a password", "GET", http.Header{}, http.StatusOK},
		{"an upload without a password", "PUT", http.Header{}, http.StatusUnauthorized},
		{"a deletion without a password", "DELETE", http.Header{}, http.StatusUnauthorized},
		{"a copy", "COPY", with(user.Clone(), "Destination", "/copy"), http.StatusMethodNotAllowed},
		{"a move", "MOVE", with(user.Clone(), "Destination", "/move"), http.StatusMethodNotAllowed},
		{"a folder", "MKCOL", user.Clone(), http.StatusMethodNotAllowed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.unchanged(t, func() {
				if status := direct(t, store, tc.method, "/"+path, tc.header, ""); status != tc.status {
					t.Errorf("nginx answered %d, expected %d", status, tc.status)
				}
			})
		})
	}
	for name, head := range map[string]string{"announced": "Content-Length: 100\r\n\r\nhalf", "chunked": "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"} {
		t.Run("an upload that is cut, "+name, func(t *testing.T) {
			r.unchanged(t, func() { cutOff(t, store, "/acme-widget/1.1/half", user.Get("Authorization"), head) })
		})
	}
	t.Run("it replaces what is there", func(t *testing.T) {
		if status := direct(t, store, "PUT", "/"+path, user.Clone(), "other"); status != http.StatusNoContent {
			t.Errorf("nginx answered %d, expected %d", status, http.StatusNoContent)
		}
		if r.files()[path] == wheel.sha256 {
			t.Error("the file is as it was")
		}
	})
}

// direct asks the store past the gateway.
func direct(t *testing.T, store *registry.Server, method, path string, header http.Header, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+store.Addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header.Get("Destination") != "" {
		header.Set("Destination", "http://"+store.Addr+header.Get("Destination"))
	}
	req.Header = header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// cutOff sends half an upload past the gateway, ends the connection's sending half, and waits until the store has given up.
func cutOff(t *testing.T, store *registry.Server, path, authorization, rest string) {
	t.Helper()
	conn, err := net.Dial("tcp", store.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n%s", path, authorization, rest); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(string(answer), "HTTP/1.1 2") {
		t.Errorf("nginx took it: %s", answer)
	}
}
