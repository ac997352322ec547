package nuget

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/internal/demo/script"
)

// The resources of the feed, as its index calls them.
const (
	packageBase    = "PackageBaseAddress/3.0.0"
	packagePublish = "PackagePublish/2.0.0"
)

// feed is a small NuGet feed: push, and what an installer reads.
type feed struct {
	secret   string
	mux      *http.ServeMux
	packages script.Shelf // ID/VERSION, in lower case
}

func open(string) (*script.Store, error) {
	f := &feed{secret: script.NewSecret(), mux: http.NewServeMux()}
	f.mux.HandleFunc("PUT /"+pushPath, f.push)
	f.mux.HandleFunc("PUT /"+strings.TrimSuffix(pushPath, "/"), f.push)
	f.mux.HandleFunc("GET /index.json", f.index)
	f.mux.HandleFunc("GET /"+flatPath+"{id}/index.json", f.versions)
	f.mux.HandleFunc("GET /"+flatPath+"{id}/{version}/{file}", f.file)
	return &script.Store{Handler: f.mux, Secret: f.secret, Stored: f.packages.Stored, Shelf: &f.packages, Identify: identifyForm}, nil
}

// index tells clients where to push and to read: where they asked.
func (*feed) index(w http.ResponseWriter, r *http.Request) {
	base := script.Base(r) + "/"
	reply(w, map[string]any{"version": "3.0.0", "resources": []map[string]string{
		{"@id": base + pushPath, "@type": packagePublish}, {"@id": base + flatPath, "@type": packageBase},
	}})
}

// push keeps a package under the id and version that it has inside, once the whole form came.
func (f *feed) push(w http.ResponseWriter, r *http.Request) {
	if !script.Same(r.Header.Get("X-Nuget-Apikey"), f.secret) {
		http.Error(w, "wrong API key", http.StatusUnauthorized)
		return
	}
	body, ok := script.Body(w, r)
	if !ok {
		return
	}
	pkg, err := unwrap(r.Header.Get("Content-Type"), body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	id, version, err := identify(pkg)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := f.packages.Put(strings.ToLower(id+"/"+version), pkg, false); err != nil {
		http.Error(w, "this version exists already", http.StatusConflict)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// unwrap takes the package out of its form.
func unwrap(contentType string, body []byte) ([]byte, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return nil, errors.New("the upload is no form")
	}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	part, err := parts.NextPart()
	if err != nil {
		return nil, errors.New("the form has no package")
	}
	pkg, err := io.ReadAll(part)
	if err != nil {
		return nil, errors.New("the form ended early")
	}
	if _, err := parts.NextPart(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the form has no end, or more than a package")
	}
	return pkg, nil
}

// identifyForm reads id and version of the package in a form.
func identifyForm(contentType string, body []byte) (id, version string, err error) {
	pkg, err := unwrap(contentType, body)
	if err != nil {
		return "", "", err
	}
	return identify(pkg)
}

// identify reads id and version of a package.
func identify(pkg []byte) (id, version string, err error) {
	zr, err := zip.NewReader(bytes.NewReader(pkg), int64(len(pkg)))
	if err != nil {
		return "", "", errors.New("the package is no zip")
	}
	for _, e := range zr.File {
		if strings.Contains(e.Name, "/") || !strings.HasSuffix(e.Name, ".nuspec") {
			continue
		}
		r, err := e.Open()
		if err != nil {
			return "", "", errors.New("the nuspec can't be read")
		}
		var spec struct {
			ID      string `xml:"metadata>id"`
			Version string `xml:"metadata>version"`
		}
		if err := xml.NewDecoder(r).Decode(&spec); err != nil || spec.ID == "" || spec.Version == "" {
			return "", "", errors.New("the nuspec names no version of a package")
		}
		return spec.ID, spec.Version, nil
	}
	return "", "", errors.New("the package has no nuspec")
}

func (f *feed) versions(w http.ResponseWriter, r *http.Request) {
	versions := f.packages.Below(r.PathValue("id") + "/")
	if len(versions) == 0 {
		http.NotFound(w, r)
		return
	}
	reply(w, map[string][]string{"versions": versions})
}

func (f *feed) file(w http.ResponseWriter, r *http.Request) {
	id, version := r.PathValue("id"), r.PathValue("version")
	data, ok := f.packages.Get(id + "/" + version)
	if !ok || r.PathValue("file") != id+"."+version+".nupkg" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(data) // a client that went away has nobody to tell
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // as above
}
