// Package google is a server that keeps the contract of Google's Security Token Service, of the IAM credentials API and of Artifact Registry
// as their documentation states it, for tests. What is not documented it refuses.
package google

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/trustpub/trustpub/integration/registry/trust"
)

// The names of what is there.
const (
	Provider       = "projects/123456789012/locations/global/workloadIdentityPools/trustpub/providers/github"
	ServiceAccount = "publisher@acme-prod.iam.gserviceaccount.com"
	Project        = "acme-prod"
	Python         = "python-releases"
	NPM            = "npm-releases"
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

// Server is one project with a pool of workload identities, a service account and two repositories.
type Server struct {
	*httptest.Server
	// Now is the clock.
	Now func() time.Time
	// Members are who may write to the repositories: the service account, or "federated".
	Members []string
	// Users are who may act as the service account: "federated".
	Users []string

	issuer trust.Issuer

	mu     sync.Mutex
	tokens map[string]access
	files  map[string][]byte
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
	return &Server{
		Now: time.Now, Members: []string{ServiceAccount}, Users: []string{"federated"}, issuer: issuer, tokens: map[string]access{}, files: map[string][]byte{},
	}
}

// Start starts one.
func Start(issuer trust.Issuer) *Server {
	s := New(issuer)
	s.Server = httptest.NewServer(s.Handler())
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
	mux.HandleFunc("/"+Project+"/"+NPM+"/{name...}", s.npm)
	return mux
}

// Files are those of the repositories, as repository, slash and path.
func (s *Server) Files() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]byte{}
	for name, content := range s.files {
		all[name] = content
	}
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

// maxUpload bounds an upload of a test.
const maxUpload = 64 << 20

// enter finds whom a request is of, and whether he may.
func (s *Server) enter(w http.ResponseWriter, r *http.Request, bearer, write bool) bool {
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
		w.Header().Set("WWW-Authenticate", `Basic realm="Google Artifact Registry"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHENTICATED", "Unauthenticated request: "+raw)
	case !reads || write && !writes:
		refuse(w, http.StatusForbidden, "PERMISSION_DENIED", `Permission "artifactregistry.repositories.uploadArtifacts" denied`)
	default:
		return true
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
	if err := r.ParseMultipartForm(maxUpload); err != nil || r.FormValue(":action") != "file_upload" {
		refuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", "no form of an upload")
		return
	}
	f, header, err := r.FormFile("content")
	if err != nil || r.FormValue("name") == "" || r.FormValue("version") == "" {
		refuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", "name, version or content is missing")
		return
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		refuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", "the body is cut")
		return
	}
	if s.enter(w, r, false, true) {
		s.keep(w, Python+"/"+r.FormValue("name")+"/"+header.Filename, content)
	}
}

// npm stores the archive of a document, and answers reads of a package with none.
func (s *Server) npm(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		if s.enter(w, r, true, false) {
			refuse(w, http.StatusNotFound, "NOT_FOUND", "no such package")
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
		refuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", "no document of one version")
		return
	}
	if !s.enter(w, r, true, true) {
		return
	}
	for version := range doc.Versions {
		for _, a := range doc.Attachments {
			s.keep(w, NPM+"/"+doc.Name+"/"+version, a.Data)
		}
	}
}
