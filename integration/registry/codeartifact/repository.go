package codeartifact

import (
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/integration/registry/packages"
)

// challenge is what CodeArtifact answers with a 401.
const challenge = `Basic realm="acme-` + Account + `"`

// formats are those whose packages the shared stores keep, by CodeArtifact's names of them.
var formats = map[string]string{"npm": packages.NPM, "maven": packages.Maven, "nuget": packages.NuGet, "cargo": packages.Cargo, "ruby": packages.RubyGems}

// token is the authorization token of a request, in the form that a format's clients are told to send: as Bearer, but for cargo, whose tokens are the
// whole header; for Python, Maven and NuGet as the password of aws too.
func token(r *http.Request, format string) string {
	header := r.Header.Get("Authorization")
	if format == "cargo" {
		return header
	}
	if bearer, ok := strings.CutPrefix(header, "Bearer "); ok {
		return bearer
	}
	if user, password, ok := r.BasicAuth(); ok && user == "aws" && format != "npm" && format != "ruby" {
		return password
	}
	return ""
}

// judge finds the session of a request, and asks whether it may do something with a package or, without one, read the repository: 200, 401 or 403.
func (s *Server) judge(r *http.Request, format, action, pkg string) int {
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
		return http.StatusUnauthorized
	case !s.May(raw, action, resource):
		return http.StatusForbidden
	}
	return http.StatusOK
}

// mayPackage judges a request to one of the shared stores.
func (s *Server) mayPackage(r *http.Request, format, pkg, action string) int {
	switch action {
	case packages.Read:
		return s.judge(r, format, "codeartifact:ReadFromRepository", "")
	case packages.Index:
		action = "codeartifact:PutPackageMetadata"
	default:
		action = "codeartifact:PublishPackageVersion"
	}
	resource := "/" + strings.ToLower(pkg)
	if scoped, ok := strings.CutPrefix(pkg, "@"); ok {
		resource = scoped
	} else if group, artifact, ok := strings.Cut(pkg, ":"); ok {
		resource = group + "/" + artifact
	}
	return s.judge(r, format, action, resource)
}

// enter is judge, and refuses.
func (s *Server) enter(w http.ResponseWriter, r *http.Request, format, action, pkg string) bool {
	switch status := s.judge(r, format, action, pkg); status {
	case http.StatusOK:
		return true
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", challenge)
		refuse(w, status, "Unauthenticated", "Unauthenticated: "+token(r, format))
	default:
		refuse(w, status, "AccessDeniedException", "not authorized to perform "+action+" on "+pkg)
	}
	return false
}

// keep stores a file; one that is there stays.
func (s *Server) keep(w http.ResponseWriter, name string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.files[name]; there {
		refuse(w, http.StatusConflict, "ConflictException", "the asset exists")
		return
	}
	s.files[name] = content
	w.WriteHeader(http.StatusOK)
}

// uploadPyPI is twine's upload.
func (s *Server) uploadPyPI(w http.ResponseWriter, r *http.Request) {
	f, err := packages.ReadPython(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "ValidationException", err.Error())
	} else if s.enter(w, r, "pypi", "codeartifact:PublishPackageVersion", "/"+f.Normal()) {
		s.keep(w, "pypi/"+f.Normal()+"/"+f.Version+"/"+f.File, f.Content)
	}
}
