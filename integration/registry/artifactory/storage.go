package artifactory

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/integration/registry/packages"
)

// maxUpload bounds an upload of a test.
const maxUpload = 64 << 20

// refuse is Artifactory's form of an error.
func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]any{{"status": status, "message": message}}})
}

// deploy stores a file where the token may: replacing one takes the right to delete.
func (s *Server) deploy(w http.ResponseWriter, who *token, repository, path string, content []byte, rights string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := repository + "/" + path
	if _, there := s.files[key]; there {
		rights += "d"
	}
	if who == nil || !who.may(repository, path, rights) {
		refuse(w, http.StatusForbidden, "not enough permissions on "+path+": needs "+rights)
		return false
	}
	s.files[key] = content
	return true
}

// body reads a whole body; a cut one stores nothing.
func body(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		refuse(w, http.StatusBadRequest, "the body is cut")
	}
	return b, err == nil
}

// uploadPyPI is twine's upload: stored below the name and the version as the form writes them.
func (s *Server) uploadPyPI(w http.ResponseWriter, r *http.Request, repository string, who *token) {
	f, err := packages.ReadPython(r)
	switch {
	case errors.Is(err, packages.ErrDigest):
		refuse(w, http.StatusConflict, err.Error())
	case err != nil:
		refuse(w, http.StatusBadRequest, err.Error())
	default:
		s.deploy(w, who, repository, f.Name+"/"+f.Version+"/"+f.File, f.Content, "w")
	}
}

// publishNPM stores the archive below the package, as NAME/-/NAME-VERSION.tgz.
func (s *Server) publishNPM(w http.ResponseWriter, r *http.Request, repository string, who *token) {
	b, ok := body(w, r)
	if !ok {
		return
	}
	var doc struct {
		Name        string `json:"name"`
		Versions    map[string]json.RawMessage
		Attachments map[string]struct{ Data []byte } `json:"_attachments"`
	}
	if json.Unmarshal(b, &doc) != nil || doc.Name != r.PathValue("name") || len(doc.Versions) != 1 || len(doc.Attachments) != 1 {
		refuse(w, http.StatusBadRequest, "no document of one version")
		return
	}
	for version := range doc.Versions {
		path := doc.Name + "/-/" + doc.Name + "-" + version + ".tgz"
		if _, there := s.Files()[repository+"/"+path]; there {
			refuse(w, http.StatusForbidden, "the version exists")
			return
		}
		for _, a := range doc.Attachments {
			if s.deploy(w, who, repository, path, a.Data, "w") {
				w.WriteHeader(http.StatusCreated)
			}
		}
	}
}

// readNPM gives the archive, or a document whose URLs are those of the base that the proxy has set.
func (s *Server) readNPM(w http.ResponseWriter, r *http.Request, repository string, who *token) {
	if who == nil {
		refuse(w, http.StatusUnauthorized, "Authentication is required")
		return
	}
	base := r.Header.Get("X-JFrog-Override-Base-Url")
	if base == "" {
		base = "http://" + r.Host
	}
	name := r.PathValue("name")
	versions := map[string]any{}
	for key := range s.Files() {
		path := strings.TrimPrefix(key, repository+"/")
		version, ok := strings.CutPrefix(path, name+"/-/"+name+"-")
		if !ok || !who.may(repository, path, "r") {
			continue
		}
		versions[strings.TrimSuffix(version, ".tgz")] = map[string]any{"dist": map[string]string{"tarball": base + "/artifactory/api/npm/" + repository + "/" + path}}
	}
	if len(versions) == 0 {
		refuse(w, http.StatusNotFound, "no such package")
		return
	}
	s.answer(w, map[string]any{"name": name, "versions": versions})
}

// publishCargo stores the crate as crates/NAME/NAME-VERSION.crate.
func (s *Server) publishCargo(w http.ResponseWriter, r *http.Request, repository string, who *token) {
	b, ok := body(w, r)
	if !ok {
		return
	}
	manifest, rest, err := chunk(b)
	crate, rest, err2 := chunk(rest)
	var doc struct{ Name, Vers string }
	if errors.Join(err, err2) != nil || len(rest) != 0 || json.Unmarshal(manifest, &doc) != nil || doc.Name == "" || doc.Vers == "" {
		refuse(w, http.StatusBadRequest, "no crate")
		return
	}
	if s.deploy(w, who, repository, "crates/"+doc.Name+"/"+doc.Name+"-"+doc.Vers+".crate", crate, "w") {
		s.answer(w, map[string]any{"warnings": map[string][]string{"invalid_categories": {}, "invalid_badges": {}, "other": {}}})
	}
}

