// Package nexus is a server that keeps the contract of Sonatype Nexus Repository 3 as its OpenAPI document and its sources state it, for
// tests: the product itself can't be installed from a package registry. It makes and deletes users and their tokens, judges them by roles,
// and takes uploads into hosted repositories. What is not documented it refuses.
package nexus

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/trustpub/trustpub/integration/registry/images"
	"github.com/trustpub/trustpub/integration/registry/packages"
)

// The repositories.
const (
	PyPI  = "pypi-hosted"
	Maven = "maven-releases"
	Raw   = "raw-hosted"
	// Docker has a connector of its own, here at the same port: /v2/ leads to it.
	Docker = "docker-hosted"
	NPM    = "npm-hosted"
	NuGet  = "nuget-hosted"
	Gems   = "rubygems-hosted"
	Cargo  = "cargo-hosted"
)

// formats are those of the repositories whose packages the shared stores keep.
var formats = map[string]string{NPM: packages.NPM, NuGet: packages.NuGet, Gems: packages.RubyGems, Cargo: packages.Cargo}

// Admin is the account that makes users.
const Admin = "trustpub-maker"

// Server is one Nexus.
type Server struct {
	*httptest.Server
	// AdminPassword is the account's, AdminOther another that it takes.
	AdminPassword, AdminOther string
	// Roles are what their holders may do.
	Roles map[string][]Privilege
	// UserTokens says that user tokens are enabled, RequireTokens that repositories take nothing else.
	UserTokens, RequireTokens bool
	// Change alters an answer about a new user, and one about a new token, for what must be noticed; may be nil.
	Change func(answer map[string]any)

	kinds  map[string]string // of repositories
	images *images.Store
	stores map[string]*packages.Store // by repository

	mu    sync.Mutex
	users map[string]*account
	files map[string][]byte // by repository and path
	seen  []Seen
	made  int
}

// Privilege is a right on a repository, below a path where it has a content selector.
type Privilege struct{ Repository, Path, Actions string }

// account is a user; name and code are those of the user token.
type account struct {
	password, role string
	name, code     string
}

// Seen is one request below /repository with the user of its credential.
type Seen struct{ Method, Path, User string }

// Start starts one.
func Start() *Server {
	s := New()
	s.Server = httptest.NewServer(s.Handler())
	return s
}

// New makes one that nobody serves yet.
func New() *Server {
	s := &Server{
		AdminPassword: "canary-maker-" + random(8), AdminOther: "canary-maker-" + random(8),
		kinds: map[string]string{PyPI: "pypi", Maven: "maven2", Raw: "raw"}, users: map[string]*account{}, files: map[string][]byte{},
		Roles: map[string][]Privilege{
			"publish": {{PyPI, "", "browse read add edit"}, {Maven, "", "browse read add edit"}, {Raw, "", "browse read add edit"}, {Docker, "", "browse read add edit"}},
			"delete":  {{Raw, "", "browse read delete"}},
			"read":    {{PyPI, "", "browse read"}, {Maven, "", "browse read"}, {Raw, "", "browse read"}},
			"raw-one": {{Raw, "acme-widget/", "browse read add edit"}},
		},
	}
	const challenge = `BASIC realm="Sonatype Nexus Repository Manager"`
	s.images = &images.Store{Challenge: images.Challenge(challenge), May: s.mayImage}
	s.stores = map[string]*packages.Store{}
	for repository, format := range formats {
		s.kinds[repository] = format
		s.Roles["publish"] = append(s.Roles["publish"], Privilege{repository, "", "browse read add edit"})
		store := packages.New(format)
		store.Challenge, store.Taken, store.Private = challenge, http.StatusBadRequest, true
		store.May = func(r *http.Request, pkg, action string) int { return s.mayPackage(r, repository, pkg, action) }
		s.stores[repository] = store
	}
	return s
}

