package cargo

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/trustpub/trustpub/internal/demo/script"
)

// registry is a small registry: publish, the sparse index and downloads.
type registry struct {
	secret string
	mux    *http.ServeMux
	crates script.Shelf // NAME/VERSION

	mu    sync.Mutex
	index map[string][]byte // lines by name
}

// indexLine is a version in the index.
type indexLine struct {
	Name     string              `json:"name"`
	Version  string              `json:"vers"`
	Deps     []map[string]any    `json:"deps"`
	Checksum string              `json:"cksum"`
	Features map[string][]string `json:"features"`
	Yanked   bool                `json:"yanked"`
	Links    *string             `json:"links"`
}

func open(string) (*script.Store, error) {
	g := &registry{secret: script.NewSecret(), mux: http.NewServeMux(), index: map[string][]byte{}}
	g.mux.HandleFunc("PUT /"+publishPath, g.publish)
	g.mux.HandleFunc("GET /config.json", g.config)
	g.mux.HandleFunc("GET /api/v1/crates/{name}/{version}/download", g.download)
	g.mux.HandleFunc("GET /", g.lines)
	return &script.Store{Handler: g.mux, Secret: g.secret, Stored: g.crates.Stored, Shelf: &g.crates, Identify: identify}, nil
}

// indexPath is where the index has a name's lines.
func indexPath(name string) string {
	name = strings.ToLower(name)
	switch n := len(name); {
	case n < 3:
		return fmt.Sprintf("%d/%s", n, name)
	case n == 3:
		return "3/" + name[:1] + "/" + name
	}
	return name[:2] + "/" + name[2:4] + "/" + name
}

// config tells cargo where to publish and download: where it asked.
func (*registry) config(w http.ResponseWriter, r *http.Request) {
	base := script.Base(r)
	reply(w, http.StatusOK, map[string]any{"dl": base + "/api/v1/crates", "api": base})
}

func (g *registry) lines(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	g.mu.Lock()
	lines := g.index[name]
	g.mu.Unlock()
	if lines == nil || r.URL.Path != "/"+indexPath(name) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write(lines) // a client that went away has nobody to tell
}

func (g *registry) download(w http.ResponseWriter, r *http.Request) {
	crate, ok := g.crates.Get(r.PathValue("name") + "/" + r.PathValue("version"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(crate) // as above
}

// publish keeps a crate once all of it came.
func (g *registry) publish(w http.ResponseWriter, r *http.Request) {
	if !script.Same(r.Header.Get("Authorization"), g.secret) {
		fail(w, http.StatusUnauthorized, "wrong token")
		return
	}
	body, ok := script.Body(w, r)
	if !ok {
		return
	}
	line, crate, err := parse(body)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	if err := g.crates.Put(line.Name+"/"+line.Version, crate, false); err != nil {
		fail(w, http.StatusConflict, "this version exists already")
		return
	}
	text, err := json.Marshal(line)
	if err != nil {
		fail(w, http.StatusInternalServerError, "the line of the index can't be written")
		return
	}
	name := strings.ToLower(line.Name)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.index[name] = append(append(bytes.Clone(g.index[name]), text...), '\n')
	reply(w, http.StatusOK, map[string]any{"warnings": map[string][]string{"invalid_categories": {}, "invalid_badges": {}, "other": {}}})
}

// identify reads the crate and version of a publish.
func identify(_ string, body []byte) (crate, version string, err error) {
	line, _, err := parse(body)
	return line.Name, line.Version, err
}

// parse takes the body apart; the lengths in it must be those of its parts.
func parse(body []byte) (line indexLine, crate []byte, err error) {
	var parts [2][]byte
	for i := range parts {
		if len(body) < 4 || int64(len(body)-4) < int64(binary.LittleEndian.Uint32(body)) {
			return line, nil, errors.New("the body is shorter than its lengths say")
		}
		end := 4 + int(binary.LittleEndian.Uint32(body))
		parts[i], body = body[4:end], body[end:]
	}
	if len(body) > 0 {
		return line, nil, errors.New("the body is longer than its lengths say")
	}
	if err := json.Unmarshal(parts[0], &line); err != nil || line.Name == "" || line.Version == "" {
		return line, nil, errors.New("the document names no version of a crate")
	}
	for _, dep := range line.Deps { // the index calls two things by other names than the document
		dep["req"] = dep["version_req"]
		if renamed, ok := dep["explicit_name_in_toml"].(string); ok {
			dep["package"], dep["name"] = dep["name"], renamed
		}
		delete(dep, "version_req")
		delete(dep, "explicit_name_in_toml")
	}
	line.Checksum, line.Yanked = script.SHA256(parts[1]), false
	return line, parts[1], nil
}

func fail(w http.ResponseWriter, status int, text string) {
	reply(w, status, map[string]any{"errors": []map[string]string{{"detail": text}}})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // as above
}
