package mintapi_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/credential/mintapi"
)

// FuzzBody: whatever a value is, the document that is sent differs from the template in that text alone.
func FuzzBody(f *testing.F) {
	f.Add(`quo"te`, "1.0")
	f.Add("}{\"x\":1,\"\\", "\x00")
	allowed := mintapi.Allowed{Names: mintapi.TargetNames()}
	b, err := mintapi.ParseBody(`{"a": "<{package}>", "b": [{"c": "{version}"}]}`, allowed)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, pkg, version string) {
		got, err := b.Fill(mintapi.Values{Named: map[string]string{"package": pkg, "version": version}})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"a": "<" + pkg + ">", "b": []any{map[string]any{"c": version}}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("document (-want +got):\n%s", diff)
		}
		path, err := mintapi.ParsePath("/a/{package}/b?v={version}", allowed)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := path.Fill(mintapi.Values{Named: map[string]string{"package": pkg, "version": version}}); err == nil && (strings.Count(text, "/") != 3 || strings.Count(text, "?") != 1 || strings.ContainsAny(text, "&;,\\# ")) {
			t.Errorf("path is %q", text)
		}
	})
}

// TestPathsLeadNowhereElse: no value leads to another folder of an API, whether it decodes a path first or not.
func TestPathsLeadNowhereElse(t *testing.T) {
	path, err := mintapi.ParsePath("/secret/data/{package}", mintapi.Allowed{Names: mintapi.TargetNames()})
	if err != nil {
		t.Fatal(err)
	}
	for pkg, want := range map[string]string{
		"acme-widget": "/secret/data/acme-widget", "acme/widget": "/secret/data/acme%2Fwidget", "@acme/widget": "/secret/data/%40acme%2Fwidget", "a..b/.c": "/secret/data/a..b%2F.c",
		"": "", ".": "", "..": "", "../root": "", "acme/../../root": "", "acme/..": "", `..\root`: "", `acme\..\root`: "", "/root": "", "acme//root": "", "acme/": "", "acme/./root": "",
	} {
		got, err := path.Fill(mintapi.Values{Named: map[string]string{"package": pkg}})
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", pkg, got, err, want)
		}
	}
}
