package zot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// maxUpload bounds an upload of a test.
const maxUpload = 64 << 20

var (
	blobPath     = regexp.MustCompile(`^([a-z0-9._/-]+)/blobs/(sha256:[0-9a-f]{64})$`)
	uploadPath   = regexp.MustCompile(`^([a-z0-9._/-]+)/blobs/uploads/([0-9a-f]*)$`)
	manifestPath = regexp.MustCompile(`^([a-z0-9._/-]+)/manifests/([A-Za-z0-9_.:-]+)$`)
)

func refuse(w http.ResponseWriter, status int, code string) {
	answer(w, status, map[string]any{"errors": []map[string]string{{"code": code, "message": "no"}}})
}

// registry is the distribution API: 401 without a credential, 403 where the rules say no.
func (s *Server) registry(w http.ResponseWriter, r *http.Request) {
	path := r.PathValue("path")
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload)) // one that is cut stores nothing
	user := s.UserOf(r.Header)
	switch {
	case user == "":
		w.Header().Set("WWW-Authenticate", `Basic realm="Authorization Required"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
	case err != nil:
		refuse(w, http.StatusBadRequest, "SIZE_INVALID")
	case uploadPath.MatchString(path):
		m := uploadPath.FindStringSubmatch(path)
		s.blob(w, r, user, m[1], m[2], content)
	case blobPath.MatchString(path):
		m := blobPath.FindStringSubmatch(path)
		s.serve(w, r, user, m[1], m[2], "application/octet-stream")
	case manifestPath.MatchString(path):
		m := manifestPath.FindStringSubmatch(path)
		if r.Method == http.MethodPut {
			s.manifest(w, user, m[1], m[2], content)
			return
		}
		s.serve(w, r, user, m[1], m[2], "application/vnd.oci.image.manifest.v1+json")
	case strings.HasSuffix(path, "/tags/list") && r.Method == http.MethodGet:
		s.tags(w, user, strings.TrimSuffix(path, "/tags/list"))
	default:
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN")
	}
}

// tags is the list of an image's tags.
func (s *Server) tags(w http.ResponseWriter, user, repository string) {
	if !s.May(user, repository, "read") {
		refuse(w, http.StatusForbidden, "DENIED")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	tags := []string{}
	for name := range s.files {
		if tag, ok := strings.CutPrefix(name, repository+"@"); ok && !strings.HasPrefix(tag, "sha256:") {
			tags = append(tags, tag)
		}
	}
	if len(tags) == 0 {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN")
		return
	}
	answer(w, http.StatusOK, map[string]any{"name": repository, "tags": tags})
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// blob is an upload: begun, continued and ended.
func (s *Server) blob(w http.ResponseWriter, r *http.Request, user, repository, id string, content []byte) {
	if !s.May(user, repository, "create") {
		refuse(w, http.StatusForbidden, "DENIED")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == "" {
		id = random(8)
	}
	s.parts[id] = append(s.parts[id], content...)
	whole, digest := s.parts[id], r.URL.Query().Get("digest")
	w.Header().Set("Location", "/v2/"+repository+"/blobs/uploads/"+id)
	switch digest {
	case "":
		w.Header().Set("Range", fmt.Sprintf("0-%d", max(len(whole)-1, 0)))
		w.WriteHeader(http.StatusAccepted)
	case digestOf(whole):
		s.files[repository+"@"+digest] = whole
		delete(s.parts, id)
		w.Header().Set("Location", "/v2/"+repository+"/blobs/"+digest)
		w.WriteHeader(http.StatusCreated)
	default:
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID")
	}
}

// manifest keeps a manifest under its tag and its digest: create for a new one, update where the tag is moved.
func (s *Server) manifest(w http.ResponseWriter, user, repository, reference string, content []byte) {
	s.mu.Lock()
	_, there := s.files[repository+"@"+reference]
	s.mu.Unlock()
	action := "create"
	if there {
		action = "update"
	}
	if !s.May(user, repository, action) {
		refuse(w, http.StatusForbidden, "DENIED")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	digest := digestOf(content)
	s.files[repository+"@"+reference], s.files[repository+"@"+digest] = content, content
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Location", "/v2/"+repository+"/manifests/"+digest)
	w.WriteHeader(http.StatusCreated)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, user, repository, reference, kind string) {
	s.mu.Lock()
	content, there := s.files[repository+"@"+reference]
	s.mu.Unlock()
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED")
	case !s.May(user, repository, "read"):
		refuse(w, http.StatusForbidden, "DENIED")
	case !there:
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN")
	default:
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Docker-Content-Digest", digestOf(content))
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(content)
		}
	}
}
