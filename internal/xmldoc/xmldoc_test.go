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
	for name, text := range map[string]string{
		"nothing":                      "",
		"a DTD":                        "<!DOCTYPE a><a/>",
		"two roots":                    "<a/><a/>",
		"text before the root":         "x<a/>",
		"text after the root":          "<a/>x",
		"a declaration after a space":  " <?xml version=\"1.0\"?><a/>",
		"a declaration after the root": "<a/><?xml version=\"1.0\"?>",
		"two declarations":             "<?xml version=\"1.0\"?><?xml version=\"1.0\"?><a/>",
		"a declaration in capitals":    "<?XML version=\"1.0\" encoding=\"utf-7\"?><a/>",
		"another version":              "<?xml version=\"1.1\"?><a/>",
		"a version after a space":      "<?xml version =\"1.1\"?><a/>",
		"another encoding":             "<?xml version=\"1.0\" encoding=\"utf-7\"?><a/>",
		"an encoding after a space":    "<?xml version=\"1.0\" encoding =\"utf-7\"?><a/>",
		"an encoding before a space":   "<?xml version=\"1.0\" encoding= \"utf-7\"?><a/>",
		"an encoding on another line":  "<?xml version=\"1.0\"\nencoding\n=\n'utf-16'?><a/>",
		"an encoding in other quotes":  "<?xml version=\"1.0\" x='encoding=\"utf-8\"' encoding='utf-7'?><a/>",
		"two encodings":                "<?xml version=\"1.0\" encoding=\"utf-8\" encoding=\"utf-7\"?><a/>",
		"no version":                   "<?xml encoding=\"utf-8\"?><a/>",
		"UTF-16":                       "\xff\xfe<\x00a\x00/\x00>\x00",
		"a root with a prefix":         `<x:a xmlns:x="n"/>`,
		"a root with an unknown one":   `<x:a/>`,
		"a prefix of the root's own":   `<a xmlns="n" xmlns:x="n"/>`,
		"one on a child":               `<a xmlns="n"><x:b xmlns:x="n"/></a>`,
		"one for no namespace":         `<a><x:b xmlns:x=""/></a>`,
		"deep":                         strings.Repeat("<a>", 65) + strings.Repeat("</a>", 65),
		"an unknown entity":            "<a>&b;</a>",
		"the wrong end":                "<a></b>",
		"a control character":          "<a>\x01</a>",
		"no UTF-8":                     "<a>\xff</a>",
	} {
		if err := xmldoc.Walk([]byte(text), &record{}); err == nil {
			t.Errorf("%s is accepted", name)
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
