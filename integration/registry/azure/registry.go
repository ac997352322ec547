package azure

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// maxUpload bounds an upload of a test.
const maxUpload = 64 << 20

// refuse is an error of a container registry, and of the feed.
func refuse(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}

// form reads a form with exactly these parameters; scope may repeat.
func (s *Server) form(w http.ResponseWriter, r *http.Request, names ...string) bool {
	err := r.ParseForm()
	ok := err == nil && r.URL.RawQuery == "" && r.Header.Get("Authorization") == "" && len(r.PostForm) == len(names)
	for _, name := range names {
		ok = ok && r.PostForm.Get(name) != "" && (len(r.PostForm[name]) == 1 || name == "scope")
	}
	registry := s.Registry
	if registry == "" {
		registry = r.Host
	}
	if !ok || r.PostForm.Get("service") != registry {
		refuse(w, http.StatusBadRequest, "BAD_REQUEST", "a form with its parameters, for this registry")
		return false
	}
	return true
}

// exchange gives a refresh token of the registry for a token of Entra ID.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) {
	if !s.form(w, r, "grant_type", "service", "tenant", "access_token") {
		return
	}
	switch f := r.PostForm; {
	case f.Get("grant_type") != "access_token" || f.Get("tenant") != Tenant:
		refuse(w, http.StatusBadRequest, "BAD_REQUEST", "grant_type or tenant")
	case s.good(f.Get("access_token"), "access", containerRegistry) == nil:
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required: "+f.Get("access_token"))
	default:
		answer(w, http.StatusOK, map[string]string{"refresh_token": s.add(access{kind: "refresh"}, refreshLife)})
	}
}

var scopePattern = regexp.MustCompile(`^repository:([a-z0-9]+(?:[._/-]+[a-z0-9]+)*):((?:pull|push|delete)(?:,(?:pull|push|delete))*)$`)

// narrow gives an access token for the scopes, as far as the application has the rights.
func (s *Server) narrow(w http.ResponseWriter, r *http.Request) {
	if !s.form(w, r, "grant_type", "service", "scope", "refresh_token") {
		return
	}
	if r.PostForm.Get("grant_type") != "refresh_token" || s.good(r.PostForm.Get("refresh_token"), "refresh", "") == nil {
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required: "+r.PostForm.Get("refresh_token"))
		return
	}
	repositories := map[string][]string{}
	for _, scope := range r.PostForm["scope"] {
		m := scopePattern.FindStringSubmatch(scope)
		if m == nil {
			refuse(w, http.StatusBadRequest, "BAD_REQUEST", "scope "+scope)
			return
		}
		for action := range strings.SplitSeq(m[2], ",") {
			if action == "pull" || action == "push" && s.Pushes {
				repositories[m[1]] = append(repositories[m[1]], action)
			}
		}
	}
	answer(w, http.StatusOK, map[string]string{"access_token": s.add(access{kind: "scoped", repositories: repositories}, scopedLife)})
}

// see remembers a request, and gives its token.
func (s *Server) see(r *http.Request, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, Seen{r.Method, r.URL.EscapedPath(), token})
}

// uploadPyPI is twine's upload to the feed.
func (s *Server) uploadPyPI(w http.ResponseWriter, r *http.Request) {
	_, token, basic := r.BasicAuth()
	s.see(r, token)
	if !basic || !s.Feeds(token) {
		w.Header().Set("WWW-Authenticate", "Bearer authorization_uri=https://login.example.com")
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "no token of Azure DevOps: "+token)
		return
	}
	if err := r.ParseMultipartForm(maxUpload); err != nil || r.FormValue(":action") != "file_upload" {
		refuse(w, http.StatusBadRequest, "BAD_REQUEST", "no form of an upload")
		return
	}
	f, header, err := r.FormFile("content")
	if err != nil || r.FormValue("name") == "" || r.FormValue("version") == "" {
		refuse(w, http.StatusBadRequest, "BAD_REQUEST", "name, version or content is missing")
		return
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		refuse(w, http.StatusBadRequest, "BAD_REQUEST", "the body is cut")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.files[header.Filename]; there {
		refuse(w, http.StatusConflict, "CONFLICT", "the feed has this file")
		return
	}
	s.files[header.Filename] = content
	w.WriteHeader(http.StatusOK)
}

var imagePath = regexp.MustCompile(`^([a-z0-9._/-]+)/(blobs/uploads|blobs|manifests)/([A-Za-z0-9_.:-]*)$`)

// images is the API of the distribution specification, as far as a push needs it. A registry's token comes as a bearer token.
func (s *Server) images(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.see(r, token)
	m := imagePath.FindStringSubmatch(r.URL.Path)
	if m == nil {
		refuse(w, http.StatusNotFound, "NOT_FOUND", "no such call")
		return
	}
	action := "push"
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		action = "pull"
	}
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	switch {
	case !s.May(token, m[1], action):
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://`+r.Host+`/oauth2/token",service="`+r.Host+`",scope="repository:`+m[1]+`:pull,push"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required: "+token)
	case err != nil:
		refuse(w, http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "the body is cut")
	case action == "pull":
		s.pull(w, r, m[1]+"/"+m[3])
	case m[2] == "manifests" && r.Method == http.MethodPut:
		s.store(w, m[1], m[3], content)
	case m[2] == "blobs/uploads":
		s.layer(w, r, m[1], m[3], content)
	default:
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "no such call")
	}
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (s *Server) pull(w http.ResponseWriter, r *http.Request, name string) {
	content, there := s.Files()[name]
	if !there {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "unknown")
		return
	}
	w.Header().Set("Docker-Content-Digest", digestOf(content))
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(content)
	}
}

func (s *Server) store(w http.ResponseWriter, repository, name string, content []byte) {
	s.mu.Lock()
	s.files[repository+"/"+name] = content
	s.mu.Unlock()
	w.Header().Set("Docker-Content-Digest", digestOf(content))
	w.Header().Set("Location", "/v2/"+repository+"/blobs/"+digestOf(content))
	w.WriteHeader(http.StatusCreated)
}

// layer is an upload: begun, continued and ended.
func (s *Server) layer(w http.ResponseWriter, r *http.Request, repository, id string, content []byte) {
	if id == "" {
		id = random(8)
	}
	s.mu.Lock()
	s.parts[id] = append(s.parts[id], content...)
	whole := slices.Clone(s.parts[id])
	s.mu.Unlock()
	digest := r.URL.Query().Get("digest")
	if digest == "" {
		w.Header().Set("Location", "/v2/"+repository+"/blobs/uploads/"+id)
		w.Header().Set("Range", fmt.Sprintf("0-%d", max(len(whole)-1, 0)))
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if digest != digestOf(whole) {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "another digest")
		return
	}
	s.store(w, repository, digest, whole)
}
