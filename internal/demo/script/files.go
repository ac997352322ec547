package script

import (
	"fmt"
	"net/http"
	"strings"
)

// Files is a store of files at paths, as a WebDAV server is: whoever has its password writes, and everybody reads.
type Files struct {
	shelf          Shelf
	prefix         string
	user, password string
}

// NewFiles makes a store below a path, with a password of its own.
func NewFiles(prefix, user string) *Store {
	f := &Files{prefix: prefix, user: user, password: NewSecret()}
	return &Store{Handler: f, Secret: f.password, User: user, Stored: f.shelf.Stored}
}

// ServeHTTP puts and serves files, and lists all of them at the prefix.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, below := strings.CutPrefix(r.URL.Path, f.prefix)
	switch {
	case !below:
		http.NotFound(w, r)
	case r.Method == http.MethodPut:
		f.put(w, r, name)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "only reads and PUT are served", http.StatusMethodNotAllowed)
	case name == "":
		fmt.Fprint(w, strings.Join(append(f.shelf.Below(""), ""), "\n"))
	default:
		data, ok := f.shelf.Get(name)
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		_, _ = w.Write(data) // a client that went away has nobody to tell
	}
}

// put keeps a file, and replaces one that is there, as such stores do.
func (f *Files) put(w http.ResponseWriter, r *http.Request, name string) {
	if user, password, ok := r.BasicAuth(); !ok || user != f.user || !Same(password, f.password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="store"`)
		http.Error(w, "wrong user or password", http.StatusUnauthorized)
		return
	}
	if name == "" || strings.HasSuffix(name, "/") {
		http.Error(w, "not a file", http.StatusConflict)
		return
	}
	data, ok := Body(w, r)
	if !ok {
		return
	}
	_ = f.shelf.Put(name, data, true) // replaces: it can't fail
	w.WriteHeader(http.StatusCreated)
}
