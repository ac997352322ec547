package pypi

import (
	"html/template"
	"net/http"
	"os"
	"slices"

	"github.com/trustpub/trustpub/internal/model"
)

// simplePage is a page of PEP 503, with the repository version that installers look for.
var simplePage = template.Must(template.New("simple").Parse(`<!DOCTYPE html>
<html><head><meta name="pypi:repository-version" content="1.0"><title>{{.Title}}</title></head>
<body>
{{range .Links}}<a href="{{.To}}">{{.Text}}</a><br>
{{end}}</body></html>
`))

type link struct{ To, Text string }

func page(w http.ResponseWriter, title string, links []link) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// A failing write means that the client has gone.
	_ = simplePage.Execute(w, struct {
		Title string
		Links []link
	}{title, links})
}

func (x *Index) welcome(w http.ResponseWriter, _ *http.Request) {
	page(w, "Package index", []link{{"simple/", "simple"}})
}

// packages is the list of all packages.
func (x *Index) packages(w http.ResponseWriter, _ *http.Request) {
	var names []string
	for _, f := range x.Files() {
		names = append(names, f.Package)
	}
	slices.Sort(names)
	links := []link{}
	for _, name := range slices.Compact(names) {
		links = append(links, link{name + "/", name})
	}
	page(w, "Packages", links)
}

// links is the page of one package, under any spelling of its name.
func (x *Index) links(w http.ResponseWriter, r *http.Request) {
	name, err := model.NormalizeName("pypi", r.PathValue("package"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	var links []link
	for _, f := range x.Files() {
		if f.Package == name {
			links = append(links, link{"../../files/" + f.Name + "#sha256=" + f.SHA256, f.Name})
		}
	}
	if links == nil {
		http.NotFound(w, r)
		return
	}
	page(w, "Links for "+name, links)
}

// file serves a published file; a name that was not published is none on disk either.
func (x *Index) file(w http.ResponseWriter, r *http.Request) {
	x.mu.RLock()
	f, ok := x.stored[r.PathValue("file")]
	x.mu.RUnlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeFileFS(w, r, os.DirFS(x.files), f.Name)
}
