package rubygems

import (
	"bytes"
	"compress/gzip"
	"crypto/md5" //nolint:gosec // the index has it, as a name of what it was
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/demo/script"
)

// maxMetadata bounds a specification.
const maxMetadata = 1 << 20

// server is a small gem server: push, and the index and gems that Bundler and gem read.
type server struct {
	secret string
	mux    *http.ServeMux
	gems   script.Shelf // NAME/VERSION
}

func open(string) (*script.Store, error) {
	s := &server{secret: script.NewSecret(), mux: http.NewServeMux()}
	s.mux.HandleFunc("POST /"+pushPath, s.push)
	s.mux.HandleFunc("GET /versions", s.versions)
	s.mux.HandleFunc("GET /names", s.names)
	s.mux.HandleFunc("GET /info/{name}", s.info)
	s.mux.HandleFunc("GET /gems/{file}", s.gem)
	return &script.Store{
		Handler: s.mux, Secret: s.secret, Stored: s.gems.Stored, Shelf: &s.gems,
		Identify: func(_ string, gem []byte) (name, version string, err error) { return identify(gem) },
	}, nil
}

// push keeps a gem under the name and version that it has inside, once all of it came.
func (s *server) push(w http.ResponseWriter, r *http.Request) {
	if !script.Same(r.Header.Get("Authorization"), s.secret) {
		http.Error(w, "Access Denied. Please sign up for an account.", http.StatusUnauthorized)
		return
	}
	body, ok := script.Body(w, r)
	if !ok {
		return
	}
	name, version, err := identify(body)
	if err != nil {
		http.Error(w, "This is not a gem: "+err.Error(), http.StatusUnprocessableEntity)
		return
	}
	if err := s.gems.Put(name+"/"+version, body, false); err != nil {
		http.Error(w, "Repushing of gem versions is not allowed.", http.StatusConflict)
		return
	}
	fmt.Fprintf(w, "Successfully registered gem: %s (%s)", name, version)
}

var (
	nameLine    = regexp.MustCompile(`(?m)^name: ([A-Za-z0-9._-]+)$`)
	versionLine = regexp.MustCompile(`(?m)^  version: '?([A-Za-z0-9.]+)'?$`)
)

// identify reads name and version of a whole gem.
func identify(gem []byte) (name, version string, err error) {
	packed, err := script.Untar(gem, "metadata.gz")
	if err != nil {
		return "", "", err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", "", errors.New("its metadata is no gzip")
	}
	text, err := io.ReadAll(io.LimitReader(unpacked, maxMetadata))
	names, versions := nameLine.FindSubmatch(text), versionLine.FindSubmatch(text)
	if err != nil || names == nil || versions == nil {
		return "", "", errors.New("its metadata names no version of a gem")
	}
	return string(names[1]), string(versions[1]), nil
}

// lines are those of a gem in the index.
func (s *server) lines(name string) []byte {
	b := []byte("---\n")
	for _, version := range s.gems.Below(name + "/") {
		data, _ := s.gems.Get(name + "/" + version)
		b = fmt.Appendf(b, "%s |checksum:%s\n", version, script.SHA256(data))
	}
	return b
}

// all are the names.
func (s *server) all() []string {
	var names []string
	for _, path := range s.gems.Below("") {
		name, _, _ := strings.Cut(path, "/")
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return names
}

func (s *server) info(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if len(s.gems.Below(name+"/")) == 0 {
		http.NotFound(w, r)
		return
	}
	text(w, s.lines(name))
}

func (s *server) names(w http.ResponseWriter, _ *http.Request) {
	text(w, []byte("---\n"+strings.Join(append(s.all(), ""), "\n")))
}

func (s *server) versions(w http.ResponseWriter, _ *http.Request) {
	b := []byte("created_at: 2020-01-01T00:00:00Z\n---\n")
	for _, name := range s.all() {
		b = fmt.Appendf(b, "%s %s %x\n", name, strings.Join(s.gems.Below(name+"/"), ","), md5.Sum(s.lines(name))) //nolint:gosec // as above
	}
	text(w, b)
}

func (s *server) gem(w http.ResponseWriter, r *http.Request) {
	file := strings.TrimSuffix(r.PathValue("file"), ".gem")
	at := max(0, strings.LastIndexByte(file, '-'))
	data, ok := s.gems.Get(file[:at] + "/" + strings.TrimPrefix(file[at:], "-"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(data) // a client that went away has nobody to tell
}

func text(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(b) // as above
}
