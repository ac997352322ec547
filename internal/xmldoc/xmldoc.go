// Package xmldoc reads XML documents of which every reader sees the same: in UTF-8, without a DTD, with one root, and with no prefix
// for the namespace of the root, since readers that know nothing of namespaces take such an element for another one.
package xmldoc

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// maxDepth bounds the nesting of elements.
const maxDepth = 64

// Defect is what is wrong with a document.
type Defect struct{ Got, Want string }

// Error names what was found and what is expected.
func (d *Defect) Error() string { return fmt.Sprintf("document has %s, expected %s", d.Got, d.Want) }

// Visitor takes the elements of a document. path has the local names from the root on, and is good during the call alone. An error
// ends the walk and is returned as it is.
type Visitor interface {
	// Start is called where an element begins. Of an attribute and one of another case or namespace with the same name, readers
	// differ in which they take; Attributes refuses both.
	Start(path []string, e xml.StartElement) error
	// End is called where it ends. text is that of the element after its last child; plain is true where nothing else stands in it,
	// neither an element nor a comment or instruction.
	End(path []string, text string, plain bool) error
}

// declaration is the XML declaration in the forms that all take for UTF-8. The decoder looks for what it knows and overlooks what it
// does not, as white space before a '=', which other readers take for what it is.
var declaration = regexp.MustCompile(`^version=(?:"1\.0"|'1\.0')` +
	`(?:[ \t\r\n]+encoding=(?:"(?i:utf-8)"|'(?i:utf-8)'))?(?:[ \t\r\n]+standalone=(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*$`)

var byteOrderMark = []byte("\ufeff")

// Walk reads a document and tells the visitor. An error is a *Defect, the decoder's, or the visitor's own.
func Walk(text []byte, v Visitor) error {
	w := walker{visitor: v, decoder: xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, byteOrderMark)))}
	// The declaration is judged when it comes, as a whole.
	w.decoder.CharsetReader = func(_ string, input io.Reader) (io.Reader, error) { return input, nil }
	for {
		token, err := w.decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := w.take(token); err != nil {
			return err
		}
	}
	if w.roots == 0 {
		return &Defect{"nothing", "one element"}
	}
	return nil
}

// walker is the walk through one document.
type walker struct {
	visitor Visitor
	decoder *xml.Decoder
	path    []string
	text    strings.Builder
	plain   bool
	roots   int
	begun   bool // something stood before
	space   string
}

func (w *walker) take(token xml.Token) error {
	begun := w.begun
	w.begun = true
	switch token := token.(type) {
	case xml.Directive:
		return &Defect{"a DTD", "none"}
	case xml.ProcInst:
		w.plain = false
		if strings.EqualFold(token.Target, "xml") && (begun || token.Target != "xml" || !declaration.Match(token.Inst)) {
			return &Defect{"another XML declaration", `<?xml version="1.0" encoding="UTF-8"?>, or none`}
		}
	case xml.Comment:
		w.plain = false
	case xml.CharData:
		if len(w.path) == 0 && len(bytes.TrimSpace(token)) > 0 {
			return &Defect{"text outside its root", "one element"}
		}
		w.text.Write(token)
	case xml.StartElement:
		return w.start(token)
	case xml.EndElement:
		err := w.visitor.End(w.path, w.text.String(), w.plain)
		w.path, w.plain = w.path[:len(w.path)-1], false
		w.text.Reset()
		return err
	}
	return nil
}

func (w *walker) start(e xml.StartElement) error {
	if w.path = append(w.path, e.Name.Local); len(w.path) == 1 {
		w.roots++
		w.space = e.Name.Space
	}
	switch {
	case w.roots > 1:
		return &Defect{"a second root", "one element"}
	case len(w.path) > maxDepth:
		return &Defect{"elements nested deeper", fmt.Sprintf("at most %d levels", maxDepth)}
	case len(w.path) == 1 && w.space != "" && !declares(e, w.space):
		return &Defect{"a root with a prefix", "one without"}
	}
	for _, a := range e.Attr {
		if a.Name.Space == "xmlns" && a.Value == w.space {
			return &Defect{"the prefix " + a.Name.Local + " for the namespace of its root", "elements without a prefix"}
		}
	}
	if err := w.visitor.Start(w.path, e); err != nil {
		return err
	}
	w.text.Reset()
	w.plain = true
	return nil
}

// declares is true for an element that says what its namespace is, without a prefix.
func declares(e xml.StartElement, space string) bool {
	for _, a := range e.Attr {
		if a.Name.Space == "" && a.Name.Local == "xmlns" && a.Value == space {
			return true
		}
	}
	return false
}

// Attributes are those of an element by their names in small letters, each there once whatever its case and namespace.
func Attributes(e xml.StartElement) (map[string]string, error) {
	values := map[string]string{}
	for _, a := range e.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		name := strings.ToLower(a.Name.Local)
		if _, twice := values[name]; twice {
			return nil, &Defect{"an attribute " + name + " twice", "once, in no namespace"}
		}
		values[name] = a.Value
	}
	return values, nil
}
