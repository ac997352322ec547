package xmldoc_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/xmldoc"
)

// record notes what a visitor is told.
type record struct{ events []string }

func (r *record) Start(path []string, _ xml.StartElement) error {
	r.events = append(r.events, "<"+strings.Join(path, "/"))
	return nil
}

func (r *record) End(path []string, text string, plain bool) error {
	r.events = append(r.events, fmt.Sprintf("%s>%s %t", strings.Join(path, "/"), text, plain))
	return nil
}

func TestWalk(t *testing.T) {
	var r record
	err := xmldoc.Walk([]byte("\ufeff<?xml version='1.0' encoding=\"utf-8\" standalone='yes' ?>\n<!-- x --><?y z?><a xmlns=\"n\">1<b>&lt;<![CDATA[<]]></b>2<c>x<!-- y -->z</c></a>\n"), &r)
	want := []string{"<a", "<a/b", "a/b><< true", "<a/c", "a/c>xz false", "a> false"}
	if diff := cmp.Diff(want, r.events); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// TestRefusals: each is a document that some reader takes for another one.
func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want string
	}{
		"nothing":                      {"", "document has nothing, expected one element"},
		"a DTD":                        {"<!DOCTYPE a><a/>", "document has a DTD, expected none"},
		"two roots":                    {"<a/><a/>", "document has a second root, expected one element"},
		"text before the root":         {"x<a/>", "document has text outside its root, expected one element"},
		"text after the root":          {"<a/>x", "document has text outside its root, expected one element"},
		"a declaration after a space":  {" <?xml version=\"1.0\"?><a/>", `document has another XML declaration, expected <?xml version="1.0" encoding="UTF-8"?>, or none`},
		"a declaration after the root": {"<a/><?xml version=\"1.0\"?>", `document has another XML declaration, expected <?xml version="1.0" encoding="UTF-8"?>, or none`},
		"two declarations":             {"<?xml version=\"1.0\"?><?xml version=\"1.0\"?><a/>", `document has another XML declaration, expected <?xml version="1.0" encoding="UTF-8"?>, or none`},
		"a declaration in capitals":    {"<?XML version=\"1.0\" encoding=\"utf-7\"?><a/>", `document has another XML declaration, expected <?xml version="1.0" encoding="UTF-8"?>, or none`},
		"another version":              {"<?xml version=\"1.1\"?><a/>", `xml: unsupported version "1.1"; only version 1.0 is supported`},
		"a version after a space":      {"<?xml version =\"1.1\"?><a/>", `document has another XML declaration, expected <?xml version="1.0" encoding="UTF-8"?>, or none`},
		"another encoding":             {"<?xml version=\"1.0\" encoding=\"utf-7\"?><a/>", `document has another XML declaration, expected <?xml version="1.0" encoding="UTF-8"?>, or none`},
		"an encoding after a space":    {"<?xml version=\"1.0\" encoding =\"utf-7\"?><a/>", `document has another XML declaration, expected <?xml version="1.0" encoding="UTF-8"?>, or none`},
		"an encoding before a space":   {"<?xml version=\"1.0\" encoding= \"utf-7\"?><a/>", `document has another XML declaration, expected <?xml version="1.0" encoding="UTF-8"?>, or none`},
		"an encoding on another line":  {"<?xml version=\"1.0\"\nencoding\n=\n'utf-16'?><a/>", `document has another XML declaration, expected <?xml version="1.0" encoding="UTF-8"?>, or none`},
		"an encoding in other quotes":  {"<?xml version=\"1.0\" x='encoding=\"utf-8\"' encoding='utf-7'?><a/>", `document has another XML declaration, expected <?xml version="1.0" encoding="UTF-8"?>, or none`},
		"two encodings":                {"<?xml version=\"1.0\" encoding=\"utf-8\" encoding=\"utf-7\"?><a/>", `document has another XML declaration, expected <?xml version="1.0" encoding="UTF-8"?>, or none`},
		"no version":                   {"<?xml encoding=\"utf-8\"?><a/>", `document has another XML declaration, expected <?xml version="1.0" encoding="UTF-8"?>, or none`},
		"UTF-16":                       {"\xff\xfe<\x00a\x00/\x00>\x00", "XML syntax error on line 1: invalid UTF-8"},
		"a root with a prefix":         {`<x:a xmlns:x="n"/>`, "document has a root with a prefix, expected one without"},
		"a root with an unknown one":   {`<x:a/>`, "document has a root with a prefix, expected one without"},
		"a prefix of the root's own":   {`<a xmlns="n" xmlns:x="n"/>`, "document has the prefix x for the namespace of its root, expected elements without a prefix"},
		"one on a child":               {`<a xmlns="n"><x:b xmlns:x="n"/></a>`, "document has the prefix x for the namespace of its root, expected elements without a prefix"},
		"one for no namespace":         {`<a><x:b xmlns:x=""/></a>`, "document has the prefix x for the namespace of its root, expected elements without a prefix"},
		"deep":                         {strings.Repeat("<a>", 65) + strings.Repeat("</a>", 65), "document has elements nested deeper, expected at most 64 levels"},
		"an unknown entity":            {"<a>&b;</a>", "XML syntax error on line 1: invalid character entity &b;"},
		"the wrong end":                {"<a></b>", "XML syntax error on line 1: element <a> closed by </b>"},
		"a control character":          {"<a>\x01</a>", "XML syntax error on line 1: illegal character code U+0001"},
		"no UTF-8":                     {"<a>\xff</a>", "XML syntax error on line 1: invalid UTF-8"},
	} {
		if err := xmldoc.Walk([]byte(tc.text), &record{}); err == nil || err.Error() != tc.want {
			t.Errorf("%s: got %v, expected %s", name, err, tc.want)
		}
	}
	for name, text := range map[string]string{"other namespaces": `<a xmlns="n" xmlns:x="m"><x:b x:c="d"/></a>`, "none": "<a/>", "a declaration of version alone": "<?xml version=\"1.0\"?><a/>"} {
		if err := xmldoc.Walk([]byte(text), &record{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAttributes(t *testing.T) {
	at := func(text string) (values map[string]string, err error) {
		var v attributes
		if walked := xmldoc.Walk([]byte(text), &v); walked != nil {
			t.Fatal(walked)
		}
		return v.values, v.err
	}
	if got, err := at(`<a xmlns="n" xmlns:x="m" B="1" x:c="2"/>`); err != nil || !cmp.Equal(got, map[string]string{"b": "1", "c": "2"}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, twice := range []string{`<a b="1" b="2"/>`, `<a b="1" B="2"/>`, `<a xmlns:x="m" b="1" x:b="2"/>`} {
		var defect *xmldoc.Defect
		if _, err := at(twice); !errors.As(err, &defect) {
			t.Errorf("%s: %v", twice, err)
		}
	}
}

type attributes struct {
	values map[string]string
	err    error
}

func (a *attributes) Start(_ []string, e xml.StartElement) error {
	a.values, a.err = xmldoc.Attributes(e)
	return nil
}

func (*attributes) End([]string, string, bool) error { return nil }

// FuzzWalk: whatever comes, the walk ends, and each element that began has ended where the document is accepted.
func FuzzWalk(f *testing.F) {
	f.Add([]byte("<?xml version=\"1.0\"?><a xmlns=\"n\"><b c=\"d\">e</b><!-- f --></a>"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var r record
		if err := xmldoc.Walk(text, &r); err != nil {
			return
		}
		open := 0
		for _, e := range r.events {
			if strings.HasPrefix(e, "<") {
				open++
			} else {
				open--
			}
		}
		if open != 0 {
			t.Errorf("%d elements are open: %v", open, r.events)
		}
	})
}
