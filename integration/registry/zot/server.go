// Package zot is a server that keeps the contract of zot as its sources and its documentation state it, for tests: the program can't be
// installed from a package registry. It makes, lists and deletes API keys, exchanges identity tokens, judges both by its rules of access,
// and takes images. What is not documented it refuses.
package zot

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/trustpub/trustpub/integration/registry/images"
)

// User is the account that may make keys of its own.
const User = "trustpub"

// Workloads is http.auth.bearer.oidc: one issuer, its audience, and a validation.
type Workloads struct {
	Issuer, Audience string
	// Keys are the issuer's, as JWKS.
	Keys func() []byte
	// Claims are what the validations want.
	Claims map[string]any
	// Username is the claim that names the user in the rules of access.
	Username string
}

// Server is one zot.
type Server struct {
	*httptest.Server
	// Password is the account's, Other another that it takes.
	Password, Other string
	// Rules are the actions of users on repositories that begin so: read, create, update, delete.
	Rules map[string]map[string]string
	// NoKeys is a zot without http.auth.apikey.
	NoKeys bool
	// Now is the clock.
	Now func() time.Time
	// Change alters an answer about a new key or an exchange, for what must be noticed; may be nil.
	Change func(answer map[string]any)

	workloads *Workloads
	images    *images.Store

	mu        sync.Mutex
	keys      map[string]apiKey // by their text
	made      int
	exchanges int
}

// apiKey is one of the account's.
type apiKey struct {
	uuid, label string
	scopes      []string
	ends        time.Time
}

// Start starts one.
func Start(w *Workloads) *Server {
	s := New(w)
	s.Server = httptest.NewServer(s.Handler())
	return s
}

// New makes one that nobody serves yet.
func New(w *Workloads) *Server {
	s := &Server{
		Password: "canary-account-" + random(8), Other: "canary-account-" + random(8), Now: time.Now, workloads: w,
		Rules: map[string]map[string]string{User: {"acme/": "read create update"}, "acme/widget": {"acme/widget": "read create update"}},
		keys:  map[string]apiKey{},
	}
	// 401 without a credential, 403 where the rules say no.
	s.images = &images.Store{Challenge: images.Challenge(`Basic realm="Authorization Required"`), May: func(r *http.Request, repository, action string) int {
		switch user := s.UserOf(r.Header); {
		case user == "":
			return http.StatusUnauthorized
		case !s.May(user, repository, action):
			return http.StatusForbidden
		}
		return http.StatusOK
	}}
	return s
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// Handler has the keys, the token endpoint and the registry.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	if !s.NoKeys {
		mux.HandleFunc("/zot/auth/apikey", s.apiKeys)
	}
	mux.HandleFunc("GET /zot/auth/token", s.token)
	mux.Handle("/v2/", s.images)
	return mux
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (s *Server) change(a map[string]any) {
	if s.Change != nil {
		s.Change(a)
	}
}

