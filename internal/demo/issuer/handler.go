package issuer

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// The paths below the issuer's own path.
const (
	DiscoveryPath = "/.well-known/openid-configuration"
	JWKSPath      = "/.well-known/jwks"
	TokenPath     = "/token"
)

var _ http.Handler = (*Issuer)(nil)

// ServeHTTP answers discovery, the key set and the token endpoint.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, i.base())
	i.mu.Lock()
	i.fetches[path]++
	intercept := i.intercept
	i.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	if r.Method != http.MethodGet {
		http.Error(w, "only GET is served", http.StatusMethodNotAllowed)
		return
	}
	switch path {
	case DiscoveryPath:
		reply(w, mustJSON(i.discovery()))
	case JWKSPath:
		reply(w, i.JWKS())
	case TokenPath:
		i.serveToken(w, r)
	default:
		http.NotFound(w, r)
	}
}

// base is the path of the issuer's URL without a final slash.
func (i *Issuer) base() string {
	u, err := url.Parse(i.url)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.Path, "/")
}

// discovery is the provider metadata that OpenID Connect Discovery asks for.
func (i *Issuer) discovery() map[string]any {
	root := strings.TrimSuffix(i.url, "/")
	return map[string]any{
		"issuer":                                i.url,
		"jwks_uri":                              root + JWKSPath,
		"subject_types_supported":               []string{"public", "pairwise"},
		"response_types_supported":              []string{"id_token"},
		"id_token_signing_alg_values_supported": []string{RS256, ES256},
		"scopes_supported":                      []string{"openid"},
	}
}

// serveToken is the endpoint that a GitHub Actions job asks for its identity token.
func (i *Issuer) serveToken(w http.ResponseWriter, r *http.Request) {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	i.mu.Lock()
	claims, known := i.jobs[given]
	i.mu.Unlock()
	// GitHub's clients write the scheme in either case.
	if !strings.EqualFold(scheme, "Bearer") || !known {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintln(w, `{"message":"the request token is not one of this issuer's jobs"}`)
		return
	}
	query, alg := r.URL.Query(), RS256
	if query.Get("alg") == ES256 {
		alg = ES256
	}
	audience := query.Get("audience")
	if audience == "" {
		owner, _ := i.Claims("", claims)["repository_owner"].(string)
		audience = "https://github.com/" + owner
	}
	reply(w, mustJSON(map[string]any{"value": i.TokenAlg(alg, audience, claims)}))
}

func reply(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // a client that went away has nobody to tell
}

// TokenRequestURL is what a job finds in ACTIONS_ID_TOKEN_REQUEST_URL: it has a query, to which clients add "&audience=".
func (i *Issuer) TokenRequestURL() string {
	return strings.TrimSuffix(i.url, "/") + TokenPath + "?api-version=2.0"
}

// AddJob makes the token endpoint accept a request token (a job's ACTIONS_ID_TOKEN_REQUEST_TOKEN) for a job whose claims
// differ from the default ones as given; nil removes a claim.
func (i *Issuer) AddJob(requestToken string, claims map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.jobs[requestToken] = claims
}

// Intercept lets f answer requests in the issuer's place: it can fail, be slow, redirect or send nonsense. Requests are
// counted before. nil ends it.
func (i *Issuer) Intercept(f Interceptor) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.intercept = f
}

// KeyFetches counts the requests for the key set, answered or not.
func (i *Issuer) KeyFetches() int { return i.Fetches(JWKSPath) }

// Fetches counts the requests to one of the issuer's paths.
func (i *Issuer) Fetches(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches[path]
}
