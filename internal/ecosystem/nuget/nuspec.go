package nuget

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/zipfile"
)

const (
	// maxDocument bounds a nuspec and the list of relations, in bytes; maxDepth their nesting.
	maxDocument = 4 << 20
	maxDepth    = 64
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

// visitor takes the elements of a document. path has the local names from the root on.
type visitor interface {
	start(path []string, e xml.StartElement) error
	end(path []string, text string, plain bool) error
}

// walk reads a document of one root, in UTF-8, without a DTD. Text is that of an element after its last child; it is plain where
// nothing else stands in the element.
func walk(name string, text []byte, v visitor) error {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	wrong := func(got, want string) *model.Denial { return notPackage(got+" in "+brief(name), want) }
	dec := xml.NewDecoder(bytes.NewReader(text))
	var path []string
	var chars strings.Builder
	plain, roots := true, 0
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return wrong("something that is no XML", "a document in UTF-8").Because(err)
		}
		switch token := token.(type) {
		case xml.Directive:
			return wrong("a DTD", "none")
		case xml.ProcInst:
			if token.Target != "xml" || roots > 0 {
				return wrong("an instruction", "none")
			}
		case xml.Comment:
			plain = false
		case xml.CharData:
			if len(path) == 0 && len(bytes.TrimSpace(token)) > 0 {
				return wrong("text outside its root", "one element")
			}
			chars.Write(token)
		case xml.StartElement:
			if path = append(path, token.Name.Local); len(path) == 1 {
				roots++
			}
			if roots > 1 || len(path) > maxDepth {
				return wrong("a second root, or elements nested deeper", "one root and at most 64 levels")
			}
			if err := v.start(path, token); err != nil {
				return err
			}
			chars.Reset()
			plain = true
		case xml.EndElement:
			if err := v.end(path, chars.String(), plain); err != nil {
				return err
			}
			path = path[:len(path)-1]
			chars.Reset()
			plain = false
		}
	}
	if roots == 0 {
		return wrong("nothing", "a document")
	}
	return nil
}

// manifest reads id and version of a nuspec.
type manifest struct {
	space  string
	seen   map[string]bool
	values map[string]string
}

// places are the elements that name a package, by their path.
var places = []string{"package", "package/metadata", "package/metadata/id", "package/metadata/version"}

// start refuses an element that some readers take for one of the places: in another case, in another namespace, or a second time.
func (m *manifest) start(path []string, e xml.StartElement) error {
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

// end keeps the text of the places.
func (m *manifest) end(path []string, text string, plain bool) error {
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

// start compares the target of each relation of that type.
func (l *relationList) start(_ []string, e xml.StartElement) error {
	values := map[string]string{}
	for _, a := range e.Attr {
		values[strings.ToLower(a.Name.Local)] = a.Value
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

// end has nothing to do.
func (*relationList) end([]string, string, bool) error { return nil }

func checkRelations(related *zip.File, nuspec string) error {
	text, err := read(related)
	if err != nil {
		return err
	}
	return walk(relations, text, &relationList{nuspec: nuspec})
}

func notPackage(got, want string) *model.Denial { return malformed("package", got, want) }

var (
	_ visitor = (*manifest)(nil)
	_ visitor = (*relationList)(nil)
)
