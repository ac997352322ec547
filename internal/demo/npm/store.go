package npm

import (
	"crypto/sha1" //nolint:gosec // npm's shasum, beside a digest that is strong
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/trustpub/trustpub/internal/demo/script"
)

// Document is what npm sends to publish an archive.
func Document(name, version string, archive []byte) []byte {
	return fmt.Appendf(nil, `{"_id":%[1]q,"name":%[1]q,"dist-tags":{"latest":%[2]q},"versions":{%[2]q:{"name":%[1]q,"version":%[2]q,"_id":"%[1]s@%[2]s",`+
		`"dist":{"integrity":%[3]q,"shasum":%[4]q,"tarball":"https://npm.example.com/%[1]s/-/%[5]s"}}},"access":null,`+
		`"_attachments":{"%[1]s-%[2]s.tgz":{"content_type":"application/octet-stream","data":%[6]q,"length":%[7]d}}}`,
		name, version, integrity(archive), shasum(archive), archiveName(name, version), base64.StdEncoding.EncodeToString(archive), len(archive))
}

func integrity(archive []byte) string {
	sum := sha512.Sum512(archive)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func shasum(archive []byte) string {
	sum := sha1.Sum(archive) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// archiveName is the last part of an archive's URL.
func archiveName(name, version string) string {
	return name[strings.LastIndexByte(name, '/')+1:] + "-" + version + ".tgz"
}

// document is one that publishes, or the one of a package as it is served.
type document struct {
	ID          string                    `json:"_id"`
	Name        string                    `json:"name"`
	Tags        map[string]string         `json:"dist-tags"`
	Versions    map[string]map[string]any `json:"versions"`
	Attachments map[string]attachment     `json:"_attachments,omitempty"`
}

type attachment struct {
	Data   []byte `json:"data"`
	Length int    `json:"length"`
}

// registry is a small npm registry: publish, and what an installer reads.
type registry struct {
	secret string
	shelf  script.Shelf // archives, as PACKAGE/-/FILE

	mu       sync.Mutex
	packages map[string]*document
}

func open(string) (*script.Store, error) {
	r := &registry{secret: script.NewSecret(), packages: map[string]*document{}}
	return &script.Store{Handler: r, Secret: r.secret, Stored: r.shelf.Stored, Shelf: &r.shelf, Identify: identify}, nil
}

// identify reads the package of a document, and its one version.
func identify(_ string, body []byte) (pkg, version string, err error) {
	var doc document
	if err := json.Unmarshal(body, &doc); err != nil || len(doc.Versions) != 1 {
		return "", "", errors.New("expected a document with one version")
	}
	for version = range doc.Versions {
	}
	return doc.Name, version, nil
}

// ServeHTTP answers by the path: a package, or an archive of it.
func (g *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	switch {
	case r.Method == http.MethodPut:
		g.publish(w, r, name)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		fail(w, http.StatusMethodNotAllowed, "only reads and publishes are served")
	case strings.Contains(name, "/-/"):
		data, ok := g.shelf.Get(name)
		if !ok {
			fail(w, http.StatusNotFound, "no such archive")
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(data) // a client that went away has nobody to tell
	default:
		g.document(w, r, name)
	}
}

// publish keeps one version and its archive, once the whole document came and its digests hold.
func (g *registry) publish(w http.ResponseWriter, r *http.Request, name string) {
	if r.Header.Get("Authorization") == "" || !script.Same(r.Header.Get("Authorization"), "Bearer "+g.secret) {
		fail(w, http.StatusUnauthorized, "wrong token")
		return
	}
	body, ok := script.Body(w, r)
	if !ok {
		return
	}
	var doc document
	if err := json.Unmarshal(body, &doc); err != nil {
		fail(w, http.StatusBadRequest, "the document is no JSON")
		return
	}
	switch err := g.keep(name, doc); {
	case errors.Is(err, fs.ErrExist):
		fail(w, http.StatusConflict, "this version exists already")
	case err != nil:
		fail(w, http.StatusBadRequest, err.Error())
	default:
		reply(w, http.StatusCreated, map[string]string{"ok": "published"})
	}
}

func (g *registry) keep(name string, doc document) error {
	if doc.Name != name || len(doc.Versions) != 1 || len(doc.Attachments) != 1 {
		return errors.New("expected a document of this package, with one version and one archive")
	}
	var version string
	for version = range doc.Versions {
	}
	published := doc.Versions[version]
	dist, _ := published["dist"].(map[string]any)
	for _, a := range doc.Attachments {
		if a.Length != len(a.Data) || dist["integrity"] != integrity(a.Data) || dist["shasum"] != shasum(a.Data) {
			return errors.New("the archive has another length or digest than its version says")
		}
		if err := g.shelf.Put(name+"/-/"+archiveName(name, version), a.Data, false); err != nil {
			return err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	have := g.packages[name]
	if have == nil {
		have = &document{ID: name, Name: name, Tags: map[string]string{}, Versions: map[string]map[string]any{}}
		g.packages[name] = have
	}
	have.Versions[version] = published
	maps.Copy(have.Tags, doc.Tags)
	return nil
}

// document serves a package's document, with the archives where the client asked.
func (g *registry) document(w http.ResponseWriter, r *http.Request, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	have := g.packages[name]
	if have == nil {
		fail(w, http.StatusNotFound, "no such package")
		return
	}
	for version, published := range have.Versions {
		if dist, ok := published["dist"].(map[string]any); ok {
			dist["tarball"] = script.Base(r) + "/" + name + "/-/" + archiveName(name, version)
		}
	}
	reply(w, http.StatusOK, have)
}

func fail(w http.ResponseWriter, status int, text string) {
	reply(w, status, map[string]string{"error": text})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that went away has nobody to tell
}
