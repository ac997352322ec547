package azure

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/integration/registry/images"
	"github.com/trustpub/trustpub/integration/registry/packages"
)

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

// feedChallenge is that of Azure Artifacts.
const feedChallenge = "Bearer authorization_uri=https://login.example.com"

// uploadPyPI is twine's upload to the feed.
func (s *Server) uploadPyPI(w http.ResponseWriter, r *http.Request) {
	_, token, basic := r.BasicAuth()
	s.see(r, token)
	if !basic || !s.Feeds(token) {
		w.Header().Set("WWW-Authenticate", feedChallenge)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "no token of Azure DevOps: "+token)
		return
	}
	f, err := packages.ReadPython(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "BAD_REQUEST", err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.files[f.File]; there {
		refuse(w, http.StatusConflict, "CONFLICT", "the feed has this file")
		return
	}
	s.files[f.File] = f.Content
	w.WriteHeader(http.StatusOK)
}

var imagePath = regexp.MustCompile(`^/v2/([a-z0-9._/-]+)/(?:blobs|manifests|tags)/`)

// challenge is that of a container registry.
func challenge(r *http.Request) string {
	scope := ""
	if m := imagePath.FindStringSubmatch(r.URL.Path); m != nil {
		scope = `,scope="repository:` + m[1] + `:pull,push"`
	}
	return `Bearer realm="https://` + r.Host + `/oauth2/token",service="` + r.Host + `"` + scope
}

// mayImage judges a request below /v2/ by the registry's token, which comes as a bearer token.
func (s *Server) mayImage(r *http.Request, repository, action string) int {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.see(r, token)
	need := "push"
	if action == images.Read {
		need = "pull"
	}
	if !s.May(token, repository, need) {
		return http.StatusUnauthorized
	}
	return http.StatusOK
}

// feeds are the paths of the feed whose packages the shared stores keep, with their formats. nuget/v2 is where packages are pushed, whatever the index
// of nuget/v3 is at, and the index of crates is below Cargo.
var feeds = map[string]string{"/npm/registry": packages.NPM, "/maven/v1": packages.Maven, "/nuget/v2": packages.NuGet, "/Cargo": packages.Cargo}

// mayPackage judges a request to one of the stores: Azure DevOps takes a token as Bearer, and as the password of anybody.
func (s *Server) mayPackage(r *http.Request, _, _ string) int {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		_, token, _ = r.BasicAuth()
	}
	s.see(r, token)
	if !s.Feeds(token) {
		return http.StatusUnauthorized
	}
	return http.StatusOK
}