func chunk(b []byte) (content, rest []byte, err error) {
	if len(b) < 4 || uint64(len(b)-4) < uint64(binary.LittleEndian.Uint32(b)) {
		return nil, nil, io.ErrUnexpectedEOF
	}
	n := binary.LittleEndian.Uint32(b)
	return b[4 : 4+n], b[4+n:], nil
}

// list is the list of all files, with their digests.
func (s *Server) list(w http.ResponseWriter, r *http.Request, repository string, who *token) {
	if !r.URL.Query().Has("list") || r.URL.Query().Get("deep") != "1" || who == nil || !who.admin {
		refuse(w, http.StatusForbidden, "only ?list&deep=1, and only for the admin")
		return
	}
	files := []map[string]any{}
	for key, content := range s.Files() {
		if path, ok := strings.CutPrefix(key, repository+"/"); ok {
			files = append(files, map[string]any{"uri": "/" + path, "size": len(content), "sha1": sums(content)["X-Checksum-Sha1"], "folder": false})
		}
	}
	s.answer(w, map[string]any{"uri": "http://" + r.Host + r.URL.Path, "files": files})
}

// file is a path of a repository: PUT with properties and checksums, the deploy by checksum alone, GET, HEAD and DELETE.
func (s *Server) file(w http.ResponseWriter, r *http.Request, repository string, who *token) {
	path, properties, _ := strings.Cut(r.PathValue("path"), ";")
	content, there := s.Files()[repository+"/"+path]
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		switch {
		case !there:
			refuse(w, http.StatusNotFound, "no such file")
		case who == nil || !who.may(repository, path, "r"):
			refuse(w, http.StatusForbidden, "needs r")
		default:
			http.ServeContent(w, r, "", s.Now(), bytes.NewReader(content))
		}
	case http.MethodPut:
		s.put(w, r, repository, path, properties, who)
	case http.MethodDelete:
		if !there || who == nil || !who.may(repository, path, "d") {
			refuse(w, http.StatusForbidden, "needs d")
			return
		}
		s.mu.Lock()
		delete(s.files, repository+"/"+path)
		s.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, http.StatusMethodNotAllowed, "no such call")
	}
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, repository, path, properties string, who *token) {
	if r.Header.Get("X-Explode-Archive") != "" || path == "" || strings.HasSuffix(path, "/") {
		refuse(w, http.StatusBadRequest, "the contract has no archives that are unpacked, and no folders")
		return
	}
	content, ok := body(w, r)
	if !ok {
		return
	}
	if r.Header.Get("X-Checksum-Deploy") == "true" {
		if content, ok = s.byChecksum(who, r.Header); !ok {
			refuse(w, http.StatusNotFound, "no such content: send the bytes")
			return
		}
	}
	if name := mismatch(content, r.Header); name != "" {
		refuse(w, http.StatusConflict, name)
		return
	}
	rights := "w"
	if properties != "" {
		rights = "wa"
	}
	if s.deploy(w, who, repository, path, content, rights) {
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{"repo": repository, "path": "/" + path, "size": fmt.Sprint(len(content)), "uri": "http://" + r.Host + r.URL.Path})
	}
}

// sums are the checksum headers with their digests.
func sums(content []byte) map[string]string {
	one, two, five := sha1.Sum(content), sha256.Sum256(content), md5.Sum(content)
	return map[string]string{"X-Checksum-Sha1": hex.EncodeToString(one[:]), "X-Checksum-Sha256": hex.EncodeToString(two[:]), "X-Checksum-Md5": hex.EncodeToString(five[:])}
}

func mismatch(content []byte, h http.Header) string {
	for name, sum := range sums(content) {
		if want := h.Get(name); want != "" && !strings.EqualFold(want, sum) {
			return name
		}
	}
	return ""
}

// byChecksum finds content that the token may read.
func (s *Server) byChecksum(who *token, h http.Header) ([]byte, bool) {
	for key, content := range s.Files() {
		repository, path, _ := strings.Cut(key, "/")
		if h.Get("X-Checksum-Sha256")+h.Get("X-Checksum-Sha1") != "" && mismatch(content, h) == "" && who != nil && who.may(repository, path, "r") {
			return content, true
		}
	}
	return nil, false
}
