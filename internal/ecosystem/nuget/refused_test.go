package nuget_test

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/model"
)

// TestInvariantJudgedBytesAreForwardedBytes breaks one thing of a package at a time: each is what some reader takes for another one.
func TestInvariantJudgedBytesAreForwardedBytes(t *testing.T) {
	with := func(old, replacement string) []byte {
		if !strings.Contains(nuspec, old) {
			t.Fatalf("no %q", old)
		}
		return packageOf(strings.Replace(nuspec, old, replacement, 1))
	}
	other := strings.Replace(nuspec, "Acme.Widget", "Other", 1)
	n := entry{"Acme.Widget.nuspec", nuspec}
	// edit changes bytes of a package at the n-th place where a text stands.
	edit := func(text string, nth, at int, b ...byte) []byte {
		pkg, from := packageOf(nuspec), 0
		for range nth {
			from += bytes.Index(pkg[from:], []byte(text)) + 1
		}
		copy(pkg[from-1+at:], b)
		return pkg
	}
	rel := func(old, replacement string) []byte {
		return zipOf(false, entry{"_rels/.rels", strings.Replace(rels, old, replacement, 1)}, n)
	}
	whole := packageOf(nuspec)
	end := len(whole) - 22
	moved := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(moved[end+16:], binary.LittleEndian.Uint32(moved[end+16:])-1)
	const bad = model.CodeMalformedUpload
	for name, tc := range map[string]struct {
		pkg  []byte
		code model.Code
	}{
		"good":                        {whole, ""},
		"empty":                       {nil, bad},
		"text":                        {[]byte("hello, this is no zip"), bad},
		"data before it":              {append([]byte("x"), whole...), bad},
		"a program before it":         {append([]byte("PK\x03\x04program"), whole...), bad},
		"text after it":               {append(bytes.Clone(whole), 'x'), bad},
		"a zip after it":              {append(bytes.Clone(whole), packageOf(other)...), bad},
		"cut":                         {whole[:len(whole)-1], bad},
		"a comment":                   {append(bytes.Clone(whole[:len(whole)-2]), 1, 0, 'x'), bad},
		"another start of directory":  {moved, bad},
		"two nuspecs":                 {zipOf(false, n, entry{"Other.nuspec", other}), bad},
		"a nuspec twice":              {zipOf(false, n, entry{"Acme.Widget.nuspec", other}), bad},
		"a nuspec in another case":    {zipOf(false, n, entry{"acme.widget.NUSPEC", other}), bad},
		"only a nuspec in capitals":   {zipOf(false, entry{"Acme.Widget.NUSPEC", nuspec}), bad},
		"a nuspec with percent signs": {zipOf(false, n, entry{"Other%2Enuspec", other}), bad},
		"percent signs twice":         {zipOf(false, n, entry{"Other%252Enuspec", other}), bad},
		"no nuspec":                   {zipOf(false, entry{"x.txt", "x"}), bad},
		"a nuspec in a folder":        {zipOf(false, entry{"a/Acme.Widget.nuspec", nuspec}), bad},
		"a path outside":              {zipOf(false, n, entry{"../x", "x"}), bad},
		"a path from the root":        {zipOf(false, n, entry{"/x", "x"}), bad},
		"a path of Windows":           {zipOf(false, n, entry{`a\x`, "x"}), bad},
		"a path with a drive":         {zipOf(false, n, entry{"c:x", "x"}), bad},
		"a path with a NUL":           {zipOf(false, n, entry{"x\x00y", "x"}), bad},
		"a path with a dot":           {zipOf(false, n, entry{"./x", "x"}), bad},
		"a path with two slashes":     {zipOf(false, n, entry{"a//x", "x"}), bad},
		"a file in pieces":            {zipOf(false, n, entry{"x/[0].piece", "x"}), bad},
		"a file twice":                {zipOf(false, n, entry{"a/x", "x"}, entry{"A/X", "y"}), bad},
		"a name that is not UTF-8":    {zipOf(false, n, entry{"\xff", "x"}), bad},
		"another name before data":    {edit("lib/a.dll", 1, 0, 'L'), bad},
		"another name in directory":   {edit("lib/a.dll", 2, 0, 'L'), bad},
		"another size before data":    {edit("PK\x03\x04", 3, 22, 9), bad},
		"another method before data":  {edit("PK\x03\x04", 3, 8, 8), bad},
		"encrypted":                   {edit("PK\x01\x02", 3, 8, 1), bad},
		"another sum before data":     {edit("PK\x03\x04", 3, 14, 9), bad},
		"another sum than the data's": {edit("PK\x03\x04", 2, 14, 9), bad},
		"a comment in the directory":  {edit("PK\x01\x02", 3, 32, 1), bad},
		"data of two entries":         {edit("PK\x01\x02", 3, 42, 0, 0, 0, 0), bad},
		"fewer entries at the end":    {edit("PK\x05\x06", 1, 8, 2), bad},
		"another disk":                {edit("PK\x05\x06", 1, 4, 1), bad},

		"another manifest":          {rel("/Acme.Widget.nuspec", "/other.xml"), bad},
		"two manifests":             {rel("</Rel", `<Relationship Id="b" Type="x/manifest" Target="/Acme.Widget.nuspec"/></Rel`), bad},
		"an external manifest":      {rel("/>", ` TargetMode="External"/>`), bad},
		"relations that are text":   {rel("<?xml", "<?"), bad},
		"relations in another case": {zipOf(false, n, entry{"_RELS/.rels", rels}), bad},
		"no manifest in relations":  {rel("manifest", "thumbnail"), ""},
		"a DTD":                     {with("<package", "<!DOCTYPE package [<!ENTITY x 'y'>]><package"), bad},
		"an entity":                 {with("Acme.Widget", "&x;"), bad},
		"UTF-16":                    {with("utf-8", "utf-16"), bad},
		"Latin-1":                   {with("utf-8", "iso-8859-1"), bad},
		"bytes that are not UTF-8":  {with("Acme", "\xff"), bad},
		"no XML":                    {with("</metadata>", ""), bad},
		"nothing":                   {packageOf(""), bad},
		"another root":              {packageOf("<x/>"), bad},
		"a root in capitals":        {packageOf(strings.NewReplacer("<package", "<Package", "</package", "</Package").Replace(nuspec)), bad},
		"two roots":                 {packageOf(nuspec + "<package/>"), bad},
		"text after the root":       {packageOf(nuspec + "x"), bad},
		"an instruction in the id":  {with("Widget</id>", "Widget<?x y?></id>"), bad},
		"in UTF-7":                  {with(`encoding="utf-8"`, `encoding = "utf-7"`), bad},
		"an id with a prefix":       {with("<id>Acme.Widget</id>", `<n:id xmlns:n="http://schemas.example.com/nuspec.xsd">Acme.Widget</n:id>`), bad},
		"relations to another one, with a type that is left out": {
			rel(`Target="/Acme.Widget.nuspec"`, `Target="/lib/other.xml" x:Type="none" xmlns:x="urn:x"`), bad,
		},
		"relations with a type in another case": {rel(`Target="/Acme`, `TYPE="none" Target="/Acme`), bad},
		"two ids":                               {with("<version>", "<id>Other</id><version>"), model.CodeDuplicateField},
		"two versions":                          {with("</metadata>", "<version>2.0.0</version></metadata>"), model.CodeDuplicateField},
		"two metadata":                          {with("</package>", "<metadata><id>Other</id></metadata></package>"), model.CodeDuplicateField},
		"an id in capitals":                     {with("<version>", "<ID>Other</ID><version>"), bad},
		"an id of another namespace":            {with("<version>", `<id xmlns="x">Other</id><version>`), bad},
		"an id of a prefix":                     {with("<version>", `<x:id xmlns:x="x">Other</x:id><version>`), bad},
		"an id with a comment":                  {with("Acme.Widget", "Acme<!-- x -->.Widget"), bad},
		"an id with an element":                 {with("Acme.Widget", "Acme.<b>Widget</b>"), bad},
		"an id with an element first":           {with("Acme.Widget", "<b>x</b>Acme.Widget"), bad},
		"an id with blanks":                     {with("Acme.Widget", " Acme.Widget "), bad},
		"an id that is a path":                  {with("Acme.Widget", "../Widget"), bad},
		"an empty id":                           {with("Acme.Widget", ""), model.CodeMissingField},
		"no version":                            {with("<version>1.0.0-Beta</version>", ""), model.CodeMissingField},
		"a version of a template":               {with("1.0.0-Beta", "$version$"), bad},
		"deep":                                  {with("<dependencies>", "<dependencies>"+strings.Repeat("<a>", 70)+strings.Repeat("</a>", 70)), bad},
		"a large nuspec":                        {with("<dependencies>", "<dependencies>"+strings.Repeat(" ", 5<<20)), model.CodeTooLarge},
	} {
		if _, _, err := judge(t, "push", formOf(dotnetPart, tc.pkg)); ecosystemtest.Code(err) != tc.code {
			t.Errorf("%s: got %v, expected %q", name, err, tc.code)
		}
	}
}

