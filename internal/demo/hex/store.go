package hex

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/demo/script"
)

// server is a small registry: publish, the page of a release, and its file.
type server struct {
	secret   string
	mux      *http.ServeMux
	releases script.Shelf // NAME/VERSION
}

func open(string) (*script.Store, error) {
	s := &server{secret: script.NewSecret(), mux: http.NewServeMux()}
	s.mux.HandleFunc("POST /api/publish", s.publish)
	s.mux.HandleFunc("GET /api/packages/{name}", s.pkg)
	s.mux.HandleFunc("GET /api/packages/{name}/releases/{version}", s.release)
	s.mux.HandleFunc("GET /tarballs/{file}", s.file)
	return &script.Store{Handler: s.mux, Secret: s.secret, Stored: s.releases.Stored}, nil
}

// publish keeps a release under the name and version that it has inside, once all of it came. It replaces what is there unless it
// is told not to.
func (s *server) publish(w http.ResponseWriter, r *http.Request) {
	if !script.Same(r.Header.Get("Authorization"), s.secret) {
		answer(w, http.StatusUnauthorized, map[string]any{"status": http.StatusUnauthorized, "message": "invalid API key"})
		return
	}
	body, ok := script.Body(w, r)
	if !ok {
		return
	}
	name, version, err := identify(body)
	if err == nil {
		err = s.releases.Put(name+"/"+version, body, r.URL.Query().Get("replace") != "false")
	}
	if err != nil {
		answer(w, http.StatusUnprocessableEntity, map[string]any{"status": http.StatusUnprocessableEntity, "message": "Validation error(s)", "errors": map[string]string{"tar": err.Error()}})
		return
	}
	answer(w, http.StatusCreated, map[string]any{"version": version, "checksum": script.SHA256(body)})
}

var (
	nameLine    = regexp.MustCompile(`(?m)^\{<<"name">>,<<"([a-z0-9_]+)">>\}\.$`)
	versionLine = regexp.MustCompile(`(?m)^\{<<"version">>,<<"([0-9A-Za-z.+-]+)">>\}\.$`)
)

// identify reads name and version of a whole release.
func identify(release []byte) (name, version string, err error) {
	text, err := script.Untar(release, "metadata.config")
	if err != nil {
		return "", "", err
	}
	names, versions := nameLine.FindSubmatch(text), versionLine.FindSubmatch(text)
	if names == nil || versions == nil {
		return "", "", errors.New("its metadata names no version of a package")
	}
	return string(names[1]), string(versions[1]), nil
}

func (s *server) pkg(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	versions := s.releases.Below(name + "/")
	if len(versions) == 0 {
		http.NotFound(w, r)
		return
	}
	answer(w, http.StatusOK, map[string]any{"name": name, "releases": versions})
}

func (s *server) release(w http.ResponseWriter, r *http.Request) {
	data, ok := s.releases.Get(r.PathValue("name") + "/" + r.PathValue("version"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	answer(w, http.StatusOK, map[string]any{"version": r.PathValue("version"), "checksum": script.SHA256(data)})
}

func (s *server) file(w http.ResponseWriter, r *http.Request) {
	name, version, _ := strings.Cut(strings.TrimSuffix(r.PathValue("file"), ".tar"), "-")
	data, ok := s.releases.Get(name + "/" + version)
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(data) // a client that went away has nobody to tell
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // as above
}
