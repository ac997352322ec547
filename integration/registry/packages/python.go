package packages

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// Python is a file of a release, as twine uploads it.
type Python struct {
	Name, Version, File string
	Content             []byte
}

// What is wrong with an upload.
var (
	ErrForm   = errors.New("no form of an upload with a name, a version and a content")
	ErrDigest = errors.New("sha256_digest is that of something else")
)

// ReadPython reads the form of an upload. One that is cut is none.
func ReadPython(r *http.Request) (Python, error) {
	if err := r.ParseMultipartForm(maxUpload); err != nil || r.FormValue(":action") != "file_upload" {
		return Python{}, ErrForm
	}
	f, header, err := r.FormFile("content")
	if err != nil {
		return Python{}, ErrForm
	}
	defer f.Close()
	p := Python{Name: r.FormValue("name"), Version: r.FormValue("version"), File: header.Filename}
	if p.Content, err = io.ReadAll(f); err != nil || p.Name == "" || p.Version == "" || p.File == "" || strings.ContainsAny(p.Name+p.Version+p.File, `/\`) {
		return Python{}, ErrForm
	}
	sum := sha256.Sum256(p.Content)
	if given := r.FormValue("sha256_digest"); given != "" && given != hex.EncodeToString(sum[:]) {
		return Python{}, ErrDigest
	}
	return p, nil
}

var separators = regexp.MustCompile(`[-_.]+`)

// Normal is the package's name as indexes write it.
func (p Python) Normal() string { return strings.ToLower(separators.ReplaceAllString(p.Name, "-")) }