func TestRefusedForms(t *testing.T) {
	pkg := packageOf(nuspec)
	good := formOf(dotnetPart, pkg)
	for name, tc := range map[string]struct {
		body []byte
		code model.Code
	}{
		"cut":                     {good[:len(good)-5], model.CodeTruncated},
		"another field":           {formOf(strings.Replace(curlPart, `"package"`, `"x"`, 1), pkg), model.CodeMalformedUpload},
		"a second name":           {formOf(strings.Replace(dotnetPart, "''package", "''other", 1), pkg), model.CodeMalformedUpload},
		"another type":            {formOf(strings.Replace(curlPart, "octet-stream", "x-www-form-urlencoded", 1), pkg), model.CodeMalformedUpload},
		"a field beside":          {bytes.Replace(good, []byte("--"+boundary+"--"), []byte("--"+boundary+"\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\ny\r\n--"+boundary+"--"), 1), model.CodeMalformedUpload},
		"two packages":            {append(bytes.TrimSuffix(bytes.Clone(good), []byte("--\r\n")), append([]byte("\r\n"), good[len(boundary)+4:]...)...), model.CodeDuplicateField},
		"no package":              {[]byte("--" + boundary + "--\r\n"), model.CodeMissingField},
		"a line end without a CR": {bytes.Replace(good, []byte("\r\n--"+boundary+"--"), []byte("\n--"+boundary+"--"), 1), model.CodeMalformedUpload},
		"an end without line end": {bytes.Replace(good, []byte("\r\n--"+boundary+"--\r\n"), []byte("--"+boundary+"--"), 1), model.CodeMalformedUpload},
		"a bare end that is cut":  {bytes.Replace(good, []byte("\r\n--"+boundary+"--\r\n"), []byte("\n--"+boundary+"-"), 1), model.CodeTruncated},
		"a bare end of no zip":    {bytes.Replace(good, []byte("\r\n--"+boundary+"--\r\n"), []byte("x\n--"+boundary+"--"), 1), model.CodeMalformedUpload},
	} {
		if _, _, err := judge(t, "push", tc.body); ecosystemtest.Code(err) != tc.code {
			t.Errorf("%s: got %v, expected %q", name, err, tc.code)
		}
	}
	if _, err := protocol(t).Open(model.Operation{Name: "push"}, http.Header{"Content-Type": {"application/octet-stream"}}); ecosystemtest.Code(err) != model.CodeMalformedUpload {
		t.Errorf("got %v", err)
	}
	if _, err := protocol(t).Open(model.Operation{Name: "read"}, formType); ecosystemtest.Code(err) != model.CodeUnsupportedOperation {
		t.Errorf("got %v", err)
	}
	if err := protocol(t).Inspect(model.Operation{}, nil, model.Target{}, nil, 0); err != nil {
		t.Error(err)
	}
}
