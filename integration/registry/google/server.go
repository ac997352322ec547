// Package google is a server that keeps the contract of Google's Security Token Service, of the IAM credentials API and of Artifact Registry
// as their documentation states it, for tests. What is not documented it refuses.
package google

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/trustpub/trustpub/integration/registry/images"
	"github.com/trustpub/trustpub/integration/registry/packages"
	"github.com/trustpub/trustpub/integration/registry/trust"
)

// The names of what is there.
const (
	Provider       = "projects/123456789012/locations/global/workloadIdentityPools/trustpub/providers/github"
	ServiceAccount = "publisher@acme-prod.iam.gserviceaccount.com"
	Project        = "acme-prod"
	Python         = "python-releases"
	NPM            = "npm-releases"
	Maven          = "maven-releases"
	// Images is the repository of containers, whose name follows that of the project in an image's.
	Images = "images"
)

// The scopes of access tokens.
const (
	scopeWrite = "https://www.googleapis.com/auth/cloud-platform"
	scopeRead  = "https://www.googleapis.com/auth/cloud-platform.read-only"
)

// federatedLife is how long a federated token lives, maxLife a service account's at the longest.
const (
	federatedLife = time.Hour
	maxLife       = time.Hour
)

// challenge is what Artifact Registry answers with a 401.
const challenge = `Basic realm="Google Artifact Registry"`

// Server is one project with a pool of workload identities, a service account and a repository of each format.
type Server struct {
	*httptest.Server
	// Now is the clock.
	Now func() time.Time
	// Members are who may write to the repositories: the service account, or "federated".
	Members []string
	// Users are who may act as the service account: "federated".
	Users []string

	issuer trust.Issuer
	stores map[string]*packages.Store // by repository
	images *images.Store

	mu     sync.Mutex
	tokens map[string]access
	files  map[string][]byte // of Python
	seen   []Seen
}

// Seen is one request that reached a repository, with whom its token is of.
type Seen struct{ Method, Path, Member, Token string }

// access is what a token is good for.
type access struct {
	member, scope string
	ends          time.Time
}

// New makes one that nobody serves yet. Its provider trusts the issuer.
func New(issuer trust.Issuer) *Server {
	s := &Server{
		Now: time.Now, Members: []string{ServiceAccount}, Users: []string{"federated"}, issuer: issuer, tokens: map[string]access{}, files: map[string][]byte{},
		stores: map[string]*packages.Store{NPM: packages.New(packages.NPM), Maven: packages.New(packages.Maven)},
	}
	for name, store := range s.stores {
		store.Challenge = challenge
		store.May = func(r *http.Request, _, action string) int { return s.judge(r, name == NPM, action != packages.Read) }
	}
	s.images = &images.Store{Challenge: images.Challenge(challenge), May: s.mayImage}
	return s
}

// mayImage judges a request below /v2/; a name there begins with the project and the repository.
func (s *Server) mayImage(r *http.Request, repository, action string) int {
	if !strings.HasPrefix(repository, Project+"/"+Images+"/") {
		return http.StatusNotFound
	}
	return s.judge(r, true, action != images.Read)
}

// Start starts one.
func Start(issuer trust.Issuer) *Server {
	s := New(issuer)
	s.Server = httptest.NewUnstartedServer(s.Handler())
	for _, store := range s.stores {
		store.Host = s.Listener.Addr().String() // whatever host a proxy was asked for
	}
	s.Server.Start()
	return s
}

// Trust replaces the issuer that the provider trusts.
func (s *Server) Trust(issuer trust.Issuer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuer = issuer
}

// Handler has the calls of both services, and the repositories.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/token", s.exchange)
	mux.HandleFunc("POST /v1/projects/-/serviceAccounts/{account}", s.impersonate)
	mux.HandleFunc("POST /"+Project+"/"+Python+"/{$}", s.uploadPyPI)
	for name, store := range s.stores {
		mux.Handle("/"+Project+"/"+name+"/", packages.Below("/"+Project+"/"+name, store))
	}
	mux.Handle("/v2/", s.images)
	return mux
}

// Files are those of the repositories, as repository, slash and path, and the manifests of images, as name, colon and tag.
func (s *Server) Files() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]byte{}
	for name, content := range s.files {
		all[name] = content
	}
	for repository, store := range s.stores {
		for name, content := range store.Files() {
			all[repository+"/"+name] = content
		}
	}
	maps.Copy(all, s.images.Manifests())
	return all
}

