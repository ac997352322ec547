package demo

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// simplePath is where the index has its simple pages, below its own path.
const simplePath = "+simple/"

// maxUpload bounds an upload in memory; the rest is kept in temporary files.
const maxUpload = 8 << 20

// registry is a small package index: legacy uploads with one password, simple pages, files on disk.
type registry struct{ dir, user, password string }

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)

func (x *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, below := strings.CutPrefix(r.URL.Path, indexPath)
	project, simple := strings.CutPrefix(path, simplePath)
	switch {
	case !below:
		http.NotFound(w, r)
	case r.Method == http.MethodPost && path == "":
		x.upload(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "only GET, HEAD and uploads are served", http.StatusMethodNotAllowed)
	case simple || path == "":
		x.page(w, strings.TrimSuffix(project, "/"))
	case plainName.MatchString(path):
		http.ServeFile(w, r, filepath.Join(x.dir, path))
	default:
		http.NotFound(w, r)
	}
}

func (x *registry) upload(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if user != x.user || subtle.ConstantTimeCompare([]byte(password), []byte(x.password)) != 1 {
		w.Header().Set("WWW-Authenticate", `Basic realm="index"`)
		http.Error(w, "wrong user or password", http.StatusUnauthorized)
		return
	}
	if err := r.ParseMultipartForm(maxUpload); err != nil {
		http.Error(w, "the upload is no whole form", http.StatusBadRequest)
		return
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }()
	in, head, err := r.FormFile("content")
	if err != nil || !plainName.MatchString(head.Filename) || r.FormValue(":action") != "file_upload" {
		http.Error(w, "the form lacks a file or its :action", http.StatusBadRequest)
		return
	}
	defer in.Close()
	switch err := x.store(head.Filename, in); {
	case errors.Is(err, os.ErrExist):
		http.Error(w, "the file exists already", http.StatusConflict)
	case err != nil:
		http.Error(w, "the file can't be stored", http.StatusInternalServerError)
	}
}

// store writes a file in one step: nobody ever sees half of it.
func (x *registry) store(name string, in io.Reader) error {
	tmp, err := os.CreateTemp(x.dir, ".upload-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = io.Copy(tmp, in)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Link(tmp.Name(), filepath.Join(x.dir, name)) // fails where the name is taken
}

var runs = regexp.MustCompile(`[-_.]+`)

// page lists the files of a project, or of all.
func (x *registry) page(w http.ResponseWriter, project string) {
	entries, err := os.ReadDir(x.dir)
	if err != nil {
		http.Error(w, "the files can't be listed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!DOCTYPE html>\n<title>%s</title>\n", html.EscapeString(project))
	for _, e := range entries {
		stem, _, _ := strings.Cut(e.Name(), "-")
		if e.IsDir() || !plainName.MatchString(e.Name()) || project != "" && runs.ReplaceAllString(strings.ToLower(stem), "-") != project {
			continue
		}
		b, err := os.ReadFile(filepath.Join(x.dir, e.Name()))
		if err != nil {
			continue
		}
		sum := sha256.Sum256(b)
		fmt.Fprintf(w, "<a href=\"%s%s#sha256=%s\">%s</a><br>\n", indexPath, html.EscapeString(e.Name()), hex.EncodeToString(sum[:]), html.EscapeString(e.Name()))
	}
}
