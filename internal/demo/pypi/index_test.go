package pypi

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/demo/wheel"
)

func start(t *testing.T, dir string) (*Index, *httptest.Server) {
	t.Helper()
	x, err := New(Config{Dir: dir, Prefix: "/root/prod", User: "publisher", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(x)
	t.Cleanup(s.Close)
	return x, s
}

func built(t *testing.T, version string) wheel.File {
	t.Helper()
	f, err := wheel.Release{Name: "acme-widget", Version: version}.Wheel()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func post(t *testing.T, url, contentType string, body io.Reader, auth func(*http.Request)) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/root/prod/", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	auth(r)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func basic(r *http.Request)  { r.SetBasicAuth("publisher", "secret") }
func bearer(r *http.Request) { r.Header.Set("Authorization", "Bearer secret") }

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestPublishAndInstallPages(t *testing.T) {
	dir := t.TempDir()
	x, s := start(t, dir)
	first, second := built(t, "1.0"), built(t, "2.0")
	for f, auth := range map[*wheel.File]func(*http.Request){&first: basic, &second: bearer} {
		contentType, body := f.Form()
		if status, text := post(t, s.URL, contentType, bytes.NewReader(body), auth); status != http.StatusOK {
			t.Fatalf("upload of %s: %d %s", f.Name, status, text)
		}
	}
	want := []File{
		{Name: first.Name, Package: "acme-widget", Version: "1", Size: int64(len(first.Data)), SHA256: first.SHA256()},
		{Name: second.Name, Package: "acme-widget", Version: "2", Size: int64(len(second.Data)), SHA256: second.SHA256()},
	}
	if diff := cmp.Diff(want, x.Files()); diff != "" {
		t.Error(diff)
	}
	if _, body := get(t, s.URL+"/root/prod/simple/"); !strings.Contains(body, `<a href="acme-widget/">acme-widget</a>`) {
		t.Errorf("simple page is %s", body)
	}
	if _, body := get(t, s.URL+"/root/prod/simple/Acme_Widget/"); !strings.Contains(body, `href="../../files/`+first.Name+`#sha256=`+first.SHA256()+`"`) {
		t.Errorf("project page is %s", body)
	}
	if status, body := get(t, s.URL+"/root/prod/files/"+first.Name); status != http.StatusOK || body != string(first.Data) {
		t.Errorf("file: %d, %d bytes", status, len(body))
	}
	again, _ := start(t, dir)
	if diff := cmp.Diff(want, again.Files()); diff != "" {
		t.Errorf("after a restart: %s", diff)
	}
}

func TestRefuses(t *testing.T) {
	f := built(t, "1.0")
	contentType, form := f.Form()
	body := string(form)
	tests := []struct {
		name, contentType, body string
		auth                    func(*http.Request)
		want                    int
	}{
		{"no credential", contentType, body, func(*http.Request) {}, http.StatusUnauthorized},
		{"a wrong password", contentType, body, func(r *http.Request) { r.SetBasicAuth("publisher", "x") }, http.StatusUnauthorized},
		{"a wrong user", contentType, body, func(r *http.Request) { r.SetBasicAuth("x", "secret") }, http.StatusUnauthorized},
		{"a wrong token", contentType, body, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, http.StatusUnauthorized},
		{"JSON", "application/json", "{}", basic, http.StatusBadRequest},
		{"another action", contentType, strings.Replace(body, "file_upload", "submit", 1), basic, http.StatusBadRequest},
		{"another name", contentType, strings.Replace(body, "\r\nacme-widget\r\n", "\r\nevil\r\n", 1), basic, http.StatusBadRequest},
		{"a path", contentType, strings.Replace(body, `filename="`, `filename="../x`, 1), basic, http.StatusBadRequest},
		{"no package", contentType, strings.Replace(body, ".whl\"", ".exe\"", 1), basic, http.StatusBadRequest},
		{"no closing boundary", contentType, body[:strings.LastIndex(body, "\r\n--")], basic, http.StatusBadRequest},
		{"half a file", contentType, body[:len(body)-200], basic, http.StatusBadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			x, s := start(t, dir)
			if status, text := post(t, s.URL, tt.contentType, strings.NewReader(tt.body), tt.auth); status != tt.want {
				t.Errorf("status is %d (%s), want %d", status, text, tt.want)
			}
			empty(t, x, dir)
		})
	}
}

// empty holds that nothing was stored, nor left over.
func empty(t *testing.T, x *Index, dir string) {
	t.Helper()
	if files := x.Files(); len(files) != 0 {
		t.Errorf("the index holds %+v", files)
	}
	left, err := os.ReadDir(filepath.Join(dir, "files"))
	if err != nil || len(left) != 0 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
}

func TestRefusesASecondUpload(t *testing.T) {
	x, s := start(t, t.TempDir())
	f := built(t, "1.0")
	contentType, body := f.Form()
	for _, want := range []int{http.StatusOK, http.StatusConflict} {
		if status, text := post(t, s.URL, contentType, bytes.NewReader(body), basic); status != want {
			t.Errorf("status is %d (%s), want %d", status, text, want)
		}
	}
	if n := len(x.Files()); n != 1 {
		t.Errorf("the index holds %d files, want 1", n)
	}
}

// failing gives part of a body and then an error, which aborts the request.
type failing struct{ rest []byte }

func (f *failing) Read(p []byte) (int, error) {
	if len(f.rest) == 0 {
		return 0, io.ErrClosedPipe
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

func TestKeepsNothingOfAnAbortedUpload(t *testing.T) {
	// Even with every byte of the form, an upload whose last chunk never came is none.
	for _, missing := range []int{0, 1, 40, 400} {
		t.Run(strconv.Itoa(missing), func(t *testing.T) { abort(t, missing) })
	}
}

func abort(t *testing.T, missing int) {
	t.Helper()
	dir := t.TempDir()
	x, err := New(Config{Dir: dir, User: "publisher", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		r.URL.Path = "/"
		x.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	f := built(t, "1.0")
	contentType, body := f.Form()
	post(t, s.URL, contentType, &failing{rest: body[:len(body)-missing]}, basic)
	<-done
	empty(t, x, dir)
}

func TestRemovesLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{tempPrefix + "x", "notes.txt"} {
		if err := os.MkdirAll(filepath.Join(dir, "files"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "files", name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	x, s := start(t, dir)
	if files := x.Files(); len(files) != 0 {
		t.Errorf("the index holds %+v", files)
	}
	if _, err := os.Stat(filepath.Join(dir, "files", tempPrefix+"x")); !os.IsNotExist(err) {
		t.Errorf("a leftover is still there: %v", err)
	}
	for _, path := range []string{"/root/prod/files/notes.txt", "/root/prod/simple/acme/", "/other/"} {
		if status, _ := get(t, s.URL+path); status != http.StatusNotFound {
			t.Errorf("%s answers %d, want 404", path, status)
		}
	}
}

func TestNeedsACredential(t *testing.T) {
	if _, err := New(Config{Dir: t.TempDir(), User: "publisher"}); err == nil {
		t.Error("an index without a password was made")
	}
}