// Seen lists the requests of the repositories.
func (s *Server) Seen() []Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// May asks whether a token is good, and may write; whom it is of.
func (s *Server) May(token string) (member string, reads, writes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, there := s.tokens[token]
	if !there || !s.Now().Before(a.ends) || !slices.Contains(s.Members, a.member) {
		return a.member, false, false
	}
	return a.member, true, a.scope == scopeWrite
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func (s *Server) add(member, scope string, life time.Duration) (string, time.Time) {
	token, ends := "ya29."+random(100), s.Now().Add(life)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = access{member, scope, ends}
	return token, ends
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// problem is an error of the STS; its description quotes what was sent.
func problem(w http.ResponseWriter, code, description string) {
	answer(w, http.StatusBadRequest, map[string]string{"error": code, "error_description": description})
}

// parameters are those of the exchange that the contract knows; each is required.
var parameters = map[string]string{
	"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
	"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "audience": "", "scope": "", "subject_token": "",
}

// exchange is the call token of the STS.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.URL.RawQuery != "" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.Header.Get("Authorization") != "" {
		problem(w, "invalid_request", "a form without an Authorization")
		return
	}
	for name, values := range r.PostForm {
		if _, known := parameters[name]; !known || len(values) != 1 {
			problem(w, "invalid_request", "parameter "+name)
			return
		}
	}
	f := r.PostForm
	for name, want := range parameters {
		if f.Get(name) == "" || want != "" && f.Get(name) != want {
			problem(w, "invalid_request", "parameter "+name)
			return
		}
	}
	s.mu.Lock()
	issuer := s.issuer
	s.mu.Unlock()
	switch err := issuer.Check(f.Get("subject_token"), s.Now()); {
	case f.Get("scope") != scopeWrite && f.Get("scope") != scopeRead:
		problem(w, "invalid_scope", f.Get("scope"))
	case f.Get("audience") != "//iam.googleapis.com/"+Provider:
		problem(w, "invalid_target", "no such provider: "+f.Get("audience"))
	case errors.Is(err, trust.ErrClaim):
		problem(w, "unauthorized_client", "The given credential is rejected by the attribute condition.")
	case err != nil:
		problem(w, "invalid_grant", err.Error()+": "+f.Get("subject_token"))
	default:
		token, _ := s.add("federated", f.Get("scope"), federatedLife)
		answer(w, http.StatusOK, map[string]any{
			"access_token": token, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": int(federatedLife / time.Second),
		})
	}
}

// refuse is an error of Google's APIs.
func refuse(w http.ResponseWriter, status int, name, message string) {
	answer(w, status, map[string]any{"error": map[string]any{"code": status, "status": name, "message": message}})
}

var lifetime = regexp.MustCompile(`^([0-9]{1,5})s$`)

// impersonate is generateAccessToken.
func (s *Server) impersonate(w http.ResponseWriter, r *http.Request) {
	account, call, _ := strings.Cut(r.PathValue("account"), ":")
	var q struct {
		Delegates []string `json:"delegates"`
		Scope     []string `json:"scope"`
		Lifetime  string   `json:"lifetime"`
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	dec.DisallowUnknownFields()
	err := dec.Decode(&q)
	raw, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	who, known := s.tokens[raw]
	s.mu.Unlock()
	m := lifetime.FindStringSubmatch(q.Lifetime)
	seconds := 0
	if m != nil {
		seconds, _ = strconv.Atoi(m[1])
	}
	life := time.Duration(seconds) * time.Second
	switch {
	case !bearer || !known || !s.Now().Before(who.ends):
		refuse(w, http.StatusUnauthorized, "UNAUTHENTICATED", "Request had invalid authentication credentials: "+raw)
	case call != "generateAccessToken":
		refuse(w, http.StatusNotFound, "NOT_FOUND", "no such call")
	case err != nil, len(q.Delegates) != 0, life <= 0, life > maxLife, len(q.Scope) != 1 || q.Scope[0] != scopeWrite && q.Scope[0] != scopeRead:
		refuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", "delegates, scope or lifetime")
	case who.scope != scopeWrite:
		refuse(w, http.StatusForbidden, "PERMISSION_DENIED", "Request had insufficient authentication scopes.")
	case account != ServiceAccount:
		refuse(w, http.StatusNotFound, "NOT_FOUND", "Not found; Gaia id not found for email "+account)
	case !slices.Contains(s.Users, who.member):
		refuse(w, http.StatusForbidden, "PERMISSION_DENIED", "Permission 'iam.serviceAccounts.getAccessToken' denied: "+raw)
	default:
		token, ends := s.add(account, q.Scope[0], life)
		answer(w, http.StatusOK, map[string]string{"accessToken": token, "expireTime": ends.UTC().Format(time.RFC3339)})
	}
}

// judge finds whom a request is of, and whether he may: 200, 401 or 403. npm and containers have the token as Bearer alone.
func (s *Server) judge(r *http.Request, bearer, write bool) int {
	raw := ""
	if user, password, ok := r.BasicAuth(); ok && user == "oauth2accesstoken" && !bearer {
		raw = password
	} else if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		raw = token
	}
	member, reads, writes := s.May(raw)
	s.mu.Lock()
	s.seen = append(s.seen, Seen{r.Method, r.URL.EscapedPath(), member, raw})
	s.mu.Unlock()
	switch {
	case raw == "" || member == "":
		return http.StatusUnauthorized
	case !reads || write && !writes:
		return http.StatusForbidden
	}
	return http.StatusOK
}

// enter is judge for an upload, and refuses.
func (s *Server) enter(w http.ResponseWriter, r *http.Request) bool {
	switch status := s.judge(r, false, true); status {
	case http.StatusOK:
		return true
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", challenge)
		refuse(w, status, "UNAUTHENTICATED", "Unauthenticated request: "+r.Header.Get("Authorization"))
	default:
		refuse(w, status, "PERMISSION_DENIED", `Permission "artifactregistry.repositories.uploadArtifacts" denied`)
	}
	return false
}

func (s *Server) keep(w http.ResponseWriter, name string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.files[name]; there {
		refuse(w, http.StatusConflict, "ALREADY_EXISTS", "the file exists")
		return
	}
	s.files[name] = content
	w.WriteHeader(http.StatusOK)
}

// uploadPyPI is twine's upload.
func (s *Server) uploadPyPI(w http.ResponseWriter, r *http.Request) {
	f, err := packages.ReadPython(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", err.Error())
	} else if s.enter(w, r) {
		s.keep(w, Python+"/"+f.Name+"/"+f.File, f.Content)
	}
}
