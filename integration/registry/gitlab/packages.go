package gitlab

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	shared "github.com/trustpub/trustpub/integration/registry/packages"
)

// maxUpload bounds an upload of a test.
const maxUpload = 64 << 20

// file is one of a package's version.
type file struct {
	kind, name, version, file string
	content                   []byte
}

// packages is the package registry: a token of the header, or of a Basic credential with its user's name, with the scope for it.
func (c *Server) packages(w http.ResponseWriter, r *http.Request, path string) {
	m, found := c.find(r.Header)
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case !found || !c.Now().Before(m.Ends):
		problem(w, http.StatusUnauthorized, "401 Unauthorized")
		return
	case reads && !slices.Contains(m.Scopes, "read_package_registry") || !reads && !slices.Contains(m.Scopes, "write_package_registry"):
		problem(w, http.StatusForbidden, "403 Forbidden")
		return
	}
	kind, rest, _ := strings.Cut(path, "/")
	if !inForm(kind, r) {
		problem(w, http.StatusUnauthorized, "401 Unauthorized")
		return
	}
	switch {
	case kind == "pypi" && rest == "" && r.Method == http.MethodPost:
		c.uploadPyPI(w, r)
	case c.stores[kind] != nil:
		below := r.Clone(r.Context())
		below.URL.Path, _ = url.PathUnescape("/" + rest)
		below.URL.RawPath = "/" + rest
		c.stores[kind].ServeHTTP(w, below)
	case kind == "generic" && (reads || r.Method == http.MethodPut):
		c.generic(w, r, rest)
	default:
		problem(w, http.StatusNotFound, "404 Not Found")
	}
}

// inForm is true for a deploy token where GitLab reads it for a type of package.
func inForm(kind string, r *http.Request) bool {
	_, _, basic := r.BasicAuth()
	value := r.Header.Get("Authorization")
	switch kind {
	case "pypi", "nuget":
		return basic
	case "npm":
		return strings.HasPrefix(value, "Bearer ")
	case "rubygems": // the key alone
		return value != "" && !strings.Contains(value, " ")
	}
	return basic || r.Header.Get("Deploy-Token") != ""
}

// newStores are those of the types that the shared stores keep. GitLab says 403 of a version of npm's that exists.
func newStores() map[string]*shared.Store {
	stores := map[string]*shared.Store{}
	for kind, taken := range map[string]int{
		shared.NPM: http.StatusForbidden, shared.NuGet: http.StatusConflict, shared.RubyGems: http.StatusBadRequest, shared.Maven: http.StatusBadRequest,
	} {
		store := shared.New(kind)
		store.Taken, store.May = taken, func(*http.Request, string, string) int { return http.StatusOK } // judged before
		stores[kind] = store
	}
	return stores
}

// all are the files of every type.
func (c *Server) all() []file {
	all := slices.Clone(c.files)
	for _, kind := range slices.Sorted(maps.Keys(c.stores)) {
		files := c.stores[kind].Files()
		for _, path := range slices.Sorted(maps.Keys(files)) {
			f := file{kind: kind, content: files[path]}
			switch kind {
			case shared.NPM: // NAME/-/FILE
				f.name, f.file, _ = strings.Cut(path, "/-/")
				short := f.name[strings.LastIndexByte(f.name, '/')+1:]
				f.version = strings.TrimSuffix(strings.TrimPrefix(f.file, short+"-"), ".tgz")
			case shared.Maven: // GROUP/ARTIFACT/VERSION/FILE
				at := strings.LastIndexByte(path, '/')
				f.name, f.file = path[:at], path[at+1:]
			default: // NAME/VERSION
				f.name, f.version, _ = strings.Cut(path, "/")
				f.file = f.name + "-" + f.version
			}
			all = append(all, f)
		}
	}
	return all
}

// store keeps a file; 400 where there is one of that name, but for generic files, which GitLab takes again unless told otherwise.
func (c *Server) store(w http.ResponseWriter, f file) bool {
	at := slices.IndexFunc(c.files, func(o file) bool {
		return o.kind == f.kind && o.name == f.name && o.version == f.version && o.file == f.file
	})
	switch {
	case at < 0:
		c.files = append(c.files, f)
	case f.kind == "generic":
		c.files[at] = f
	default:
		problem(w, http.StatusBadRequest, "400 Bad request - Validation failed: File name has already been taken")
		return false
	}
	return true
}

// body reads a whole body; a cut one stores nothing.
func body(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		problem(w, http.StatusBadRequest, "400 Bad request")
	}
	return b, err == nil
}

// uploadPyPI is twine's upload, and POST of the package's form.
func (c *Server) uploadPyPI(w http.ResponseWriter, r *http.Request) {
	f, err := shared.ReadPython(r)
	if err != nil {
		problem(w, http.StatusBadRequest, "400 Bad request - "+err.Error())
	} else if c.store(w, file{"pypi", f.Name, f.Version, f.File, f.Content}) {
		answer(w, http.StatusCreated, map[string]string{"message": "201 Created"})
	}
}

// generic is PUT and GET of a file of a version.
func (c *Server) generic(w http.ResponseWriter, r *http.Request, path string) {
	parts := strings.SplitN(path, "/", 3)
	if len(parts) != 3 {
		problem(w, http.StatusNotFound, "404 Not Found")
		return
	}
	if r.Method != http.MethodPut {
		for _, f := range c.files {
			if f.kind == "generic" && f.name == parts[0] && f.version == parts[1] && f.file == parts[2] {
				_, _ = w.Write(f.content) // a client that went away has nobody to tell
				return
			}
		}
		problem(w, http.StatusNotFound, "404 Not Found")
		return
	}
	if b, ok := body(w, r); ok && c.store(w, file{"generic", parts[0], parts[1], parts[2], b}) {
		answer(w, http.StatusCreated, map[string]string{"message": "201 Created"})
	}
}

// listing is GET of the project's packages, a number of one for each version, or of a package's files.
func (c *Server) listing(w http.ResponseWriter, r *http.Request, path string) {
	var versions []string
	all, files := []map[string]any{}, []map[string]any{}
	id, _, _ := strings.Cut(path, "/")
	for _, f := range c.all() {
		version := f.kind + " " + f.name + " " + f.version
		if !slices.Contains(versions, version) {
			versions = append(versions, version)
			if wanted := r.URL.Query().Get("package_name"); strings.Contains(f.name, wanted) {
				all = append(all, map[string]any{"id": len(versions), "name": f.name, "version": f.version, "package_type": f.kind})
			}
		}
		if strconv.Itoa(slices.Index(versions, version)+1) == id {
			sum := sha256.Sum256(f.content)
			files = append(files, map[string]any{"file_name": f.file, "size": len(f.content), "file_sha256": hex.EncodeToString(sum[:])})
		}
	}
	switch {
	case r.Method != http.MethodGet:
		problem(w, http.StatusMethodNotAllowed, "405 Method Not Allowed")
	case path == "":
		answer(w, http.StatusOK, all)
	default:
		answer(w, http.StatusOK, files)
	}
}
