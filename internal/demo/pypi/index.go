// Package pypi is the PyPI part of the demo, and its small Python package index: the legacy upload, simple pages and files on disk.
// It is as plain as the registries that teams run: one password publishes everything.
package pypi

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/trustpub/trustpub/internal/model"
)

// Config says where an index keeps its files and who may publish.
type Config struct {
	// Dir is an existing folder; the index makes its own folder for the files in it.
	Dir string
	// Prefix is the path under which the index is served, as in "/root/prod/"; empty: "/".
	Prefix string
	// User and Password publish by Basic authentication; the password alone also as a Bearer token. Reading needs neither.
	User, Password string
	// Logger gets a line for each upload; nil: none.
	Logger *slog.Logger
}

// File is a published file.
type File struct {
	Name, Package, Version string
	Size                   int64
	SHA256                 string
}

// Index is the index; it is an http.Handler.
type Index struct {
	cfg   Config
	files string // the folder of the files
	mux   *http.ServeMux

	mu     sync.RWMutex
	stored map[string]File
}

// New makes an index of what is in the folder already.
func New(cfg Config) (*Index, error) {
	if cfg.User == "" || cfg.Password == "" {
		return nil, errors.New("an index needs a user and a password to publish with")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Prefix = "/" + strings.Trim(cfg.Prefix, "/") + "/"
	if cfg.Prefix == "//" {
		cfg.Prefix = "/"
	}
	x := &Index{cfg: cfg, files: filepath.Join(cfg.Dir, "files"), mux: http.NewServeMux(), stored: map[string]File{}}
	if err := os.MkdirAll(x.files, 0o700); err != nil {
		return nil, fmt.Errorf("folder of the index: %w", err)
	}
	if err := x.load(); err != nil {
		return nil, err
	}
	x.mux.HandleFunc("POST "+cfg.Prefix+"{$}", x.upload)
	x.mux.HandleFunc("GET "+cfg.Prefix+"{$}", x.welcome)
	x.mux.HandleFunc("GET "+cfg.Prefix+"simple/{$}", x.packages)
	x.mux.HandleFunc("GET "+cfg.Prefix+"simple/{package}/{$}", x.links)
	x.mux.HandleFunc("GET "+cfg.Prefix+"files/{file}", x.file)
	return x, nil
}

// ServeHTTP serves uploads, simple pages and files.
func (x *Index) ServeHTTP(w http.ResponseWriter, r *http.Request) { x.mux.ServeHTTP(w, r) }

// Files lists what was published, by name.
func (x *Index) Files() []File {
	x.mu.RLock()
	defer x.mu.RUnlock()
	out := make([]File, 0, len(x.stored))
	for _, f := range x.stored {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// onDisk lists the files in the folder, uploads under way among them.
func (x *Index) onDisk() ([]string, error) {
	entries, err := os.ReadDir(x.files)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// load reads the folder, and removes what an interrupted upload left.
func (x *Index) load() error {
	entries, err := os.ReadDir(x.files)
	if err != nil {
		return fmt.Errorf("folder of the index: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(x.files, e.Name())
		if strings.HasPrefix(e.Name(), tempPrefix) {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("leftover of an upload: %w", err)
			}
			continue
		}
		parsed, err := model.ParsePyPIFile(e.Name())
		if err != nil {
			continue // not ours
		}
		size, sum, err := digest(path)
		if err != nil {
			return err
		}
		x.stored[e.Name()] = File{Name: e.Name(), Package: parsed.Package, Version: parsed.Version, Size: size, SHA256: sum}
	}
	return nil
}

func digest(path string) (int64, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", fmt.Errorf("file of the index: %w", err)
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return 0, "", fmt.Errorf("file of the index: %w", err)
	}
	return n, hex.EncodeToString(h.Sum(nil)), nil
}

// authorized is true for the one credential that publishes.
func (x *Index) authorized(r *http.Request) bool {
	same := func(a, b string) bool {
		x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
		return subtle.ConstantTimeCompare(x[:], y[:]) == 1
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return same(token, x.cfg.Password)
	}
	user, password, ok := r.BasicAuth()
	return ok && same(user, x.cfg.User) && same(password, x.cfg.Password)
}

// keep moves a finished upload to its name. A name is given once.
func (x *Index) keep(temp string, f File) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, ok := x.stored[f.Name]; ok {
		return fmt.Errorf("%s: %w", f.Name, fs.ErrExist)
	}
	if err := os.Rename(temp, filepath.Join(x.files, f.Name)); err != nil {
		return fmt.Errorf("keep %s: %w", f.Name, err)
	}
	x.stored[f.Name] = f
	return nil
}

var _ http.Handler = (*Index)(nil)
