// Package cloudsmith is a server that keeps the contract of Cloudsmith as its documentation and its command line tool state it, for tests:
// it is a service that can't be installed. It exchanges identity tokens for tokens of a service, and takes uploads of Python packages and
// of files. What is not documented it refuses.
package cloudsmith

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/trustpub/trustpub/integration/registry/packages"
)

// The one organisation, with its service and its repository.
const (
	Organization = "acme"
	Service      = "publisher"
	Repository   = "packages"
)

// Life is that of a token.
const Life = 90 * time.Minute

// Provider is an OIDC provider of the organisation.
type Provider struct {
	// Issuer is its URL, Keys are its keys as JWKS.
	Issuer string
	Keys   func() []byte
	// Claims are what a token must have.
	Claims map[string]any
}

// Server is one Cloudsmith.
type Server struct {
	*httptest.Server
	// Now is the clock.
	Now func() time.Time
	// Change alters an answer to an exchange, for what must be noticed; may be nil.
	Change func(answer map[string]any)

	provider Provider
	secret   []byte

	mu        sync.Mutex
	tokens    map[string]time.Time // with their ends
	files     map[string][]byte
	exchanges int
	headers   map[string]int // in which tokens came
}

// Start starts one.
func Start(p Provider) *Server {
	s := New(p)
	s.Server = httptest.NewServer(s.Handler())
	return s
}

// New makes one that nobody serves yet.
func New(p Provider) *Server {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return &Server{Now: time.Now, provider: p, secret: secret, tokens: map[string]time.Time{}, files: map[string][]byte{}, headers: map[string]int{}}
}

// Handler has the exchange and the repository. Each format has a host of its own at Cloudsmith, whose paths are below the organisation.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /openid/{organization}/{$}", s.exchange)
	mux.HandleFunc("POST /"+Organization+"/"+Repository+"/{$}", s.uploadPython)
	mux.HandleFunc("/"+Organization+"/"+Repository+"/raw/{path...}", s.file)
	return mux
}

// detail is Cloudsmith's form of an error.
func detail(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string]any{"detail": text})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// exchange is POST /openid/ORGANIZATION/: 201 with the token, 401 for claims that are others, 404 for another organisation.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Token   string `json:"oidc_token"`
		Service string `json:"service_slug"`
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	dec.DisallowUnknownFields()
	switch {
	case kind != "application/json" || dec.Decode(&q) != nil || dec.More():
		detail(w, http.StatusUnprocessableEntity, "The body is not as it is documented.")
	case r.Header.Get("Authorization")+r.Header.Get("X-Api-Key") != "":
		detail(w, http.StatusBadRequest, "The token is the credential.")
	case r.PathValue("organization") != Organization:
		detail(w, http.StatusNotFound, "Not found.")
	case q.Service != Service || !s.provider.takes(q.Token, s.Now()):
		detail(w, http.StatusUnauthorized, "Invalid token or claims: "+q.Token)
	default:
		made := map[string]any{"token": s.mint()}
		if s.Change != nil {
			s.Change(made)
		}
		answer(w, http.StatusCreated, made)
	}
}

// takes verifies an identity token: signature, issuer, times, and the claims.
func (p Provider) takes(raw string, now time.Time) bool {
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return false
	}
	var keys jose.JSONWebKeySet
	var standard jwt.Claims
	var all map[string]any
	if json.Unmarshal(p.Keys(), &keys) != nil || parsed.Claims(keys, &standard, &all) != nil {
		return false
	}
	if standard.ValidateWithLeeway(jwt.Expected{Issuer: p.Issuer, Time: now}, 0) != nil {
		return false
	}
	for name, want := range p.Claims {
		if all[name] != want {
			return false
		}
	}
	return true
}

// mint makes a token, a JWT.
func (s *Server) mint() string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: s.secret}, nil)
	if err != nil {
		panic(err) // the key is ours
	}
	id := make([]byte, 8)
	_, _ = rand.Read(id)
	ends := s.Now().Add(Life)
	raw, err := jwt.Signed(signer).Claims(map[string]any{"sub": Service, "jti": hex.EncodeToString(id), "iat": s.Now().Unix(), "exp": ends.Unix()}).Serialize()
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[raw] = ends
	s.exchanges++
	return raw
}

// tokenOf is the token of a request: the password of the user token, or X-Api-Key.
func tokenOf(h http.Header) (token, header string) {
	if key := h.Get("X-Api-Key"); key != "" && h.Get("Authorization") == "" {
		return key, "X-Api-Key"
	}
	r := http.Request{Header: h}
	if name, password, ok := r.BasicAuth(); ok && name == "token" && h.Get("X-Api-Key") == "" {
		return password, "Authorization"
	}
	return "", ""
}

// Good says whether a request with these headers is let in.
func (s *Server) Good(h http.Header) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, _ := tokenOf(h)
	ends, known := s.tokens[token]
	return known && s.Now().Before(ends)
}

// enter lets in whoever has a token; the body is read whole, so that one that is cut stores nothing.
func (s *Server) enter(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<20))
	switch {
	case !s.Good(r.Header):
		w.Header().Set("WWW-Authenticate", `Basic realm="Cloudsmith"`)
		detail(w, http.StatusUnauthorized, "Authentication credentials were not provided.")
		return nil, false
	case err != nil:
		detail(w, http.StatusBadRequest, "The body is cut.")
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, header := tokenOf(r.Header)
	s.headers[header]++
	return b, true
}

func (s *Server) store(w http.ResponseWriter, path string, content []byte, success int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.files[path]; there {
		detail(w, http.StatusConflict, "The package exists.")
		return
	}
	s.files[path] = content
	w.WriteHeader(success)
}

// uploadPython is twine's upload.
func (s *Server) uploadPython(w http.ResponseWriter, r *http.Request) {
	b, ok := s.enter(w, r)
	if !ok {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	f, err := packages.ReadPython(r)
	if err != nil {
		detail(w, http.StatusBadRequest, "No upload.")
		return
	}
	s.store(w, f.File, f.Content, http.StatusOK)
}

// file is a path: PUT, GET and HEAD.
func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	b, ok := s.enter(w, r)
	if !ok {
		return
	}
	path := r.PathValue("path")
	switch r.Method {
	case http.MethodPut:
		s.store(w, path, b, http.StatusCreated)
	case http.MethodGet, http.MethodHead:
		s.mu.Lock()
		content, there := s.files[path]
		s.mu.Unlock()
		if !there {
			detail(w, http.StatusNotFound, "Not found.")
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	default:
		detail(w, http.StatusMethodNotAllowed, "Method not allowed.")
	}
}

// Files are the paths with the hexadecimal SHA-256 of their content.
func (s *Server) Files() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]string{}
	for path, content := range s.files {
		sum := sha256.Sum256(content)
		out[path] = hex.EncodeToString(sum[:])
	}
	return out
}

// Exchanges is how many there have been.
func (s *Server) Exchanges() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exchanges
}

// Headers are the headers in which tokens came, with how often.
func (s *Server) Headers() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for name, n := range s.headers {
		out[name] = n
	}
	return out
}
