package oci

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/trustpub/trustpub/internal/demo/script"
)

// tokenIssuer is the name by which the registry knows its token server.
const tokenIssuer = "trustpub"

// Registry is a small container registry. Who may do what is somebody else's to say.
type Registry struct {
	may       Judge
	challenge func(*http.Request) string
	shelf     script.Shelf // REPOSITORY/blobs/DIGEST and REPOSITORY/manifests/TAG or DIGEST

	mu      sync.Mutex
	uploads map[string][]byte
}

// Judge is true where a request's credential grants an action, "pull" or "push", on a repository; none: where there is a credential at all.
type Judge func(r *http.Request, repository, action string) bool

// NewRegistry makes an empty one; challenge is what it answers to whom may is false for.
func NewRegistry(may Judge, challenge func(*http.Request) string) *Registry {
	return &Registry{may: may, challenge: challenge, uploads: map[string][]byte{}}
}

func open(string) (*script.Store, error) {
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("a key: %w", err)
	}
	thumb, err := (&jose.JSONWebKey{Key: pair.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("a key: %w", err)
	}
	private, err := json.Marshal(jose.JSONWebKey{Key: pair, KeyID: base64.RawURLEncoding.EncodeToString(thumb), Algorithm: string(jose.ES256), Use: "sig"})
	if err != nil {
		return nil, fmt.Errorf("a key: %w", err)
	}
	g := NewRegistry(signedFor(&pair.PublicKey), func(r *http.Request) string {
		return fmt.Sprintf("Bearer realm=%q,service=%q", script.Base(r)+"/v2/token", r.Host)
	})
	return &script.Store{
		Handler: g, Secret: string(private), User: "somebody", Password: script.NewSecret(), Stored: g.shelf.Stored,
	}, nil
}

// signedFor judges tokens by the public half of the token server's key; nobody has a password.
func signedFor(key *ecdsa.PublicKey) Judge {
	return func(r *http.Request, repository, action string) bool { return granted(key, r, repository, action) }
}

func granted(key *ecdsa.PublicKey, r *http.Request, repository, action string) bool {
	text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256})
	if !ok || err != nil {
		return false
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return false
	}
	var claims struct {
		Issuer    string `json:"iss"`
		Audience  string `json:"aud"`
		Expiry    int64  `json:"exp"`
		NotBefore int64  `json:"nbf"`
		Access    []struct {
			Type, Name string
			Actions    []string
		}
	}
	now := time.Now().Unix()
	if json.Unmarshal(payload, &claims) != nil || claims.Issuer != tokenIssuer || claims.Audience != r.Host || now >= claims.Expiry || now < claims.NotBefore {
		return false
	}
	for _, a := range claims.Access {
		if a.Type == "repository" && a.Name == repository && slices.Contains(a.Actions, action) {
			return true
		}
	}
	return repository == ""
}

// ServeHTTP answers by the path: /v2/REPOSITORY/KIND/REFERENCE.
func (g *Registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	repository, kind, reference := split(path)
	action := "push"
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		action = "pull"
	}
	switch {
	case !strings.HasPrefix(r.URL.Path, "/v2/") || path != "" && repository == "":
		fail(w, http.StatusNotFound, "NAME_UNKNOWN", "no such page")
	case !g.may(r, repository, action):
		w.Header().Set("WWW-Authenticate", g.challenge(r))
		fail(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	case path == "":
		_, _ = w.Write([]byte("{}")) // a client that went away has nobody to tell
	case kind == "tags" && action == "pull":
		g.tags(w, repository)
	case action == "pull":
		g.serve(w, repository+"/"+kind+"/"+reference)
	case kind == "manifests" && r.Method == http.MethodPut:
		g.manifest(w, r, repository, reference)
	case kind == "blobs/uploads":
		g.upload(w, r, repository, reference)
	default:
		fail(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "not served")
	}
}

// split takes a path apart at the word behind the repository.
func split(path string) (repository, kind, reference string) {
	for _, kind := range []string{"blobs/uploads", "blobs", "manifests", "tags"} {
		if at := strings.LastIndex(path, "/"+kind+"/"); at > 0 {
			return path[:at], kind, path[at+len(kind)+2:]
		}
	}
	return "", "", ""
}