// mayImage judges a request below /v2/ as one to any repository: adding what is not there, editing what is.
func (s *Server) mayImage(r *http.Request, image, action string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, who := s.of(r.Header)
	s.seen = append(s.seen, Seen{r.Method, r.URL.EscapedPath(), user})
	need := map[string]string{images.Read: "read", images.Create: "add", images.Update: "edit"}[action]
	if name, password, _ := r.BasicAuth(); name == Admin && password == s.AdminPassword && action == images.Read {
		return http.StatusOK
	}
	switch {
	case who == nil:
		return http.StatusUnauthorized
	case !s.may(who, Docker, image, need):
		return http.StatusForbidden
	}
	return http.StatusOK
}

// mayPackage judges a request to a repository of packages. A new version edits what there is of its package: documents and indexes.
func (s *Server) mayPackage(r *http.Request, repository, pkg, action string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, who := s.of(r.Header)
	s.seen = append(s.seen, Seen{r.Method, r.URL.EscapedPath(), user})
	switch {
	case who == nil:
		return http.StatusUnauthorized
	case action == packages.Read && s.may(who, repository, pkg, "read"), action == packages.Publish && s.may(who, repository, pkg, "add") && s.may(who, repository, pkg, "edit"):
		return http.StatusOK
	}
	return http.StatusForbidden
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// Handler has the calls for users and the repositories.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /service/rest/v1/security/users", s.admin(s.createUser))
	mux.HandleFunc("GET /service/rest/v1/security/users", s.admin(s.listUsers))
	mux.HandleFunc("DELETE /service/rest/v1/security/users/{id}", s.admin(s.deleteUser))
	mux.HandleFunc("POST /service/rest/v1/security/users/{id}/{realm}/user-token", s.admin(s.createToken))
	mux.HandleFunc("DELETE /service/rest/v1/security/users/{id}/{realm}/user-token", s.admin(s.deleteToken))
	mux.HandleFunc("GET /service/rest/v1/assets", s.admin(s.assets))
	mux.HandleFunc("/repository/{repository}/{path...}", s.repository)
	mux.Handle("/v2/", s.images)
	for repository, store := range s.stores {
		mux.Handle("/repository/"+repository+"/", packages.Below("/repository/"+repository, store))
	}
	return mux
}

// admin lets the account in alone.
func (s *Server) admin(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case user == Admin && (password == s.AdminPassword || password == s.AdminOther):
			s.mu.Lock()
			defer s.mu.Unlock()
			next(w, r)
		case s.Good(r.Header):
			w.WriteHeader(http.StatusForbidden)
		default:
			w.Header().Set("WWW-Authenticate", `BASIC realm="Sonatype Nexus Repository Manager"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
}

// of is the user of a credential, by his password or his token; the lock is held.
func (s *Server) of(h http.Header) (string, *account) {
	r := http.Request{Header: h}
	name, secret, ok := r.BasicAuth()
	if !ok || secret == "" {
		return "", nil
	}
	if a := s.users[name]; a != nil && a.password == secret && !s.RequireTokens {
		return name, a
	}
	for id, a := range s.users {
		if a.name == name && a.code == secret {
			return id, a
		}
	}
	return "", nil
}

// Good says whether a credential is still one.
func (s *Server) Good(h http.Header) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, a := s.of(h)
	return a != nil
}

// May says whether a credential may do something at a path of a repository: browse, read, add, edit or delete.
func (s *Server) May(h http.Header, repository, path, action string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, a := s.of(h)
	return a != nil && s.may(a, repository, path, action)
}

func (s *Server) may(a *account, repository, path, action string) bool {
	for _, p := range s.Roles[a.role] {
		if p.Repository == repository && strings.HasPrefix(path, p.Path) && strings.Contains(" "+p.Actions+" ", " "+action+" ") {
			return true
		}
	}
	return false
}

// Strand leaves a user behind.
func (s *Server) Strand(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[name] = &account{password: random(8), role: "publish"}
}

// PasswordOf is the credential of a user who was left behind, as NAME:PASSWORD.
func (s *Server) PasswordOf(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return name + ":" + s.users[name].password
}

// Users are the names of all but the account.
func (s *Server) Users() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := []string{}
	for name := range s.users {
		names = append(names, name)
	}
	return names
}

// Made is how many users there have been.
func (s *Server) Made() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made
}

// Seen are the requests below /repository so far.
func (s *Server) Seen() []Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Seen(nil), s.seen...)
}
