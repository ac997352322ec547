// Package packages keeps the packages of the servers that keep a registry's contract for tests, in the formats npm, NuGet, RubyGems and Cargo (the
// registries of the demo, as far as clients need them to publish and to read) and Maven. Who may do what, by which credential, and what of a duplicate is said
// their owner says.
package packages

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/internal/demo/cargo"
	"github.com/trustpub/trustpub/internal/demo/npm"
	"github.com/trustpub/trustpub/internal/demo/nuget"
	"github.com/trustpub/trustpub/internal/demo/rubygems"
	"github.com/trustpub/trustpub/internal/demo/script"
)

// maxUpload bounds an upload of a test.
const maxUpload = 64 << 20

// The formats, as ecosystems are called.
const (
	NPM      = "npm"
	NuGet    = "nuget"
	RubyGems = "rubygems"
	Cargo    = "cargo"
)

// The actions that May is asked about, beside Index.
const (
	Read    = "read"
	Publish = "publish"
)

// Store keeps the packages of one repository. It is served below a path that http.StripPrefix takes off.
type Store struct {
	// May says whether a request may act on a package, by the name that is inside an upload; empty for a read: 200, or what refuses it. It is asked
	// before anything is kept or shown.
	May func(r *http.Request, pkg, action string) int
	// Challenge is sent with a 401.
	Challenge string
	// Taken is the status of an upload of a version that is there.
	Taken int
	// Private says in the settings of an index of crates that reads want a token.
	Private bool
	// Host is what the URLs in answers lead to; empty: where the client asked.
	Host string

	format  string
	pushing string // where the demo's registry takes an upload, where that is not the path of the request
	carrier func(h http.Header, secret string)
	inner   *script.Store
}

// authorize is the header of two formats, whose keys stand there as they are.
func authorize(h http.Header, secret string) { h.Set("Authorization", secret) }

// New makes an empty one.
func New(format string) *Store {
	s := &Store{Taken: http.StatusConflict, format: format, carrier: authorize}
	made := map[string]script.Script{NPM: npm.Script, NuGet: nuget.Script, RubyGems: rubygems.Script, Cargo: cargo.Script}[format]
	switch format {
	case NPM:
		s.carrier = func(h http.Header, secret string) { h.Set("Authorization", "Bearer "+secret) }
	case NuGet:
		s.carrier = func(h http.Header, secret string) { h.Set("X-Nuget-Apikey", secret) }
		s.pushing = "/api/v2/package/"
	}
	if format == Maven {
		s.inner = newFiles()
		return s
	}
	var err error
	if s.inner, err = made.Open(""); err != nil {
		panic(err) // none of them does anything that fails
	}
	return s
}

// ServeHTTP judges a request, and has the demo's registry answer it under its own password. A body that is cut stores nothing.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		http.Error(w, "the body is cut", http.StatusBadRequest)
		return
	}
	pkg, action, ok := s.what(r, body)
	if !ok {
		http.Error(w, "no upload of one version of a package", http.StatusBadRequest)
		return
	}
	if status := s.May(r, pkg, action); status != http.StatusOK {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", s.Challenge)
		}
		http.Error(w, "no", status)
		return
	}
	if s.format == Maven {
		s.files(w, r, action, body)
		return
	}
	in := r.Clone(r.Context())
	in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	s.carrier(in.Header, s.inner.Secret)
	if action == Publish && s.pushing != "" {
		in.URL.Path, in.URL.RawPath = s.pushing, ""
	}
	if s.Host != "" {
		in.Host = s.Host
		in.Header.Del("X-Forwarded-Proto")
	}
	if s.Private && s.format == Cargo && in.URL.Path == "/config.json" {
		base := strings.TrimSuffix(script.Base(in), "/index") // where some have the index alone
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"dl": base + "/api/v1/crates", "api": base, "auth-required": true})
		return
	}
	s.inner.ServeHTTP(&answer{w, s.Taken}, in)
}

// what a request does: it reads, or publishes a version of a package.
func (s *Store) what(r *http.Request, body []byte) (pkg, action string, ok bool) {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return "", Read, true
	case s.format == Maven && r.Method == http.MethodPut:
		return coordinates(r.URL.Path)
	case s.format == Maven:
		return "", "", false
	}
	pkg, _, err := s.inner.Identify(r.Header.Get("Content-Type"), body)
	return pkg, Publish, err == nil
}

// answer is one of the demo's registry, whose word for a version that is there is the owner's.
type answer struct {
	http.ResponseWriter
	taken int
}

// WriteHeader writes the status.
func (a *answer) WriteHeader(status int) {
	if status == http.StatusConflict {
		status = a.taken
	}
	a.ResponseWriter.WriteHeader(status)
}

// Files are the packages, by name and version as their format writes them.
func (s *Store) Files() map[string][]byte {
	all := map[string][]byte{}
	for _, name := range s.inner.Shelf.Below("") {
		all[name], _ = s.inner.Shelf.Get(name)
	}
	return all
}

// Below takes the path of a repository off, and hands the rest to its store.
func Below(prefix string, s *Store) http.Handler {
	return http.StripPrefix(strings.TrimSuffix(prefix, "/"), s)
}
