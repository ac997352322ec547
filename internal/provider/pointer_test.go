package provider

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestBelow(t *testing.T) {
	claims := map[string]any{
		"kubernetes.io": map[string]any{"namespace": "ci", "serviceaccount": map[string]any{"name": "publisher"}, "none": nil},
		"kubernetes":    map[string]any{"io": map[string]any{"namespace": "evil"}},
		"a/b":           map[string]any{"c~d": "tilde"},
		"a":             map[string]any{"b": map[string]any{"c~d": "other"}},
		"list":          []any{map[string]any{"x": "y"}},
		"/rooted":       "slash",
		"~1":            map[string]any{"x": "twice"},
		"text":          "t",
	}
	tests := []struct{ pointer, want string }{
		{"/kubernetes.io/namespace", "ci"},
		{"/kubernetes.io/serviceaccount/name", "publisher"},
		{"/kubernetes/io/namespace", "evil"},
		{"/a~1b/c~0d", "tilde"},
		{"/a/b/c~0d", "other"},
		{"/~1rooted", "slash"},
		{"/~01/x", "twice"},
		{"/kubernetes.io/Namespace", ""},
		{"/kubernetes.io/none", ""},
		{"/kubernetes.io/namespace/x", ""},
		{"/list/0/x", ""},
		{"/text/", ""},
		{"/", ""},
	}
	p, _ := Get("oidc")
	for _, test := range tests {
		got, ok := Below(claims, test.pointer)
		if ok != (test.want != "") || ok && got != test.want {
			t.Errorf("%s: got %v, %t; want %q", test.pointer, got, ok, test.want)
		}
		if text, _ := p.Text(claims, test.pointer); text != test.want {
			t.Errorf("%s: text is %q, want %q", test.pointer, text, test.want)
		}
	}
	if _, ok := Below(nil, "/a/b"); ok {
		t.Error("found below nothing")
	}
	if n := testing.AllocsPerRun(100, func() { Below(claims, "/kubernetes.io/serviceaccount/name") }); n != 0 {
		t.Errorf("looking up allocates %v times", n)
	}
}

func TestCheckPointer(t *testing.T) {
	tests := []struct{ pointer, says string }{
		{"/a/b", ""},
		{"/a~1b/c", ""},
		{"/~1a", ""},
		{"/~01/x", ""},
		{"/a", "without the slash"},
		{"/", "without the slash"},
		{"/a//b", "empty key"},
		{"/a/", "empty key"},
		{"/a/b~", "tilde"},
		{"/a/b~2", "tilde"},
		{"/a/~~0", "tilde"},
	}
	for _, test := range tests {
		err := CheckPointer(test.pointer)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q: got %v, want %q", test.pointer, err, test.says)
		}
	}
}

// A pointer of escaped keys finds the value below just these keys, and no other pointer that is accepted does.
func FuzzBelow(f *testing.F) {
	f.Add("kubernetes.io", "namespace")
	f.Add("a/b", "c~d")
	f.Add("~1", "~0")
	f.Add("", "/")
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	f.Fuzz(func(t *testing.T, outer, inner string) {
		claims := map[string]any{outer: map[string]any{inner: json.Number("1")}}
		pointer := "/" + escape.Replace(outer) + "/" + escape.Replace(inner)
		if v, ok := Below(claims, pointer); !ok || v != json.Number("1") {
			t.Errorf("%q finds %v, %t", pointer, v, ok)
		}
		if err := CheckPointer(pointer); err != nil && outer != "" && inner != "" {
			t.Errorf("%q is refused: %v", pointer, err)
		}
		other := "/" + outer + "/" + inner
		if _, ok := Below(claims, other); ok && other != pointer && CheckPointer(other) == nil {
			t.Errorf("%q and %q lead to one value", pointer, other)
		}
	})
}
