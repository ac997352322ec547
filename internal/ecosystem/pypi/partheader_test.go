package pypi

import (
	"regexp"
	"strings"
	"testing"
)

// partLines is the grammar of a part's header lines, to which splitPart is held.
var partLines = regexp.MustCompile(`^Content-Disposition: form-data; name="(:?[a-z][a-z0-9_]{0,63})"` +
	`(?:; filename="([0-9A-Za-z._+!-]{1,1000})"(?:\r\nContent-Type: application/([0-9A-Za-z.+-]{1,64}))?)?$`)

func comparePart(t *testing.T, header string) {
	t.Helper()
	got, ok := splitPart([]byte(header))
	m := partLines.FindStringSubmatch(header)
	if ok != (m != nil) {
		t.Fatalf("%q: accepted is %t, by the grammar it is %t", header, ok, m != nil)
	}
	if ok && (string(got.name) != m[1] || string(got.file) != m[2] || got.isFile != (m[2] != "") || string(got.media) != m[3]) {
		t.Errorf("%q: got %+v, by the grammar it is %q", header, got, m[1:])
	}
}

// partHeaders are some that are right, and some that nearly are.
func partHeaders() []string {
	right := []string{
		`Content-Disposition: form-data; name="name"`,
		`Content-Disposition: form-data; name=":action"`,
		`Content-Disposition: form-data; name="a` + strings.Repeat("_", 63) + `"`,
		`Content-Disposition: form-data; name=":a` + strings.Repeat("0", 63) + `"`,
		`Content-Disposition: form-data; name="content"; filename="acme_widget-1.0+local!-py3.whl"`,
		`Content-Disposition: form-data; name="content"; filename="` + strings.Repeat("x", 1000) + `"`,
		"Content-Disposition: form-data; name=\"content\"; filename=\"w.whl\"\r\nContent-Type: application/octet-stream",
		"Content-Disposition: form-data; name=\"content\"; filename=\"w.whl\"\r\nContent-Type: application/" + strings.Repeat("z", 64),
	}
	all := right
	for _, header := range right {
		for i := range len(header) + 1 {
			all = append(all, header[:i], header[i:])
			for _, sign := range []string{"\"", ";", " ", "\r\n", "\n", "\x00", "é", "A", "a", "_", ":", "=", "*", "\\"} {
				all = append(all, header[:i]+sign+header[i:])
				if i < len(header) {
					all = append(all, header[:i]+sign+header[i+1:])
				}
			}
			if i > 200 {
				break // the middle of a long name is like its beginning
			}
		}
		all = append(all, header+header, header+"x", header+"\r\nContent-Type: application/x")
	}
	return all
}

func TestPartHeaders(t *testing.T) {
	for _, header := range partHeaders() {
		comparePart(t, header)
	}
}

func FuzzPartHeader(f *testing.F) {
	for _, header := range []string{
		`Content-Disposition: form-data; name="name"`,
		"Content-Disposition: form-data; name=\":action\"; filename=\"w.whl\"\r\nContent-Type: application/octet-stream",
	} {
		f.Add(header)
	}
	f.Fuzz(comparePart)
}
