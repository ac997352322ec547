package hexpm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// maxUpload is the most that hexpm takes, in bytes.
const maxUpload = 16 << 20

// The paths of the API, below the repository.
var (
	ofRepository = regexp.MustCompile(`^/repos/([a-z0-9_.-]+)(/.*)$`)
	ofPackage    = regexp.MustCompile(`^/packages/([a-z][a-z0-9_]+)(?:/releases(?:/([^/]+)(?:/(docs|retire))?)?)?$`)
)

// api has the calls about packages. A repository is taken from the parameters, and only then from the path.
func (s *Server) api(w http.ResponseWriter, r *http.Request, path string) {
	repository := "hexpm"
	if m := ofRepository.FindStringSubmatch(path); m != nil {
		repository, path = m[1], m[2]
	} else if other := r.URL.Query().Get("repository"); other != "" {
		repository = other
	}
	m := ofPackage.FindStringSubmatch(path)
	switch {
	case path == "/publish" && r.Method == http.MethodPost:
		s.publish(w, r, repository, "")
	case m == nil:
		s.answer(w, r, http.StatusNotFound, "Page not found", nil)
	case r.Method == http.MethodPost && m[2] == "" && strings.HasSuffix(path, "/releases"):
		s.publish(w, r, repository, m[1])
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		s.show(w, r, repository, m[1], m[2], m[3])
	default:
		s.change(w, r, repository, m[1], m[2], m[3])
	}
}

// allowed writes the refusal of a key that may not do something with a package; those that are new need api:write.
func (s *Server) allowed(w http.ResponseWriter, r *http.Request, need, repository, name string) bool {
	key, ok := s.authenticate(r)
	pkg := repository + "/" + name
	switch {
	case !ok && (need != "api:read" || repository != "hexpm"):
		s.unauthorized(w, r, "invalid API key")
	case ok && need == "api:read" && !key.may(need), ok && need != "api:read" && !key.may("api:write") && (!s.exists(pkg) || !key.may("package:"+pkg)):
		s.unauthorized(w, r, "key not authorized for this action")
	case ok && s.Organization != "" && repository != s.Organization && repository != "hexpm":
		s.answer(w, r, http.StatusNotFound, "Page not found", nil)
	default:
		return true
	}
	return false
}

