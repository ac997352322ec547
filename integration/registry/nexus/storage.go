package nexus

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"sort"
	"strings"
	"time"

	"github.com/trustpub/trustpub/integration/registry/packages"
)

// maxUpload bounds an upload of a test.
const maxUpload = 64 << 20

// pageSize is how many assets are listed at once.
const pageSize = 2

// assets is GET /service/rest/v1/assets?repository=R, page by page.
func (s *Server) assets(w http.ResponseWriter, r *http.Request) {
	repository := r.URL.Query().Get("repository")
	if s.kinds[repository] == "" {
		answer(w, http.StatusNotFound, "no such repository")
		return
	}
	files := maps.Clone(s.files)
	if store := s.stores[repository]; store != nil {
		for name, content := range store.Files() {
			files[repository+"/"+name] = content
		}
	}
	var keys []string
	for key := range files {
		if strings.HasPrefix(key, repository+"/") && key > r.URL.Query().Get("continuationToken") {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	var next any
	if len(keys) > pageSize {
		keys = keys[:pageSize]
		next = keys[pageSize-1]
	}
	items := []map[string]any{}
	for _, key := range keys {
		sum := sha1.Sum(files[key])
		items = append(items, map[string]any{
			"repository": repository, "path": strings.TrimPrefix(key, repository+"/"), "checksum": map[string]string{"sha1": hex.EncodeToString(sum[:])},
		})
	}
	answer(w, http.StatusOK, map[string]any{"items": items, "continuationToken": next})
}

// repository is a request to a hosted repository: POST of a form for Python, PUT of a file, GET, HEAD and DELETE.
func (s *Server) repository(w http.ResponseWriter, r *http.Request) {
	repository, path := r.PathValue("repository"), r.PathValue("path")
	content, whole := body(w, r) // before the lock, since the body waits for its end
	s.mu.Lock()
	defer s.mu.Unlock()
	user, who := s.of(r.Header)
	s.seen = append(s.seen, Seen{r.Method, r.URL.EscapedPath(), user})
	kind := s.kinds[repository]
	switch {
	case who == nil:
		w.Header().Set("WWW-Authenticate", `BASIC realm="Sonatype Nexus Repository Manager"`)
		w.WriteHeader(http.StatusUnauthorized)
	case kind == "":
		w.WriteHeader(http.StatusNotFound)
	case !whole: // a body that is cut stores nothing
		w.WriteHeader(http.StatusBadRequest)
	case kind == "pypi" && r.Method == http.MethodPost && path == "":
		s.uploadPyPI(w, r, content, repository, who)
	case kind != "pypi" && r.Method == http.MethodPut && path != "" && !strings.HasSuffix(path, "/"):
		s.store(w, repository, path, content, who, http.StatusCreated)
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		s.read(w, r, repository, path, who)
	case r.Method == http.MethodDelete && kind != "pypi":
		s.remove(w, repository, path, who)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func body(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	return b, err == nil
}

// uploadPyPI is twine's upload, stored as packages/NAME/VERSION/FILE.
func (s *Server) uploadPyPI(w http.ResponseWriter, r *http.Request, content []byte, repository string, who *account) {
	r.Body = io.NopCloser(bytes.NewReader(content))
	f, err := packages.ReadPython(r)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.store(w, repository, "packages/"+f.Normal()+"/"+f.Version+"/"+f.File, f.Content, who, http.StatusOK)
}

// store keeps a file: add for a new one; the write policy is that of releases, which lets nobody replace one but the indexes of Maven.
func (s *Server) store(w http.ResponseWriter, repository, path string, content []byte, who *account, success int) {
	key := repository + "/" + path
	_, there := s.files[key]
	action := "add"
	if there {
		action = "edit"
	}
	switch {
	case !s.may(who, repository, path, action):
		w.WriteHeader(http.StatusForbidden)
	case there && (s.kinds[repository] != "maven2" || !strings.Contains(path, "/maven-metadata.xml")):
		http.Error(w, "Repository does not allow updating assets: "+repository, http.StatusBadRequest)
	default:
		s.files[key] = content
		w.WriteHeader(success)
	}
}

func (s *Server) read(w http.ResponseWriter, r *http.Request, repository, path string, who *account) {
	content, there := s.files[repository+"/"+path]
	switch {
	case !s.may(who, repository, path, "read"):
		w.WriteHeader(http.StatusForbidden)
	case !there:
		w.WriteHeader(http.StatusNotFound)
	default:
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

func (s *Server) remove(w http.ResponseWriter, repository, path string, who *account) {
	_, there := s.files[repository+"/"+path]
	switch {
	case !s.may(who, repository, path, "delete"):
		w.WriteHeader(http.StatusForbidden)
	case !there:
		w.WriteHeader(http.StatusNotFound)
	default:
		delete(s.files, repository+"/"+path)
		w.WriteHeader(http.StatusNoContent)
	}
}
