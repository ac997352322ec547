// Package images keeps the images of the servers that keep a registry's contract for tests: the API of the distribution specification, as far
// as clients need it to push and to pull. Who may do what its owner says.
package images

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
)

// maxUpload bounds an upload of a test.
const maxUpload = 64 << 20

// The actions that May is asked about.
const (
	Read   = "read"
	Create = "create"
	Update = "update" // of a tag that there is
)

// Store keeps the images of one server.
type Store struct {
	// May says whether a request may act on a repository: 200, or what refuses it. It is asked before anything is kept or shown.
	May func(r *http.Request, repository, action string) int
	// Challenge is sent with a 401.
	Challenge func(*http.Request) string

	mu    sync.Mutex
	files map[string][]byte // blobs and manifests, by repository and digest or tag
	parts map[string][]byte // of blobs under way
}

var (
	blobPath     = regexp.MustCompile(`^/v2/([a-z0-9._/-]+)/blobs/(sha256:[0-9a-f]{64})$`)
	uploadPath   = regexp.MustCompile(`^/v2/([a-z0-9._/-]+)/blobs/uploads/([0-9a-f]*)$`)
	manifestPath = regexp.MustCompile(`^/v2/([a-z0-9._/-]+)/manifests/([A-Za-z0-9_.:-]+)$`)
	tagsPath     = regexp.MustCompile(`^/v2/([a-z0-9._/-]+)/tags/list$`)
)

// ServeHTTP answers below /v2/. A body that is cut stores nothing.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		refuse(w, http.StatusBadRequest, "SIZE_INVALID")
		return
	}
	path := r.URL.Path
	if m := uploadPath.FindStringSubmatch(path); m != nil {
		s.blob(w, r, m[1], m[2], content)
	} else if m := blobPath.FindStringSubmatch(path); m != nil {
		s.serve(w, r, m[1], m[2], "application/octet-stream")
	} else if m := manifestPath.FindStringSubmatch(path); m != nil && r.Method == http.MethodPut {
		s.manifest(w, r, m[1], m[2], content)
	} else if m != nil {
		s.serve(w, r, m[1], m[2], "application/vnd.oci.image.manifest.v1+json")
	} else if m := tagsPath.FindStringSubmatch(path); m != nil && r.Method == http.MethodGet {
		s.tags(w, r, m[1])
	} else if s.may(w, r, "", Read) {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN")
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": "no"}}})
}

// may asks the owner, and refuses.
func (s *Store) may(w http.ResponseWriter, r *http.Request, repository, action string) bool {
	status := s.May(r, repository, action)
	switch status {
	case http.StatusOK:
		return true
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", s.Challenge(r))
		refuse(w, status, "UNAUTHORIZED")
	default:
		refuse(w, status, "DENIED")
	}
	return false
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// keep puts a file into the store; the lock is held.
func (s *Store) keep(name string, content []byte) {
	if s.files == nil {
		s.files = map[string][]byte{}
	}
	s.files[name] = content
}

// blob is an upload: begun, continued and ended.
func (s *Store) blob(w http.ResponseWriter, r *http.Request, repository, id string, content []byte) {
	if !s.may(w, r, repository, Create) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == "" {
		b := make([]byte, 8)
		_, _ = rand.Read(b) // never fails
		id = hex.EncodeToString(b)
	}
	if s.parts == nil {
		s.parts = map[string][]byte{}
	}
	s.parts[id] = append(s.parts[id], content...)
	whole, digest := s.parts[id], r.URL.Query().Get("digest")
	w.Header().Set("Location", "/v2/"+repository+"/blobs/uploads/"+id)
	switch digest {
	case "":
		w.Header().Set("Range", fmt.Sprintf("0-%d", max(len(whole)-1, 0)))
		w.WriteHeader(http.StatusAccepted)
	case digestOf(whole):
		s.keep(repository+"@"+digest, whole)
		delete(s.parts, id)
		w.Header().Set("Location", "/v2/"+repository+"/blobs/"+digest)
		w.WriteHeader(http.StatusCreated)
	default:
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID")
	}
}

// manifest keeps a manifest under its tag and its digest.
func (s *Store) manifest(w http.ResponseWriter, r *http.Request, repository, reference string, content []byte) {
	s.mu.Lock()
	_, there := s.files[repository+"@"+reference]
	s.mu.Unlock()
	action := Create
	if there {
		action = Update
	}
	if !s.may(w, r, repository, action) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	digest := digestOf(content)
	s.keep(repository+"@"+reference, content)
	s.keep(repository+"@"+digest, content)
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Location", "/v2/"+repository+"/manifests/"+digest)
	w.WriteHeader(http.StatusCreated)
}

func (s *Store) serve(w http.ResponseWriter, r *http.Request, repository, reference, kind string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED")
		return
	}
	if !s.may(w, r, repository, Read) {
		return
	}
	s.mu.Lock()
	content, there := s.files[repository+"@"+reference]
	s.mu.Unlock()
	if !there {
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN")
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Docker-Content-Digest", digestOf(content))
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(content)
	}
}

// tags is the list of a repository's tags.
func (s *Store) tags(w http.ResponseWriter, r *http.Request, repository string) {
	if !s.may(w, r, repository, Read) {
		return
	}
	tags := s.Tags(repository)
	if len(tags) == 0 {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": repository, "tags": tags})
}

// Tags are those of a repository.
func (s *Store) Tags(repository string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var tags []string
	for name := range s.files {
		if tag, ok := strings.CutPrefix(name, repository+"@"); ok && !strings.HasPrefix(tag, "sha256:") {
			tags = append(tags, tag)
		}
	}
	return tags
}

// Manifests are those of all tags, by REPOSITORY:TAG.
func (s *Store) Manifests() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]byte{}
	for name, content := range s.files {
		if repository, tag, _ := strings.Cut(name, "@"); !strings.HasPrefix(tag, "sha256:") {
			all[repository+":"+tag] = content
		}
	}
	return all
}

// Digest is that of a tag's manifest; empty where there is none.
func (s *Store) Digest(repository, tag string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, there := s.files[repository+"@"+tag]
	if !there {
		return ""
	}
	return digestOf(content)
}

// Challenge is the same one for every request.
func Challenge(text string) func(*http.Request) string {
	return func(*http.Request) string { return text }
}
