package artifactory

import (
	"encoding/json"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/trustpub/trustpub/integration/registry/trust"
)

// The limits of the documentation.
const (
	maxUsername    = 255
	maxScope       = 500
	maxDescription = 1024
	maxAudience    = 255
	// persisted is the least life of a token that Artifactory keeps: another can be revoked only where that was asked for.
	persisted = 3 * time.Hour
)

// token is an access token that was made.
type token struct {
	id, user  string
	scope     []entry
	admin     bool
	ends      time.Time
	revocable bool
	revoked   bool
}

// entry is one entry of a scope: a pattern of paths, and rights.
type entry struct {
	repository, path string
	rights           map[string]bool
}

// createRequest has every field of POST /access/api/v1/tokens that is documented.
type createRequest struct {
	GrantType             string `json:"grant_type"`
	Username              string `json:"username"`
	Scope                 string `json:"scope"`
	ExpiresIn             *int64 `json:"expires_in"`
	Refreshable           bool   `json:"refreshable"`
	RefreshToken          string `json:"refresh_token"`
	Description           string `json:"description"`
	Audience              string `json:"audience"`
	ProjectKey            string `json:"project_key"`
	IncludeReferenceToken bool   `json:"include_reference_token"`
	ForceRevocable        bool   `json:"force_revocable"`
}

// problem is Access's form of an error.
func problem(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}

// decode reads a body of JSON, strictly.
func decode(w http.ResponseWriter, r *http.Request, v any) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	dec.DisallowUnknownFields()
	if kind != "application/json" || dec.Decode(v) != nil || dec.More() {
		problem(w, http.StatusBadRequest, "BAD_REQUEST", "the body is no JSON of this call")
		return false
	}
	return true
}

// create is POST /access/api/v1/tokens.
func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	caller := s.bearer(r)
	if caller == nil {
		problem(w, http.StatusUnauthorized, "UNAUTHORIZED", "Bad credentials")
		return
	}
	var q createRequest
	if !decode(w, r, &q) {
		return
	}
	scope, ok := s.parseScope(q.Scope)
	switch {
	case q.GrantType != "client_credentials", q.RefreshToken != "":
		problem(w, http.StatusBadRequest, "BAD_REQUEST", "grant_type")
	case len(q.Username) > maxUsername, len(q.Scope) > maxScope, len(q.Description) > maxDescription, len(q.Audience) > maxAudience:
		problem(w, http.StatusBadRequest, "BAD_REQUEST", "a field is too long")
	case q.ExpiresIn == nil || *q.ExpiresIn < 0 || *q.ExpiresIn == 0 && !caller.admin:
		problem(w, http.StatusBadRequest, "BAD_REQUEST", "expires_in")
	case !ok:
		problem(w, http.StatusBadRequest, "BAD_REQUEST", "scope")
	case q.ProjectKey != "" && q.ProjectKey != s.Project, q.Audience != "" && q.Audience != "*@*" && q.Audience != "jfrt@*":
		problem(w, http.StatusBadRequest, "BAD_REQUEST", "project_key or audience")
	case !caller.admin && (q.Username != "" && q.Username != caller.user):
		problem(w, http.StatusForbidden, "FORBIDDEN", "only an admin makes tokens for others")
	default:
		user := q.Username
		if user == "" {
			user = caller.user
		}
		life := time.Duration(*q.ExpiresIn) * time.Second
		access, made := s.add(user, scope, life, q.ForceRevocable || life >= persisted)
		s.answer(w, map[string]any{
			"token_id": made.id, "access_token": access, "expires_in": *q.ExpiresIn, "scope": q.Scope, "token_type": "Bearer",
		})
	}
}

func (s *Server) answer(w http.ResponseWriter, v map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// add keeps a token, and writes it as a JWT whose sub names the user, as the real ones do.
func (s *Server) add(user string, scope []entry, life time.Duration, revocable bool) (string, *token) {
	t := &token{id: random(16), user: user, scope: scope, ends: s.Now().Add(life), revocable: revocable}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(s.secret)}, nil)
	if err != nil {
		panic(err) // the key is ours
	}
	raw, err := jwt.Signed(signer).Claims(map[string]any{
		"sub": "jfac@01contract/users/" + user, "iss": "jfac@01contract", "jti": t.id, "exp": t.ends.Unix(), "iat": s.Now().Unix(),
	}).Serialize()
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[raw] = t
	return raw, t
}

// revoke is DELETE /access/api/v1/tokens/{id}: 200 revoked, 204 revoked before, 404 for one that was not kept.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	caller := s.bearer(r)
	if caller == nil {
		problem(w, http.StatusUnauthorized, "UNAUTHORIZED", "Bad credentials")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		if t.id != r.PathValue("id") {
			continue
		}
		switch {
		case !caller.admin && t.user != caller.user:
			problem(w, http.StatusForbidden, "FORBIDDEN", "another's token")
		case !t.revocable:
			problem(w, http.StatusNotFound, "NOT_FOUND", "no such token is kept")
		case t.revoked:
			w.WriteHeader(http.StatusNoContent)
		default:
			t.revoked = true
			w.WriteHeader(http.StatusOK)
		}
		return
	}
	problem(w, http.StatusNotFound, "NOT_FOUND", "no such token is kept")
}

