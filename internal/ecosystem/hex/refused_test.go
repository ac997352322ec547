package hex_test

import (
	"archive/tar"
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/ecosystem/ecosystemtest"
	"github.com/trustpub/trustpub/internal/model"
)

// TestInvariantJudgedBytesAreForwardedBytes breaks one thing of a release at a time: each is what some reader takes for another release.
func TestInvariantJudgedBytesAreForwardedBytes(t *testing.T) {
	sum := checksum(terms, contents)
	v, c, m, d := entry{"VERSION", "3"}, entry{"CHECKSUM", sum}, entry{"metadata.config", terms}, entry{"contents.tar.gz", contents}
	posix := func(entries ...entry) []byte { return tarOf(tar.FormatUSTAR, entries...) }
	with := func(old, replacement string) []byte {
		if !strings.Contains(terms, old) {
			t.Fatalf("no %q", old)
		}
		return releaseOf(strings.Replace(terms, old, replacement, 1))
	}
	other := strings.Replace(terms, "acme_widget", "acme_gadget", 1)
	const bad = model.CodeMalformedUpload
	for name, tc := range map[string]struct {
		release []byte
		code    model.Code
	}{
		"good":                            {posix(v, c, m, d), ""},
		"two metadata":                    {posix(v, c, m, entry{"metadata.config", other}, d), model.CodeDuplicateField},
		"two checksums":                   {posix(v, c, c, m, d), model.CodeDuplicateField},
		"an entry more":                   {posix(v, c, m, entry{"hex_metadata.config", other}, d), bad},
		"another spelling":                {posix(v, c, entry{"./metadata.config", other}, m, d), bad},
		"contents before their metadata":  {posix(v, c, d, m), bad},
		"contents before their version":   {posix(c, m, d, v), bad},
		"another version of the format":   {posix(entry{"VERSION", "4"}, c, m, d), bad},
		"a version with a line break":     {posix(entry{"VERSION", "3\n"}, c, m, d), bad},
		"a long version":                  {posix(entry{"VERSION", strings.Repeat("3", 200)}, c, m, d), model.CodeTooLarge},
		"large metadata":                  {posix(v, c, entry{"metadata.config", strings.Repeat(" ", 2<<20)}, d), model.CodeTooLarge},
		"no version":                      {posix(c, m), model.CodeMissingField},
		"no metadata":                     {posix(v, c), model.CodeMissingField},
		"no contents":                     {posix(v, c, m), model.CodeMissingField},
		"no checksum":                     {posix(v, m, d), model.CodeMissingField},
		"another checksum":                {posix(v, entry{"CHECKSUM", checksum(other, contents)}, m, d), model.CodeDigestMismatch},
		"half a checksum":                 {posix(v, entry{"CHECKSUM", sum[:32]}, m, d), model.CodeDigestMismatch},
		"a checksum in small letters":     {posix(v, entry{"CHECKSUM", strings.ToLower(sum)}, m, d), ""},
		"a checksum with a line break":    {posix(v, entry{"CHECKSUM", sum + "\n"}, m, d), model.CodeDigestMismatch},
		"other contents":                  {posix(v, c, m, entry{"contents.tar.gz", zipped("other")}), model.CodeDigestMismatch},
		"empty contents":                  {posix(v, entry{"CHECKSUM", checksum(terms, "")}, m, entry{"contents.tar.gz", ""}), ""},
		"no end":                          {bytes.TrimRight(posix(v, c, m, d), "\x00"), bad},
		"a second release":                {append(posix(v, c, m, d), posix(v, c, m, d)...), bad},
		"empty":                           {nil, bad},
		"a name of pax":                   {tarOf(tar.FormatPAX, v, c, m, entry{strings.Repeat("a", 200), ""}, d), bad},
		"no tar":                          {[]byte(strings.Repeat("x", 2048)), bad},
		"a name twice":                    {releaseOf(terms + `{<<"name">>, <<"acme_gadget">>}.`), model.CodeDuplicateField},
		"a name as bytes":                 {with(`{<<"app">>`, `{<<110,97,109,101>>, <<"acme_gadget">>}.`+"\n"+`{<<"app">>`), bad},
		"a name with an escape":           {with(`{<<"app">>`, `{<<"n\x{61}me">>, <<"acme_gadget">>}.`+"\n"+`{<<"app">>`), bad},
		"an empty key":                    {with(`<<"app">>`, `<<>>`), bad},
		"a key that is an atom":           {with(`<<"app">>`, `app`), bad},
		"a name that is an atom":          {with(`<<"acme_widget"/utf8>>`, `true`), bad},
		"a name that is a charlist":       {with(`<<"acme_widget"/utf8>>`, `"acme_widget"`), bad},
		"a name of bytes":                 {with(`<<"acme_widget"/utf8>>`, `<<97,98,99>>`), bad},
		"a name with escapes":             {with(`acme_widget`, `acme\_widget`), bad},
		"a name with an octal":            {with(`acme_widget`, `acme\137widget`), bad},
		"a name in two texts":             {with(`<<"acme_widget"/utf8>>`, `<<"acme_" "widget">>`), bad},
		"a name of two segments":          {with(`<<"acme_widget"/utf8>>`, `<<"acme_","widget">>`), bad},
		"a name in a list":                {with(`<<"acme_widget"/utf8>>`, `[<<"acme_widget">>]`), bad},
		"a name of UTF-16":                {with(`"acme_widget"/utf8`, `"acme_widget"/utf16`), bad},
		"a name in capitals":              {with(`acme_widget`, `Acme_widget`), bad},
		"a name with an organisation":     {with(`acme_widget`, `acme/widget`), bad},
		"a name that is a path":           {with(`acme_widget`, `../widget`), bad},
		"no name":                         {with(`<<"name">>`, `<<"title">>`), model.CodeMissingField},
		"a version that is a number":      {with(`<<"1.0.0"/utf8>>`, `1`), bad},
		"a version of two numbers":        {with(`1.0.0`, `1.0`), bad},
		"a version that is a path":        {with(`1.0.0`, `1.0.0/../2.0.0`), bad},
		"no release's version":            {with(`<<"version">>`, `<<"vsn">>`), model.CodeMissingField},
		"a comment":                       {releaseOf("% {\n" + terms), bad},
		"an escaped quote as Erlang has":  {with("a widget 🌈", `a \" widget`), ""},
		"a control that takes a quote":    {with("a widget 🌈", `\^"/utf8>>}. {<<"name">>, <<"acme_gadget"/utf8>>}. {<<"x">>, <<"`), bad},
		"an escape that is unknown":       {with("a widget 🌈", `\q`), bad},
		"an escaped line break":           {with("a widget 🌈", "\\\n"), bad},
		"a text without an end":           {releaseOf(terms + `{<<"x">>, <<"y`), bad},
		"a backslash at the end":          {releaseOf(terms + `{<<"x">>, <<"y\`), bad},
		"a dot with nothing behind":       {with("}.\n{<<\"app\">>", "}.{<<\"app\">>"), bad},
		"a value without a dot":           {with("}.\n{<<\"app\">>", "}\n{<<\"app\">>"), bad},
		"a triple":                        {with("false}", "false"), bad},
		"a pair with more":                {with(`<<"1.0.0"/utf8>>`, `<<"1.0.0">>, <<"2.0.0">>`), bad},
		"a list that is improper":         {with("[<<\"gleam\"/utf8>>]", "[<<\"gleam\">>|<<\"x\">>]"), bad},
		"a list that is open":             {with("[<<\"gleam\"/utf8>>]", "[<<\"gleam\">>"), bad},
		"a list with a hole":              {with("[<<\"gleam\"/utf8>>]", "[<<\"gleam\">>,,]"), bad},
		"a map":                           {with("[<<\"gleam\"/utf8>>]", "#{<<\"a\">> => <<\"b\">>}"), bad},
		"an atom that is unknown":         {with("false", "maybe_not"), bad},
		"an atom in quotes":               {with("false", "'false'"), bad},
		"a float":                         {with("false", "1.5"), bad},
		"a number without end":            {with("false", strings.Repeat("1", 30)), bad},
		"a character":                     {with("false", "$a"), bad},
		"a variable":                      {with("false", "False"), bad},
		"a byte too large":                {with(`<<"Apache-2.0"/utf8>>`, "<<256>>"), bad},
		"bytes with a hole":               {with(`<<"Apache-2.0"/utf8>>`, "<<1,,2>>"), bad},
		"bytes without their end":         {releaseOf(terms + `{<<"x">>, <<1`), bad},
		"no UTF-8":                        {with("🌈", "\xff"), bad},
		"a zero between terms":            {releaseOf(terms + "\x00"), bad},
		"a term that is no tuple":         {releaseOf(terms + "[]."), bad},
		"metadata in another form":        {releaseOf(`#{<<"name">> => <<"acme_widget">>}.`), bad},
		"no metadata at all":              {releaseOf(""), model.CodeMissingField},
		"deep":                            {releaseOf(terms + `{<<"x">>, ` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}."), model.CodeTooLarge},
		"terms without end":               {releaseOf(terms + `{<<"x">>, [` + strings.Repeat("1,", 120_000) + "1]}."), model.CodeTooLarge},
		"many files":                      {releaseOf(terms + `{<<"x">>, [` + strings.Repeat(`<<"a">>,`, 50_000) + "1]}."), ""},
		"a second set of metadata behind": {posix(v, c, m, d, entry{"metadata.config", other}), model.CodeDuplicateField},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{len(tc.release) + 1, 100} {
				if _, err := judge(t, publishOp(t, "POST /publish?replace=false"), bytesType, tc.release, size); ecosystemtest.Code(err) != tc.code {
					t.Errorf("in pieces of %d: got %v, expected %q", size, err, tc.code)
				}
			}
		})
	}
	named := publishOp(t, "POST /api/packages/acme_gadget/releases?replace=false")
	if _, err := judge(t, named, bytesType, releaseOf(terms), 100); ecosystemtest.Code(err) != model.CodePackageMismatch {
		t.Errorf("another package in the URL: %v", err)
	}
	if _, err := protocol(t).Open(model.Operation{Name: "read"}, bytesType); ecosystemtest.Code(err) != model.CodeUnsupportedOperation {
		t.Errorf("a read with a body: %v", err)
	}
}

// TestTypes: what a server takes for a form or for JSON has parameters in it, the repository among them.
func TestTypes(t *testing.T) {
	for _, lines := range [][]string{
		nil,
		{"application/json"},
		{"application/x-www-form-urlencoded"},
		{"multipart/form-data"},
		{"application/vnd.hex+erlang"},
		{"application/x-tar", "application/json"},
		{"application/json", "application/octet-stream"},
		{"application/octet-stream", "application/json"},
	} {
		for _, request := range []string{"POST /api/publish?replace=false", "POST /api/packages/widget/releases/1.0.0/docs"} {
			if _, err := protocol(t).Open(publishOp(t, request), http.Header{"Content-Type": lines}); ecosystemtest.Code(err) != model.CodeMalformedUpload {
				t.Errorf("%s as %q: %v", request, lines, err)
			}
		}
	}
}

// FuzzPublish holds the scanner against itself, with a body whole and cut into pieces.
func FuzzPublish(f *testing.F) {
	built, err := os.ReadFile(filepath.Join("testdata", "acme_widget-1.0.0.tar"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(built, uint8(7))
	f.Add(releaseOf(terms), uint8(1))
	f.Add(gleamOf(terms), uint8(100))
	op := publishOp(f, "POST /publish?replace=false")
	f.Fuzz(func(t *testing.T, body []byte, size uint8) {
		whole, err := judge(t, op, bytesType, body, len(body)+1)
		cut, cutErr := judge(t, op, bytesType, body, 1+int(size))
		if (err == nil) != (cutErr == nil) || whole.Target != cut.Target || whole.Artifact != cut.Artifact {
			t.Fatalf("whole %+v, %v, cut %+v, %v", whole, err, cut, cutErr)
		}
	})
}

// FuzzMetadata looks for metadata that panics, that gives a target which is none, or whose name is not there as a text.
func FuzzMetadata(f *testing.F) {
	f.Add(terms)
	f.Add(`{<<"name">>,<<"a\"b">>}. {<<"version">>,[-1,{nil,<<1,2>>}]}.`)
	op := publishOp(f, "POST /publish?replace=false")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := judge(t, op, bytesType, releaseOf(text), 1<<20)
		if err != nil {
			return
		}
		if v.Target.Package == "" || v.Target.Version == "" || !strings.Contains(text, `"`+v.Target.Package+`"`) || !strings.Contains(text, `"`+v.Target.Version+`"`) {
			t.Fatalf("got %+v of %q", v.Target, text)
		}
	})
}

// FuzzRetirement looks for words in Erlang's terms that panic.
func FuzzRetirement(f *testing.F) {
	f.Add([]byte("\x83t\x00\x00\x00\x01m\x00\x00\x00\x06reasonm\x00\x00\x00\x05other"))
	op := publishOp(f, "POST /packages/acme_widget/releases/1.0.0/retire")
	f.Fuzz(func(t *testing.T, body []byte) {
		_, err := judge(t, op, http.Header{"Content-Type": {"application/vnd.hex+erlang"}}, body, 1<<20)
		if err == nil && bytes.Contains(body, []byte("repository")) && !bytes.Contains(body, []byte("reason")) && !bytes.Contains(body, []byte("message")) {
			t.Fatalf("%q is accepted", body)
		}
	})
}

// BenchmarkPublish scans a release of 16 MB in pieces as a server reads them: a tar and two digests.
func BenchmarkPublish(b *testing.B) {
	data := strings.Repeat("contents", 2<<20)
	body := tarOf(tar.FormatUSTAR, entry{"VERSION", "3"}, entry{"CHECKSUM", checksum(terms, data)}, entry{"metadata.config", terms}, entry{"contents.tar.gz", data})
	op := publishOp(b, "POST /publish?replace=false")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := judge(b, op, bytesType, body, 32<<10); err != nil {
			b.Fatal(err)
		}
	}
}
