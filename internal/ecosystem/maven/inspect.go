package maven

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/xmldoc"
)

// Inspect compares the coordinates inside a pom or an index with those of its path.
func (*protocol) Inspect(op model.Operation, _ http.Header, target model.Target, body io.ReaderAt, size int64) error {
	if op.Name == opChecksum {
		return nil // the scanner has seen it all
	}
	root := "project"
	if op.Name == opMetadata {
		root = "metadata"
	}
	doc, err := readDocument(target.File, root, io.NewSectionReader(body, 0, size))
	if err != nil {
		return err
	}
	group, artifact, _ := strings.Cut(target.Package, ":")
	checks := []struct{ path, want string }{{"groupId", group}, {"artifactId", artifact}, {"version", target.Version}}
	for _, c := range checks {
		got, ok := doc[c.path]
		if parent, inherits := doc["parent/"+c.path]; !ok && inherits && root == "project" && c.path != "artifactId" {
			got, ok = parent, true
		}
		if target.Versionless && c.path == "version" {
			// The index of an artifact lists versions; one in this place is an old form of the latest, and read by nobody.
			continue
		}
		if !ok || got != c.want {
			d := model.Deny(model.CodePackageMismatch).Differ(c.path+" in "+brief(target.File), brief(got), c.want)
			if strings.Contains(got, "${") {
				d = d.Hinted("a published pom needs its coordinates written out; the flatten plugin does that")
			}
			return d
		}
	}
	return nil
}

// readDocument reads the coordinates of a document.
func readDocument(file, root string, r io.Reader) (coordinates map[string]string, err error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, model.Deny(model.CodeSpoolUnavailable).Because(err)
	}
	doc := document{root: root, values: map[string]string{}}
	// Coordinates are in ASCII, and old poms in ISO-8859-1 for the names of their authors.
	if text, err = xmldoc.Recode(text); err == nil {
		err = xmldoc.Walk(text, &doc)
	}
	var defect *xmldoc.Defect
	var denial *model.Denial
	switch {
	case err == nil || errors.As(err, &denial):
		return doc.values, err
	case errors.As(err, &defect):
		return nil, wrong(brief(file), defect.Got, defect.Want).
			Hinted("write the document in UTF-8, ISO-8859-1 or US-ASCII without a DTD, and declare the encoding in its first line")
	}
	return nil, wrong(brief(file), "not readable", "a document in XML without a DTD").Because(err)
}

// document takes the coordinates out of a pom or an index: by their path below the root, each of which may be there once.
type document struct {
	root, space string
	values      map[string]string
}

// coordinates are the paths below the root that say what a document is about.
var coordinates = map[string]bool{
	"groupId": true, "artifactId": true, "version": true, "parent/groupId": true, "parent/artifactId": true, "parent/version": true,
	"parent": true,
}

// Start refuses a coordinate that some readers overlook, since they know namespaces, or take for the second one.
func (d *document) Start(path []string, e xml.StartElement) error {
	if len(path) == 1 {
		d.space = e.Name.Space
		if path[0] != d.root {
			return wrong("root element", path[0], d.root)
		}
		return nil
	}
	at := strings.Join(path[1:], "/")
	switch {
	case d.root == "metadata" && at == "plugins":
		// It stands at the same path, and says which plugins of a group have which prefixes.
		return wrong("index", "of a group's plugins too", "that of one artifact")
	case !coordinates[at]:
		return nil
	case e.Name.Space != d.space:
		return wrong(at, "in another namespace", "in that of "+d.root)
	}
	if _, twice := d.values[at]; twice {
		return model.Deny(model.CodeDuplicateField).Differ(at, "twice", "once")
	}
	d.values[at] = ""
	return nil
}

// End keeps the text of a coordinate. Readers differ in what they make of text around an element or a comment.
func (d *document) End(path []string, text string, plain bool) error {
	at := strings.Join(path[1:], "/")
	if !coordinates[at] || at == "parent" {
		return nil
	}
	if !plain {
		return wrong(at, "more than text", "text")
	}
	d.values[at] = strings.TrimSpace(text)
	return nil
}

var _ xmldoc.Visitor = (*document)(nil)
