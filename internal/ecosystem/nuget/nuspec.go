package nuget

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/xmldoc"
	"github.com/trustpub/trustpub/internal/zipfile"
)

const (
	// maxDocument bounds a nuspec and the list of relations, in bytes.
	maxDocument = 1 << 20
)

const (
	nuspecEnd = ".nuspec"
	relations = "_rels/.rels"
	// manifestRelation ends the type of the relation by which old readers find the nuspec.
	manifestRelation = "/manifest"
	// pieceEnd is what the packaging format calls a part of a file that is put together from several entries.
	pieceEnd = ".piece"
)

// identity reads id and version of a package.
func identity(file *io.SectionReader) (id, version string, err error) {
	zr, err := zipfile.Open(file, file.Size())
	if err != nil {
		var defect *zipfile.Defect
		if errors.As(err, &defect) {
			return "", "", notPackage(defect.Got, defect.Want)
		}
		return "", "", notPackage("something that is no zip", "a zip").Because(err)
	}
	nuspec, related, err := find(zr.File)
	if err != nil {
		return "", "", err
	}
	if related != nil {
		if err := checkRelations(related, nuspec.Name); err != nil {
			return "", "", err
		}
	}
	text, err := read(nuspec)
	if err != nil {
		return "", "", err
	}
	m := &manifest{}
	if err := walk(nuspec.Name, text, m); err != nil {
		return "", "", err
	}
	return m.identity()
}

// find looks for the only nuspec at the root, and for the list of relations.
func find(entries []*zip.File) (nuspec, related *zip.File, err error) {
	for _, e := range entries {
		plain, err := zipfile.Plain(e.Name)
		if err != nil {
			return nil, nil, notPackage("an entry "+brief(e.Name), "plain relative paths").Because(err)
		}
		folded := strings.ToLower(plain)
		switch {
		case strings.HasSuffix(folded, pieceEnd):
			return nil, nil, notPackage("an entry in pieces", "whole ones")
		case folded == relations && e.Name != relations, strings.HasPrefix(folded, relations+"/"):
			return nil, nil, notPackage("an entry "+brief(e.Name), relations)
		case folded == relations:
			related = e
		case strings.Contains(folded, "/") || !strings.HasSuffix(folded, nuspecEnd):
		case plain != e.Name || !strings.HasSuffix(plain, nuspecEnd):
			return nil, nil, notPackage("an entry "+brief(e.Name), "a plain name and "+nuspecEnd)
		case nuspec != nil:
			return nil, nil, notPackage("two of *"+nuspecEnd, "one")
		default:
			nuspec = e
		}
	}
	if nuspec == nil {
		return nil, nil, notPackage("no *"+nuspecEnd, "one at its root")
	}
	return nuspec, related, nil
}

func read(e *zip.File) ([]byte, error) {
	r, err := e.Open()
	if err != nil {
		return nil, notPackage(brief(e.Name)+" that can't be read", "a whole entry").Because(err)
	}
	defer func() { _ = r.Close() }()
	text, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	switch {
	case err != nil:
		return nil, notPackage(brief(e.Name)+" that can't be read", "a whole entry").Because(err)
	case len(text) > maxDocument:
		return nil, model.Deny(model.CodeTooLarge).Differ(brief(e.Name), "more", fmt.Sprintf("at most %d bytes", maxDocument))
	}
	return text, nil
}

// walk reads a document of the package.
func walk(name string, text []byte, v xmldoc.Visitor) error {
	err := xmldoc.Walk(text, v)
	var defect *xmldoc.Defect
	var denial *model.Denial
	switch {
	case err == nil || errors.As(err, &denial):
		return err
	case errors.As(err, &defect):
		return notPackage(defect.Got+" in "+brief(name), defect.Want)
	}
	return notPackage("something that is no XML in "+brief(name), "a document in UTF-8").Because(err)
}

// manifest reads id and version of a nuspec.
type manifest struct {
	space  string
	seen   map[string]bool
	values map[string]string
}

// places are the elements that name a package, by their path.
var places = []string{"package", "package/metadata", "package/metadata/id", "package/metadata/version"}

// Start refuses an element that some readers take for one of the places: in another case, in another namespace, or a second time.
func (m *manifest) Start(path []string, e xml.StartElement) error {
	if len(path) == 1 {
		m.space, m.seen, m.values = e.Name.Space, map[string]bool{}, map[string]string{}
	}
	at := strings.Join(path, "/")
	for _, place := range places {
		switch {
		case !strings.EqualFold(at, place):
			continue
		case at != place || e.Name.Space != m.space:
			return notPackage("another spelling or namespace of "+place, "those of a nuspec")
		case m.seen[place]:
			return model.Deny(model.CodeDuplicateField).Differ(place+" in the nuspec", "twice", "once")
		}
		m.seen[place] = true
	}
	if len(path) == 1 && !m.seen["package"] {
		return notPackage("a root "+brief(at)+" in the nuspec", "package")
	}
	return nil
}

// End keeps the text of the places.
func (m *manifest) End(path []string, text string, plain bool) error {
	switch at := strings.Join(path, "/"); at {
	case "package/metadata/id", "package/metadata/version":
		if !plain {
			return notPackage("more than text as "+at, "text")
		}
		m.values[at] = text
	}
	return nil
}

func (m *manifest) identity() (id, version string, err error) {
	id, version = m.values["package/metadata/id"], m.values["package/metadata/version"]
	if id == "" || version == "" {
		return "", "", model.Deny(model.CodeMissingField).Differ("id or version in the nuspec", "", "both")
	}
	return id, version, nil
}

// relationList reads which entry the relations call the manifest.
type relationList struct {
	nuspec string
	seen   bool
}

// Start compares the target of each relation of that type. Readers leave out what they take for an extension, so that an attribute
// of another namespace can stand for none.
func (l *relationList) Start(_ []string, e xml.StartElement) error {
	values, err := xmldoc.Attributes(e)
	if err != nil {
		return err
	}
	switch {
	case !strings.EqualFold(e.Name.Local, "Relationship") || !strings.HasSuffix(strings.ToLower(values["type"]), manifestRelation):
		return nil
	case l.seen:
		return notPackage("two relations to a manifest", "one")
	case values["target"] != "/"+l.nuspec && values["target"] != l.nuspec || values["targetmode"] != "" && values["targetmode"] != "Internal":
		return notPackage("a relation to another manifest", "/"+l.nuspec)
	}
	l.seen = true
	return nil
}

// End has nothing to do.
func (*relationList) End([]string, string, bool) error { return nil }

func checkRelations(related *zip.File, nuspec string) error {
	text, err := read(related)
	if err != nil {
		return err
	}
	return walk(relations, text, &relationList{nuspec: nuspec})
}

func notPackage(got, want string) *model.Denial { return malformed("package", got, want) }

var (
	_ xmldoc.Visitor = (*manifest)(nil)
	_ xmldoc.Visitor = (*relationList)(nil)
)