// serve sends a blob, or a manifest with its type.
func (g *Registry) serve(w http.ResponseWriter, name string) {
	data, ok := g.shelf.Get(name)
	if !ok {
		fail(w, http.StatusNotFound, "NOT_FOUND", "not there")
		return
	}
	media := "application/octet-stream"
	if strings.Contains(name, "/manifests/") {
		var manifest struct{ MediaType string }
		if json.Unmarshal(data, &manifest) == nil && manifest.MediaType != "" {
			media = manifest.MediaType
		}
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Docker-Content-Digest", Digest(data))
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	_, _ = w.Write(data) // a client that went away has nobody to tell
}

func (g *Registry) tags(w http.ResponseWriter, repository string) {
	tags := []string{}
	for _, reference := range g.shelf.Below(repository + "/manifests/") {
		if !strings.Contains(reference, ":") {
			tags = append(tags, reference)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": repository, "tags": tags}) // as above
}

// manifest keeps a manifest all of whose blobs are here, under its tag and its digest.
func (g *Registry) manifest(w http.ResponseWriter, r *http.Request, repository, reference string) {
	body, ok := script.Body(w, r)
	if !ok {
		return
	}
	digest := Digest(body)
	if err := g.check(repository, body); err != nil || strings.Contains(reference, ":") && reference != digest {
		fail(w, http.StatusBadRequest, "MANIFEST_INVALID", fmt.Sprint("not a manifest of that digest: ", err))
		return
	}
	for _, name := range []string{reference, digest} {
		_ = g.shelf.Put(repository+"/manifests/"+name, body, true) // replaces: it can't fail
	}
	w.Header().Set("Location", script.Base(r)+"/v2/"+repository+"/manifests/"+digest)
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
}

// check looks for all that a manifest names.
func (g *Registry) check(repository string, body []byte) error {
	var m struct {
		Config    *descriptor
		Layers    []descriptor
		Manifests []descriptor
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return errors.New("it is no JSON")
	}
	if m.Config != nil {
		m.Layers = append(m.Layers, *m.Config)
	}
	for _, d := range m.Layers {
		if _, ok := g.shelf.Get(repository + "/blobs/" + d.Digest); !ok {
			return fmt.Errorf("blob %s is not here", d.Digest)
		}
	}
	for _, d := range m.Manifests {
		if _, ok := g.shelf.Get(repository + "/manifests/" + d.Digest); !ok {
			return fmt.Errorf("manifest %s is not here", d.Digest)
		}
	}
	return nil
}

// upload takes a blob: POST begins, PATCH adds, PUT ends. Only what has its digest is kept.
func (g *Registry) upload(w http.ResponseWriter, r *http.Request, repository, session string) {
	body, ok := script.Body(w, r)
	if !ok {
		return
	}
	digest := r.URL.Query().Get("digest")
	g.mu.Lock()
	defer g.mu.Unlock()
	id := repository + "/" + session
	_, open := g.uploads[id]
	begins := r.Method == http.MethodPost && session == ""
	switch {
	case begins:
		session = script.NewSecret()
		id = repository + "/" + session
	case !open || r.Method != http.MethodPatch && r.Method != http.MethodPut:
		fail(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such upload")
		return
	}
	g.uploads[id] = append(g.uploads[id], body...)
	if r.Method == http.MethodPatch || begins && digest == "" {
		w.Header().Set("Location", script.Base(r)+"/v2/"+repository+"/blobs/uploads/"+session)
		w.Header().Set("Range", fmt.Sprintf("0-%d", max(0, len(g.uploads[id])-1)))
		w.WriteHeader(http.StatusAccepted)
		return
	}
	blob := g.uploads[id]
	delete(g.uploads, id)
	if Digest(blob) != digest {
		fail(w, http.StatusBadRequest, "DIGEST_INVALID", "the blob has another digest")
		return
	}
	_ = g.shelf.Put(repository+"/blobs/"+digest, blob, true) // replaces: it can't fail
	w.Header().Set("Location", script.Base(r)+"/v2/"+repository+"/blobs/"+digest)
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
}

func fail(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": text}}}) // as above
}
