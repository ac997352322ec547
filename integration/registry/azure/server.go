// Package azure is a server that keeps the contract of Entra ID's sign-in of applications by federated credentials, of Azure Artifacts and of
// Azure Container Registry as their documentation states it, for tests. What is not documented it refuses.
package azure

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/trustpub/trustpub/integration/registry/images"
	"github.com/trustpub/trustpub/integration/registry/packages"
	"github.com/trustpub/trustpub/integration/registry/trust"
)

// The names of what is there.
const (
	Tenant = "72f988bf-0000-41af-91ab-2d7cd011db47"
	Client = "11111111-2222-3333-4444-555555555555"
	// Feed is the path of the one feed of Azure Artifacts.
	Feed = "/acme/_packaging/releases"
)

// The resources that access tokens are for.
const (
	devOps            = "499b84ac-1321-427f-aa17-267ca6975798/.default"
	containerRegistry = "https://containerregistry.azure.net/.default"
)

// The lives of tokens.
const (
	accessLife  = time.Hour
	refreshLife = 3 * time.Hour
	scopedLife  = 75 * time.Minute
)

// Server is one tenant with an application, a feed and a container registry.
type Server struct {
	// Plain serves the feed and the registry's images as the gateway's reverse proxy reaches them, TLS all of it.
	Plain, TLS *httptest.Server
	// Now is the clock.
	Now func() time.Time
	// Registry is the login server; empty: the host of the request.
	Registry string
	// Pushes says that the application has the role AcrPush.
	Pushes bool

	issuer trust.Issuer
	stores map[string]*packages.Store // by path of the feed
	images *images.Store

	mu     sync.Mutex
	tokens map[string]access
	files  map[string][]byte
	seen   []Seen
}

// Seen is one request that reached the feed or an image, with its token.
type Seen struct{ Method, Path, Token string }

// access is what a token is good for.
type access struct {
	kind, resource string
	// repositories are the actions of a container registry's token.
	repositories map[string][]string
	ends         time.Time
}

// New makes one that nobody serves yet. Its application has one federated credential, for the issuer.
func New(issuer trust.Issuer) *Server {
	s := &Server{
		Now: time.Now, Pushes: true, issuer: issuer, tokens: map[string]access{}, files: map[string][]byte{}, stores: map[string]*packages.Store{},
	}
	s.images = &images.Store{Challenge: challenge, May: s.mayImage}
	for path, format := range feeds {
		store := packages.New(format)
		store.Challenge, store.Private, store.May = feedChallenge, true, s.mayPackage
		s.stores[path] = store
	}
	return s
}

// Start starts one.
func Start(issuer trust.Issuer) *Server {
	s := New(issuer)
	s.Plain, s.TLS = httptest.NewUnstartedServer(s.Handler()), httptest.NewTLSServer(s.Handler())
	for _, store := range s.stores {
		store.Host = s.Plain.Listener.Addr().String() // whatever host a proxy was asked for
	}
	s.Plain.Start()
	s.Registry = s.TLS.Listener.Addr().String()
	return s
}

// Close ends both servers.
func (s *Server) Close() {
	s.Plain.Close()
	s.TLS.Close()
}

// Trust replaces the issuer of the federated credential.
func (s *Server) Trust(issuer trust.Issuer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuer = issuer
}

// Handler has the calls of Entra ID and of the container registry, the feed and the images.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", s.discover)
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", s.signIn)
	mux.HandleFunc("POST /oauth2/exchange", s.exchange)
	mux.HandleFunc("POST /oauth2/token", s.narrow)
	mux.HandleFunc("POST "+Feed+"/pypi/upload/{$}", s.uploadPyPI)
	for path, store := range s.stores {
		mux.Handle(Feed+path+"/", packages.Below(Feed+path, store))
		if path == "/Cargo" {
			mux.Handle(Feed+path+"/index/", packages.Below(Feed+path+"/index", store))
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2/") { // which a pattern with a tenant would match too
			s.images.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// Files are what is stored: of the feed by name, and by its path but for Python; of images the manifests, by name and tag.
func (s *Server) Files() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]byte{}
	for name, content := range s.files {
		all[name] = content
	}
	for path, store := range s.stores {
		for name, content := range store.Files() {
			all[path+"/"+name] = content
		}
	}
	maps.Copy(all, s.images.Manifests())
	return all
}

// Seen lists the requests of the feed and of the images.
func (s *Server) Seen() []Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// Feeds is true for a token that Azure Artifacts takes.
func (s *Server) Feeds(token string) bool { return s.good(token, "access", devOps) != nil }

// May asks whether a container registry's token may act on a repository.
func (s *Server) May(token, repository, action string) bool {
	a := s.good(token, "scoped", "")
	return a != nil && slices.Contains(a.repositories[repository], action)
}

// good finds a token of a kind that has not ended.
func (s *Server) good(token, kind, resource string) *access {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, there := s.tokens[token]
	if !there || a.kind != kind || a.resource != resource || !s.Now().Before(a.ends) {
		return nil
	}
	return &a
}

// add makes a token that looks like a JWT.
func (s *Server) add(a access, life time.Duration) string {
	a.ends = s.Now().Add(life)
	payload, _ := json.Marshal(map[string]any{"exp": a.ends.Unix(), "jti": random(8)})
	token := "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString(payload) + "." + random(40)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = a
	return token
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
