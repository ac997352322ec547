package packages

import (
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/internal/demo/script"
)

// Maven is the format of files at paths.
const Maven = "maven"

// Index is the action on the list of an artifact's versions, which each deployment replaces.
const Index = "index"

// coordinates reads group and artifact out of a path, as com.example:widget.
func coordinates(path string) (pkg, action string, ok bool) {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	behind, action := 3, Publish // artifact, version and file
	if strings.HasPrefix(segments[len(segments)-1], "maven-metadata.xml") {
		behind, action = 2, Index
	}
	at := len(segments) - behind
	if at < 1 {
		return "", "", false
	}
	return strings.Join(segments[:at], ".") + ":" + segments[at], action, true
}

// files is a store of files at paths. One that is there stays, but for an index.
func (s *Store) files(w http.ResponseWriter, r *http.Request, action string, body []byte) {
	name, shelf := strings.TrimPrefix(r.URL.Path, "/"), s.inner.Shelf
	if action != Read {
		if shelf.Put(name, body, action == Index) != nil {
			http.Error(w, "the file exists", s.Taken)
			return
		}
		w.WriteHeader(http.StatusCreated)
		return
	}
	content, there := shelf.Get(name)
	if !there {
		http.NotFound(w, r)
		return
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write(content) // a client that went away has nobody to tell
	}
}

// newFiles is the shelf of such a store.
func newFiles() *script.Store { return &script.Store{Shelf: new(script.Shelf)} }
