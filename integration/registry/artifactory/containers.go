package artifactory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// Docker is the repository of containers, whose name is the first part of an image's.
const Docker = "docker-local"

var (
	blobPath     = regexp.MustCompile(`^([a-z0-9._/-]+)/blobs/(sha256:[0-9a-f]{64})$`)
	uploadPath   = regexp.MustCompile(`^([a-z0-9._/-]+)/blobs/uploads/([0-9a-f]*)$`)
	manifestPath = regexp.MustCompile(`^([a-z0-9._/-]+)/manifests/([A-Za-z0-9_.:-]+)$`)
)

// containers is the API of the distribution specification: layers below the image's _uploads, a manifest below its tag. A token comes as
// the password of a Basic credential.
func (s *Server) containers(w http.ResponseWriter, r *http.Request, repository string, who *token) {
	rest := r.PathValue("path")
	switch {
	case who == nil || !strings.HasPrefix(r.Header.Get("Authorization"), "Basic "):
		w.Header().Set("WWW-Authenticate", `Basic realm="Artifactory Realm"`)
		refuse(w, http.StatusUnauthorized, "Authentication is required")
	case uploadPath.MatchString(rest):
		m := uploadPath.FindStringSubmatch(rest)
		s.layer(w, r, repository, m[1], m[2], who)
	case blobPath.MatchString(rest):
		m := blobPath.FindStringSubmatch(rest)
		s.serveContainer(w, r, repository, layerPath(m[1], m[2]), "application/octet-stream", who)
	case manifestPath.MatchString(rest):
		m := manifestPath.FindStringSubmatch(rest)
		path := m[1] + "/" + strings.ReplaceAll(m[2], ":", "__") + "/manifest.json"
		if r.Method != http.MethodPut {
			s.serveContainer(w, r, repository, path, "application/vnd.oci.image.manifest.v1+json", who)
			return
		}
		if content, ok := body(w, r); ok && s.deploy(w, who, repository, path, content, "w") {
			w.Header().Set("Docker-Content-Digest", digestOf(content))
			w.Header().Set("Location", "/v2/"+repository+"/"+rest)
			w.WriteHeader(http.StatusCreated)
		}
	default:
		refuse(w, http.StatusNotFound, "no such call")
	}
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func layerPath(image, digest string) string {
	return image + "/_uploads/" + strings.ReplaceAll(digest, ":", "__")
}

// layer is an upload: begun, continued and ended.
func (s *Server) layer(w http.ResponseWriter, r *http.Request, repository, image, id string, who *token) {
	content, ok := body(w, r)
	if !ok {
		return
	}
	if !who.may(repository, image+"/_uploads/"+id, "w") {
		refuse(w, http.StatusForbidden, "needs w on "+image)
		return
	}
	s.mu.Lock()
	if id == "" {
		id = random(8)
	}
	s.parts[id] = append(s.parts[id], content...)
	whole := s.parts[id]
	s.mu.Unlock()
	digest := r.URL.Query().Get("digest")
	w.Header().Set("Location", "/v2/"+repository+"/"+image+"/blobs/uploads/"+id)
	if digest == "" {
		w.Header().Set("Range", fmt.Sprintf("0-%d", max(len(whole)-1, 0)))
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if digest != digestOf(whole) {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID")
		return
	}
	s.mu.Lock()
	s.files[repository+"/"+layerPath(image, digest)] = whole // the same bytes as what may be there
	delete(s.parts, id)
	s.mu.Unlock()
	w.Header().Set("Location", "/v2/"+repository+"/"+image+"/blobs/"+digest)
	w.WriteHeader(http.StatusCreated)
}

func (s *Server) serveContainer(w http.ResponseWriter, r *http.Request, repository, path, kind string, who *token) {
	content, there := s.Files()[repository+"/"+path]
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		refuse(w, http.StatusMethodNotAllowed, "no such call")
	case !who.may(repository, path, "r"):
		refuse(w, http.StatusForbidden, "needs r on "+path)
	case !there:
		refuse(w, http.StatusNotFound, "unknown")
	default:
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Docker-Content-Digest", digestOf(content))
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(content)
		}
	}
}