// body reads a file, which a server takes by its type as bytes.
func (s *Server) body(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	switch r.Header.Get("Content-Type") {
	case "application/octet-stream", "application/x-tar":
	default:
		if strings.Join(r.Header.Values("Content-Type"), ", ") != "application/json, application/x-tar" { // Gleam
			s.answer(w, r, http.StatusUnsupportedMediaType, "Unsupported media type", nil)
			return nil, false
		}
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil { // a cut one stores nothing
		s.answer(w, r, http.StatusBadRequest, "Bad request", nil)
	}
	return b, err == nil
}

// publish keeps a release, and replaces one that is there unless it is told not to.
func (s *Server) publish(w http.ResponseWriter, r *http.Request, repository, named string) {
	b, ok := s.body(w, r)
	if !ok {
		return
	}
	name, version, err := identify(b)
	switch {
	case err != nil:
		s.answer(w, r, http.StatusUnprocessableEntity, "Validation error(s)", map[string]any{"tar": err.Error()})
		return
	case named != "" && named != name:
		s.answer(w, r, http.StatusUnprocessableEntity, "Validation error(s)", map[string]any{"name": "metadata does not match package name"})
		return
	case !s.allowed(w, r, "package", repository, name):
		return
	}
	file := repository + "/" + name + "-" + version + ".tar"
	_, there := s.files[file]
	replace := r.URL.Query().Get("replace")
	if there && replace != "" && replace != "true" {
		s.answer(w, r, http.StatusUnprocessableEntity, "Validation error(s)", map[string]any{"inserted_at": "must include the --replace flag to update an existing release"})
		return
	}
	s.files[file] = b
	status := http.StatusCreated
	if there {
		status = http.StatusOK
	}
	s.answer(w, r, status, "", map[string]any{"version": version, "checksum": fmt.Sprintf("%x", sha256.Sum256(b)), "has_docs": false, "html_url": "/packages/" + name + "/" + version})
}

// show is a read: of a package, a release, or where its documentation is.
func (s *Server) show(w http.ResponseWriter, r *http.Request, repository, name, version, of string) {
	stem := repository + "/" + name + "-" + version
	switch _, release := s.files[stem+".tar"]; {
	case !s.allowed(w, r, "api:read", repository, name):
	case version == "" && s.exists(repository+"/"+name):
		s.answer(w, r, http.StatusOK, "", map[string]any{"name": name, "repository": repository})
	case version != "" && of == "" && release:
		s.answer(w, r, http.StatusOK, "", map[string]any{"version": version, "checksum": fmt.Sprintf("%x", sha256.Sum256(s.files[stem+".tar"]))})
	case of == "docs" && s.files[stem+"-docs.tar.gz"] != nil:
		w.Header().Set("Location", "https://docs.example.com/"+stem+".tar.gz")
		w.WriteHeader(http.StatusFound)
	default:
		s.answer(w, r, http.StatusNotFound, "Page not found", nil)
	}
}

// change is what is done to a release that is there.
func (s *Server) change(w http.ResponseWriter, r *http.Request, repository, name, version, of string) {
	stem := repository + "/" + name + "-" + version
	if _, there := s.files[stem+".tar"]; !there || version == "" {
		s.answer(w, r, http.StatusNotFound, "Page not found", nil)
		return
	}
	if !s.allowed(w, r, "package", repository, name) {
		return
	}
	switch r.Method + " " + of {
	case "POST docs":
		b, ok := s.body(w, r)
		if !ok {
			return
		}
		if _, err := gzip.NewReader(bytes.NewReader(b)); err != nil {
			s.answer(w, r, http.StatusInternalServerError, "Internal server error", nil)
			return
		}
		s.files[stem+"-docs.tar.gz"] = b
		w.Header().Set("Location", "https://docs.example.com/"+stem+".tar.gz")
		w.WriteHeader(http.StatusCreated)
		return
	case "DELETE docs":
		delete(s.files, stem+"-docs.tar.gz")
	case "POST retire":
		reason, ok := reasonOf(r)
		if !ok {
			s.answer(w, r, http.StatusUnprocessableEntity, "Validation error(s)", map[string]any{"retirement": map[string]any{"reason": "is invalid"}})
			return
		}
		s.retired[stem] = reason
	case "DELETE retire":
		delete(s.retired, stem)
	case "DELETE ":
		delete(s.files, stem+".tar")
		delete(s.files, stem+"-docs.tar.gz")
		delete(s.retired, stem)
	default:
		s.answer(w, r, http.StatusNotFound, "Page not found", nil)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

var reasons = []string{"other", "invalid", "security", "deprecated", "renamed"}

// reasonOf reads why a release is retired, in JSON or in Erlang's terms.
func reasonOf(r *http.Request) (string, bool) {
	b, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil {
		return "", false
	}
	if r.Header.Get("Content-Type") == "application/vnd.hex+erlang" {
		for _, reason := range reasons {
			if bytes.Contains(b, slices.Concat(term("reason"), term(reason))) {
				return reason, true
			}
		}
		return "", false
	}
	var in struct{ Reason string }
	err = json.Unmarshal(b, &in)
	return in.Reason, err == nil && slices.Contains(reasons, in.Reason)
}

var (
	nameTerm    = regexp.MustCompile(`(?m)^\{<<"name">>,\s*<<"([a-z0-9_]+)"(?:/utf8)?>>\}\.$`)
	versionTerm = regexp.MustCompile(`(?m)^\{<<"version">>,\s*<<"([0-9A-Za-z.+-]+)"(?:/utf8)?>>\}\.$`)
)

// identify reads name and version of a release that is whole; the last of two entries or terms is the one that counts.
func identify(release []byte) (name, version string, err error) {
	entries := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(release)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", "", errors.New("tarball error")
		}
		if entries[h.Name], err = io.ReadAll(r); err != nil {
			return "", "", errors.New("tarball error")
		}
	}
	sum := sha256.Sum256(slices.Concat(entries["VERSION"], entries["metadata.config"], entries["contents.tar.gz"]))
	names, versions := nameTerm.FindAllSubmatch(entries["metadata.config"], -1), versionTerm.FindAllSubmatch(entries["metadata.config"], -1)
	switch {
	case string(entries["VERSION"]) != "3":
		return "", "", errors.New("unsupported version")
	case !strings.EqualFold(fmt.Sprintf("%x", sum), string(entries["CHECKSUM"])):
		return "", "", errors.New("inner checksum mismatch")
	case len(names) == 0 || len(versions) == 0:
		return "", "", errors.New("error reading package metadata")
	}
	return string(names[len(names)-1][1]), string(versions[len(versions)-1][1]), nil
}

// term is a value in Erlang's external term format, without the byte before all: texts are binaries.
func term(v any) []byte {
	switch v := v.(type) {
	case string:
		return append(binary.BigEndian.AppendUint32([]byte{'m'}, uint32(len(v))), v...)
	case int:
		return binary.BigEndian.AppendUint32([]byte{'b'}, uint32(v))
	case bool:
		return append([]byte{'w', byte(len(fmt.Sprint(v)))}, fmt.Sprint(v)...)
	case map[string]any:
		b := binary.BigEndian.AppendUint32([]byte{'t'}, uint32(len(v)))
		for key, value := range v {
			b = append(append(b, term(key)...), term(value)...)
		}
		return b
	}
	return []byte("w\x03nil")
}
