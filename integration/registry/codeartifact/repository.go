package codeartifact

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// maxUpload bounds an upload of a test.
const maxUpload = 64 << 20

// token is the authorization token of a request, in the forms that a format's clients send: npm's as Bearer, the others' as Basic too.
func token(r *http.Request, format string) string {
	header := r.Header.Get("Authorization")
	if bearer, ok := strings.CutPrefix(header, "Bearer "); ok {
		return bearer
	}
	if user, password, ok := r.BasicAuth(); ok && user == "aws" && format != "npm" {
		return password
	}
	return ""
}

// enter finds the session of a request, and asks whether it may do something with a package or, without one, read the repository.
func (s *Server) enter(w http.ResponseWriter, r *http.Request, format, action, pkg string) bool {
	raw := token(r, format)
	s.mu.Lock()
	in := s.tokens[raw]
	name := ""
	if in != nil {
		name = in.name
	}
	s.seen = append(s.seen, Seen{r.Method, r.URL.EscapedPath(), name, raw})
	s.mu.Unlock()
	resource := "repository/" + Domain + "/" + Repository
	if pkg != "" {
		resource = "package/" + Domain + "/" + Repository + "/" + format + "/" + pkg
	}
	switch {
	case !s.Good(raw):
		w.Header().Set("WWW-Authenticate", `Basic realm="acme-`+Account+`"`)
		refuse(w, http.StatusUnauthorized, "Unauthenticated", "Unauthenticated: "+raw)
	case !s.May(raw, action, resource):
		refuse(w, http.StatusForbidden, "AccessDeniedException", "not authorized to perform "+action+" on "+resource)
	default:
		return true
	}
	return false
}

// keep stores a file; one that is there stays, but for an index of Maven.
func (s *Server) keep(w http.ResponseWriter, name string, content []byte, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.files[name]; there && !again {
		refuse(w, http.StatusConflict, "ConflictException", "the asset exists")
		return
	}
	s.files[name] = content
	w.WriteHeader(http.StatusOK)
}

var separators = regexp.MustCompile(`[-_.]+`)

// uploadPyPI is twine's upload.
func (s *Server) uploadPyPI(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseMultipartForm(maxUpload); err != nil || r.FormValue(":action") != "file_upload" {
		refuse(w, http.StatusBadRequest, "ValidationException", "no form of an upload")
		return
	}
	f, header, err := r.FormFile("content")
	if err != nil || r.FormValue("name") == "" || r.FormValue("version") == "" {
		refuse(w, http.StatusBadRequest, "ValidationException", "name, version or content is missing")
		return
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil || r.FormValue("sha256_digest") != "" && r.FormValue("sha256_digest") != digest(content) {
		refuse(w, http.StatusBadRequest, "ValidationException", "sha256_digest")
		return
	}
	name := strings.ToLower(separators.ReplaceAllString(r.FormValue("name"), "-"))
	if s.enter(w, r, "pypi", "codeartifact:PublishPackageVersion", "/"+name) {
		s.keep(w, "pypi/"+name+"/"+r.FormValue("version")+"/"+header.Filename, content, false)
	}
}

// npm stores the archive of a document, and answers reads of a package with none.
func (s *Server) npm(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		if s.enter(w, r, "npm", "codeartifact:ReadFromRepository", "") {
			refuse(w, http.StatusNotFound, "ResourceNotFoundException", "no such package")
		}
		return
	}
	var doc struct {
		Name        string `json:"name"`
		Versions    map[string]json.RawMessage
		Attachments map[string]struct{ Data []byte } `json:"_attachments"`
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxUpload)).Decode(&doc)
	if err != nil || r.Method != http.MethodPut || doc.Name != r.PathValue("name") || len(doc.Versions) != 1 || len(doc.Attachments) != 1 {
		refuse(w, http.StatusBadRequest, "ValidationException", "no document of one version")
		return
	}
	pkg := "/" + doc.Name
	if scoped, ok := strings.CutPrefix(doc.Name, "@"); ok {
		pkg = scoped
	}
	if !s.enter(w, r, "npm", "codeartifact:PublishPackageVersion", pkg) {
		return
	}
	for version := range doc.Versions {
		for _, a := range doc.Attachments {
			s.keep(w, "npm/"+doc.Name+"/"+version, a.Data, false)
		}
	}
}

// maven stores files by their path.
func (s *Server) maven(w http.ResponseWriter, r *http.Request) {
	path := r.PathValue("path")
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		if !s.enter(w, r, "maven", "codeartifact:ReadFromRepository", "") {
			return
		}
		content, there := s.Files()["maven/"+path]
		if !there {
			refuse(w, http.StatusNotFound, "ResourceNotFoundException", "no such asset")
			return
		}
		_, _ = w.Write(content)
		return
	}
	segments := strings.Split(path, "/")
	index := strings.HasPrefix(segments[len(segments)-1], "maven-metadata.xml")
	behind := 3 // artifact, version and file
	if index {
		behind = 2
	}
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil || r.Method != http.MethodPut || len(segments) <= behind {
		refuse(w, http.StatusBadRequest, "ValidationException", "no PUT of a whole file below a group, an artifact and a version")
		return
	}
	at := len(segments) - behind
	action := "codeartifact:PublishPackageVersion"
	if index {
		action = "codeartifact:PutPackageMetadata"
	}
	if s.enter(w, r, "maven", action, strings.Join(segments[:at], ".")+"/"+segments[at]) {
		s.keep(w, "maven/"+path, content, index)
	}
}
