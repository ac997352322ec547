package script

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// maxUpload bounds an upload that a registry keeps in memory.
const maxUpload = 256 << 20

// NewSecret makes a password that nobody knows.
func NewSecret() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails: it crashes the process instead
	return hex.EncodeToString(b)
}

// Same compares secrets in constant time.
func Same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// Body reads a whole upload. Where it does not come whole, the client is told so and nothing is to be kept.
func Body(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		http.Error(w, "the upload did not come whole", http.StatusBadRequest)
		return nil, false
	}
	return b, true
}

// Base is the URL by which a registry is known to who asks it: through a proxy, the proxy's; with the path before the registry's own, where that was
// taken off.
func Base(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	before, cut := strings.CutSuffix(path, r.URL.EscapedPath())
	if !cut {
		before = ""
	}
	return scheme + "://" + r.Host + before
}

// Shelf keeps files in memory, for registries that need no disk. It is safe for concurrent use.
type Shelf struct {
	mu    sync.RWMutex
	files map[string][]byte
}

// Put keeps a file; a name is given once, unless replace.
func (s *Shelf) Put(name string, data []byte, replace bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.files[name]; ok && !replace {
		return fmt.Errorf("%s: %w", name, fs.ErrExist)
	}
	if s.files == nil {
		s.files = map[string][]byte{}
	}
	s.files[name] = data
	return nil
}

// Get is a file.
func (s *Shelf) Get(name string) ([]byte, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	data, ok := s.files[name]
	return data, ok
}

// Below are the names that begin so, sorted, without that beginning.
func (s *Shelf) Below(prefix string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			names = append(names, rest)
		}
	}
	return names
}

// Stored lists every file with its digest, for Store.Stored.
func (s *Shelf) Stored() ([]string, error) {
	var lines []string
	for _, name := range s.Below("") {
		data, _ := s.Get(name)
		lines = append(lines, fmt.Sprintf("%s %x", name, sha256.Sum256(data)))
	}
	return lines, nil
}
