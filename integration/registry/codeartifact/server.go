// Package codeartifact is a server that keeps the contract of AWS CodeArtifact, and of what of STS and IAM goes with it, as their
// documentation states it: AssumeRoleWithWebIdentity with a policy for the session, GetAuthorizationToken with a signature (version 4),
// and uploads of Python, npm, Maven, NuGet, Cargo and Ruby that are judged by the policies of role and session. What is not documented it refuses.
package codeartifact

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/trustpub/trustpub/integration/registry/packages"
	"github.com/trustpub/trustpub/integration/registry/trust"
)

// The names of what is there.
const (
	Account    = "111122223333"
	Region     = "eu-central-1"
	Domain     = "acme"
	Repository = "releases"
	Role       = "arn:aws:iam::" + Account + ":role/trustpub-publish"
)

// maxSession is the role's maximum session duration.
const maxSession = time.Hour

// Server is one account with one role, one domain and one repository.
type Server struct {
	*httptest.Server
	// Now is the clock.
	Now func() time.Time
	// Policy is what the role itself may do.
	Policy []Statement

	issuer trust.Issuer
	stores map[string]*packages.Store // by format

	mu       sync.Mutex
	sessions map[string]*session // by access key
	tokens   map[string]*session // by authorization token
	files    map[string][]byte   // of Python, by format and path
	seen     []Seen
}

// Seen is one request that reached the repository, with the name of its session.
type Seen struct{ Method, Path, Session, Token string }

// session is a role that was assumed.
type session struct {
	name, accessKey, secretKey, token string
	policy                            []Statement
	ends                              time.Time
}

// New makes one that nobody serves yet. Its role trusts the issuer, and may publish everything in the repository.
func New(issuer trust.Issuer) *Server {
	arn := "arn:aws:codeartifact:" + Region + ":" + Account + ":"
	s := &Server{
		Now: time.Now, issuer: issuer, stores: map[string]*packages.Store{}, sessions: map[string]*session{}, tokens: map[string]*session{}, files: map[string][]byte{},
		Policy: []Statement{
			{Effect: "Allow", Action: List{"codeartifact:GetAuthorizationToken"}, Resource: List{arn + "domain/" + Domain}},
			{
				Effect: "Allow", Action: List{"sts:GetServiceBearerToken"}, Resource: List{"*"},
				Condition: map[string]map[string]string{"StringEquals": {"sts:AWSServiceName": "codeartifact.amazonaws.com"}},
			},
			{Effect: "Allow", Action: List{"codeartifact:ReadFromRepository"}, Resource: List{arn + "repository/" + Domain + "/" + Repository}},
			{Effect: "Allow", Action: List{"codeartifact:PublishPackageVersion", "codeartifact:PutPackageMetadata"}, Resource: List{arn + "package/" + Domain + "/" + Repository + "/*"}},
		},
	}
	for name, format := range formats {
		store := packages.New(format)
		store.Challenge, store.Private = challenge, true
		store.May = func(r *http.Request, pkg, action string) int { return s.mayPackage(r, name, pkg, action) }
		s.stores[name] = store
	}
	return s
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

// Trust replaces the issuer that the role trusts.
func (s *Server) Trust(issuer trust.Issuer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuer = issuer
}

// Handler has the calls of STS, of CodeArtifact, and the repository.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", s.assume)
	mux.HandleFunc("POST /v1/authorization-token", s.authorize)
	mux.HandleFunc("POST /pypi/"+Repository+"/{$}", s.uploadPyPI)
	for format, store := range s.stores {
		mux.Handle("/"+format+"/"+Repository+"/", packages.Below("/"+format+"/"+Repository, store))
	}
	return mux
}

// Files are those of the repository, as format, slash and path.
func (s *Server) Files() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]byte{}
	for name, content := range s.files {
		all[name] = content
	}
	for format, store := range s.stores {
		for name, content := range store.Files() {
			all[format+"/"+name] = content
		}
	}
	return all
}

// Seen lists the requests of the repository.
func (s *Server) Seen() []Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Seen(nil), s.seen...)
}

// Good is true for an authorization token that has not ended.
func (s *Server) Good(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.tokens[token]
	return in != nil && s.Now().Before(in.ends)
}

// May asks whether a token may act on a resource: what is behind the account in its ARN, as in package/acme/releases/pypi//widget.
func (s *Server) May(token, action, resource string) bool {
	if !s.Good(token) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.may(s.tokens[token], action, "arn:aws:codeartifact:"+Region+":"+Account+":"+resource, nil)
}

// may is true where both the role's policy and the session's allow it.
func (s *Server) may(in *session, action, resource string, context map[string]string) bool {
	return allows(s.Policy, action, resource, context) && allows(in.policy, action, resource, context)
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