// exchangeRequest has every field of POST /access/api/v1/oidc/token that is documented.
type exchangeRequest struct {
	GrantType             string `json:"grant_type"`
	SubjectTokenType      string `json:"subject_token_type"`
	SubjectToken          string `json:"subject_token"`
	ProviderName          string `json:"provider_name"`
	IdentityMappingName   string `json:"identity_mapping_name"`
	IncludeReferenceToken bool   `json:"include_reference_token"`
	ProjectKey            string `json:"project_key"`
	JobID                 string `json:"job_id"`
	RunID                 string `json:"run_id"`
	Repo                  string `json:"repo"`
	Revision              string `json:"revision"`
	Branch                string `json:"branch"`
}

// Provider is an OIDC integration with one identity mapping.
type Provider struct {
	// Name, Issuer and Audience are the integration's.
	Name, Issuer, Audience string
	// Keys are the issuer's, as JWKS.
	Keys func() []byte
	// Mapping is the identity mapping's name; Claims are what a token must have, User, Scope and Life what its holder gets.
	Mapping     string
	Claims      map[string]string
	User, Scope string
	Life        time.Duration
}

// exchange is POST /access/api/v1/oidc/token.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) {
	var q exchangeRequest
	if !decode(w, r, &q) {
		return
	}
	p := s.provider
	switch {
	case r.Header.Get("Authorization") != "":
		problem(w, http.StatusBadRequest, "BAD_REQUEST", "the token is the credential")
	case q.GrantType != "urn:ietf:params:oauth:grant-type:token-exchange", q.SubjectTokenType != "urn:ietf:params:oauth:token-type:id_token":
		problem(w, http.StatusBadRequest, "BAD_REQUEST", "grant_type or subject_token_type")
	case p == nil || q.ProviderName != p.Name || q.ProjectKey != "" && q.ProjectKey != s.Project:
		problem(w, http.StatusNotFound, "NOT_FOUND", "no such provider")
	case q.IdentityMappingName != "" && q.IdentityMappingName != p.Mapping || !p.maps(q.SubjectToken, s.Now()):
		problem(w, http.StatusForbidden, "FORBIDDEN", "no identity mapping matches "+q.SubjectToken)
	default:
		scope, ok := s.parseScope(p.Scope)
		if !ok {
			problem(w, http.StatusInternalServerError, "INTERNAL", "scope of the mapping")
			return
		}
		access, _ := s.add(p.User, scope, p.Life, false)
		s.answer(w, map[string]any{
			"access_token": access, "expires_in": int64(p.Life / time.Second), "scope": p.Scope, "token_type": "Bearer", "username": p.User,
			"issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
		})
	}
}

// maps verifies the identity token: signature, issuer, audience, times, and the mapping's claims.
func (p *Provider) maps(raw string, now time.Time) bool {
	return trust.Issuer{URL: p.Issuer, Audiences: []string{p.Audience}, Keys: p.Keys, Claims: p.Claims}.Check(raw, now) == nil
}

var scopeEntry = regexp.MustCompile(`^artifact:([A-Za-z0-9][A-Za-z0-9._-]{0,63})(?:/([^: ]+))?:([rwdamxs*](?:,[rwdamxs])*)$`)

// parseScope reads entries of artifacts, each of a repository that there is.
func (s *Server) parseScope(text string) ([]entry, bool) {
	var out []entry
	for _, word := range strings.Fields(text) {
		m := scopeEntry.FindStringSubmatch(word)
		if m == nil || s.kinds[m[1]] == "" {
			return nil, false
		}
		e := entry{repository: m[1], path: m[2], rights: map[string]bool{}}
		if e.path == "" {
			e.path = "**"
		}
		for right := range strings.SplitSeq(m[3], ",") {
			e.rights[right] = true
		}
		out = append(out, e)
	}
	return out, len(out) > 0
}

// may asks whether a token has all these rights on a path.
func (t *token) may(repository, path, rights string) bool {
	if t.admin {
		return true
	}
	for _, right := range strings.Split(rights, "") {
		found := false
		for _, e := range t.scope {
			found = found || e.repository == repository && (e.rights["*"] || e.rights[right]) && ant(e.path, path)
		}
		if !found {
			return false
		}
	}
	return true
}

// ant matches a path as the patterns of permissions do: ? is one character, * any in a segment, ** any path.
func ant(pattern, path string) bool {
	var b strings.Builder
	b.WriteString("^")
	for i := 0; i < len(pattern); i++ {
		switch {
		case strings.HasPrefix(pattern[i:], "**"):
			b.WriteString(".*")
			i++
		case pattern[i] == '*':
			b.WriteString("[^/]*")
		case pattern[i] == '?':
			b.WriteString("[^/]")
		default:
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	return regexp.MustCompile(b.String() + "$").MatchString(path)
}