// UserOf is whose credential it is: the account by its password or by a key that has not expired, or a workload; empty for nobody's.
func (s *Server) UserOf(h http.Header) string {
	if raw, ok := strings.CutPrefix(h.Get("Authorization"), "Bearer "); ok {
		user, _ := s.workload(raw)
		return user
	}
	r := http.Request{Header: h}
	name, secret, _ := r.BasicAuth()
	if name != User {
		return ""
	}
	if secret == s.Password || secret == s.Other {
		return User
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, found := s.keys[secret]; found && s.Now().Before(k.ends) {
		return User
	}
	return ""
}

// ScopesOf are the scopes of a key, which zot keeps and does not look at.
func (s *Server) ScopesOf(h http.Header) []string {
	r := http.Request{Header: h}
	_, secret, _ := r.BasicAuth()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[secret].scopes
}

// May says whether the rules allow a user an action on a repository.
func (s *Server) May(user, repository, action string) bool {
	for prefix, actions := range s.Rules[user] {
		if strings.HasPrefix(repository, prefix) && strings.Contains(" "+actions+" ", " "+action+" ") {
			return true
		}
	}
	return false
}

// apiKeys is /zot/auth/apikey, about the keys of whom asks: POST, GET, and DELETE with one id.
func (s *Server) apiKeys(w http.ResponseWriter, r *http.Request) {
	if s.UserOf(r.Header) != User {
		w.Header().Set("WWW-Authenticate", `Basic realm="Authorization Required"`)
		answer(w, http.StatusUnauthorized, map[string]any{"errors": []map[string]string{{"code": "UNAUTHORIZED"}}})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Method {
	case http.MethodPost:
		s.create(w, r)
	case http.MethodGet:
		all := []map[string]any{}
		for _, k := range s.keys {
			all = append(all, s.shown(k))
		}
		answer(w, http.StatusOK, map[string]any{"apiKeys": all})
	case http.MethodDelete:
		ids := r.URL.Query()["id"]
		if len(ids) != 1 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for text, k := range s.keys {
			if k.uuid == ids[0] {
				delete(s.keys, text)
			}
		}
		w.WriteHeader(http.StatusOK)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (s *Server) shown(k apiKey) map[string]any {
	return map[string]any{
		"createdAt": s.Now().Format(time.RFC3339Nano), "expirationDate": k.ends.Format(time.RFC3339), "isExpired": !s.Now().Before(k.ends), "creatorUa": "",
		"generatedBy": "manual", "lastUsed": "0001-01-01T00:00:00Z", "label": k.label, "scopes": k.scopes, "uuid": k.uuid,
	}
}

// create is POST: 400 for what it can't read and for a date that has passed.
func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Label          string   `json:"label"`
		Scopes         []string `json:"scopes"`
		ExpirationDate string   `json:"expirationDate"`
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	dec.DisallowUnknownFields()
	if dec.Decode(&q) != nil || dec.More() {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	ends, err := time.Parse(time.RFC3339, q.ExpirationDate)
	if err != nil || s.Now().After(ends) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	k := apiKey{uuid: random(4) + "-" + random(2) + "-" + random(6), label: q.Label, scopes: q.Scopes, ends: ends}
	text := "zak_" + random(16)
	s.keys[text] = k
	s.made++
	a := s.shown(k)
	a["apiKey"] = text
	s.change(a)
	answer(w, http.StatusCreated, a)
}

// token is GET /zot/auth/token: a Basic credential whose password is an identity token, which comes back.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	_, raw, _ := r.BasicAuth()
	user, ends := s.workload(raw)
	if user == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="zot"`)
		answer(w, http.StatusUnauthorized, map[string]any{"errors": []map[string]string{{"code": "UNAUTHORIZED", "message": raw}}})
		return
	}
	s.mu.Lock()
	s.exchanges++
	s.mu.Unlock()
	a := map[string]any{"token": raw, "access_token": raw, "expires_in": int64(ends.Sub(s.Now()).Seconds()), "issued_at": s.Now().UTC().Format(time.RFC3339)}
	s.change(a)
	answer(w, http.StatusOK, a)
}

// workload verifies an identity token, and gives the user that the mapping makes of it.
func (s *Server) workload(raw string) (string, time.Time) {
	p := s.workloads
	if p == nil {
		return "", time.Time{}
	}
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return "", time.Time{}
	}
	var keys jose.JSONWebKeySet
	var standard jwt.Claims
	var all map[string]any
	if json.Unmarshal(p.Keys(), &keys) != nil || parsed.Claims(keys, &standard, &all) != nil {
		return "", time.Time{}
	}
	if standard.ValidateWithLeeway(jwt.Expected{Issuer: p.Issuer, AnyAudience: jwt.Audience{p.Audience}, Time: s.Now()}, 0) != nil {
		return "", time.Time{}
	}
	for name, want := range p.Claims {
		if all[name] != want {
			return "", time.Time{}
		}
	}
	user, _ := all[p.Username].(string)
	return user, standard.Expiry.Time()
}

// Strand leaves a key behind.
func (s *Server) Strand(label string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys["zak_"+random(16)] = apiKey{uuid: random(16), label: label, ends: s.Now().Add(time.Hour)}
}

// Labels are those of all keys.
func (s *Server) Labels() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	labels := []string{}
	for _, k := range s.keys {
		labels = append(labels, k.label)
	}
	return labels
}

// Counts are how many keys and how many exchanges there have been.
func (s *Server) Counts() (keys, exchanges int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made, s.exchanges
}
