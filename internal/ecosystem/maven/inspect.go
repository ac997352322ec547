package maven

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// maxDepth bounds the nesting of a document.
const maxDepth = 64

// Inspect compares the coordinates inside a pom or an index with those of its path.
func (*protocol) Inspect(op model.Operation, _ http.Header, target model.Target, body io.ReaderAt, size int64) error {
	root := "project"
	if op.Name == opMetadata {
		root = "metadata"
	}
	doc, err := readDocument(io.NewSectionReader(body, 0, size), root)
	if err != nil {
		var denial *model.Denial
		if errors.As(err, &denial) {
			return denial
		}
		return wrong(target.File, "not readable", "a document in XML without a DTD").Because(err)
	}
	group, artifact, _ := strings.Cut(target.Package, ":")
	checks := []struct{ path, want string }{{"groupId", group}, {"artifactId", artifact}, {"version", target.Version}}
	for _, c := range checks {
		got, ok := doc[root+"/"+c.path]
		if parent, inherits := doc[root+"/parent/"+c.path]; !ok && inherits && root == "project" && c.path != "artifactId" {
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

// readDocument reads the texts of the elements down to the third level: by path, each of which may be there once where it
// names coordinates. A DTD, a second root and text after it are refused.
func readDocument(r io.Reader, root string) (map[string]string, error) {
	dec := xml.NewDecoder(r)
	doc := map[string]string{}
	var path []string
	var text strings.Builder
	roots := 0
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.Directive:
			return nil, wrong("document", "with a DTD", "none")
		case xml.StartElement:
			if path = append(path, token.Name.Local); len(path) == 1 {
				roots++
			}
			if roots > 1 || path[0] != root {
				return nil, wrong("root element", brief(token.Name.Local), root+", once")
			}
			if len(path) > maxDepth {
				return nil, wrong("document", "nested deeper", "at most 64 levels")
			}
			text.Reset()
		case xml.CharData:
			if len(path) == 0 && len(bytes.TrimSpace(token)) > 0 {
				return nil, wrong("document", "with text outside its root", "one element "+root)
			}
			text.Write(token)
		case xml.EndElement:
			if err := keep(doc, strings.Join(path, "/"), text.String()); err != nil {
				return nil, err
			}
			path = path[:len(path)-1]
			text.Reset()
		}
	}
	if roots == 0 {
		return nil, wrong("document", "empty", "an element "+root)
	}
	return doc, nil
}

// coordinates are the paths below the root that say what a document is about.
var coordinates = map[string]bool{
	"groupId": true, "artifactId": true, "version": true, "parent/groupId": true, "parent/artifactId": true, "parent/version": true,
	"parent": true,
}

// keep remembers a coordinate; readers differ in which of two they take.
func keep(doc map[string]string, path, text string) error {
	_, below, _ := strings.Cut(path, "/")
	if !coordinates[below] {
		return nil
	}
	if _, twice := doc[path]; twice {
		return model.Deny(model.CodeDuplicateField).Differ(below, "twice", "once")
	}
	doc[path] = strings.TrimSpace(text)
	return nil
}
