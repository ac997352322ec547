package pypi

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

func TestAcceptsEveryClient(t *testing.T) {
	file := fileBytes(5000)
	for _, client := range clients {
		contentType, body := clientForm(t, client, file)
		name := wheelFile
		if strings.HasSuffix(client, "-sdist") {
			name = "acme_widget-1.0.tar.gz"
		}
		want := verdict{
			Named:    true,
			Target:   model.Target{Ecosystem: "pypi", Registry: "internal", Package: "acme-widget", Version: "1", File: name, Action: model.ActionPublish},
			Artifact: model.Artifact{File: name, Size: int64(len(file)), SHA256: sha256.Sum256(file)},
			Released: int64(bytes.Index(body, file) + len(file) - heldFile),
		}
		for split, cut := range splits {
			t.Run(client+"/"+split, func(t *testing.T) {
				if diff := cmp.Diff(want, judge(t, contentType, cut(body))); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func TestAccepts(t *testing.T) {
	md := md5.Sum([]byte(plainData))
	tests := []struct{ name, contentType, body string }{
		{"the plain upload", plainType, plain()},
		{"a quoted boundary", `multipart/form-data; boundary="BbB"`, plain()},
		{"no space before the boundary", "multipart/form-data;boundary=BbB", plain()},
		{"no line break at the end", plainType, strings.TrimSuffix(plain(), "\r\n")},
		{"another spelling of the name", plainType, strings.ReplaceAll(plain(), "acme-widget", "Acme.Widget")},
		{"another spelling of the version", plainType, strings.ReplaceAll(plain(), "\r\n1.0\r\n", "\r\nv1.0.0\r\n")},
		{"attestations after the file", plainType, strings.TrimSuffix(plain(), plainEnd) + field("attestations", `[{"version":1}]`) + plainEnd},
		{"a signature after the file", plainType, strings.TrimSuffix(plain(), plainEnd) + filePart("gpg_signature", wheelFile+".asc", "sig") + plainEnd},
		{"the longest file name", plainType, strings.ReplaceAll(plain(), wheelFile, longFile(255))},
		{"a signature of the longest file name", plainType, filePart("gpg_signature", longFile(255)+".asc", "x") + strings.ReplaceAll(plain(), wheelFile, longFile(255))},
		{"an empty field", plainType, field("home_page", "") + plain()},
		{"a value of line breaks", plainType, field("description", "\r\n\r\n--\r\n--B\r\n\n") + plain()},
		{"lists", plainType, field("classifiers", "A") + field("classifiers", "B") + plain()},
		{"a field of the future", plainType, field("sbom_file", "x") + plain()},
		{"a small file", plainType, strings.Replace(plain(), plainData, "P", 1)},
		{"a file of boundary beginnings", plainType, strings.Replace(plain(), plainData, strings.Repeat("\r\n--Bb", 40), 1)},
		{"a file that ends in a line break", plainType, strings.Replace(plain(), plainData, plainData+"\r\n", 1)},
		{"a file that ends in half a line break", plainType, strings.Replace(plain(), plainData, plainData+"\r", 1)},
		{"tags in another order", plainType, strings.Replace(field("pyversion", "py3.py2")+plain(), "-py3-", "-py2.py3-", 1)},
		{"empty digests", plainType, field("md5_digest", "") + field("blake2_256_digest", "") + plain()},
		{"MD5 in base64url", plainType, field("md5_digest", base64.RawURLEncoding.EncodeToString(md[:])) + plain()},
	}
	for _, tt := range tests {
		for split, cut := range splits {
			t.Run(tt.name+"/"+split, func(t *testing.T) {
				if v := judge(t, tt.contentType, cut([]byte(tt.body))); v.Code != "" || v.Artifact.Size == 0 {
					t.Errorf("refused: %s %s", v.Code, v.Field)
				}
			})
		}
	}
}

// after puts a part between the file and the end.
func after(part string) string { return strings.TrimSuffix(plain(), plainEnd) + part + plainEnd }

// instead changes one thing of the plain upload.
func instead(old, replacement string) string {
	if !strings.Contains(plain(), old) {
		panic("the plain upload has no " + old)
	}
	return strings.Replace(plain(), old, replacement, 1)
}

// longFile is a wheel of that length with a long platform tag.
func longFile(length int) string {
	start, end := "acme_widget-1.0-py3-none-", ".whl"
	return start + strings.Repeat("a", length-len(start)-len(end)) + end
}

func TestRefuses(t *testing.T) {
	const header = `Content-Disposition: form-data; name="name"`
	const fileHeader = "\r\nContent-Type: application/octet-stream"
	sum := strings.Repeat("0", 64)
	tests := []struct {
		name, body string
		want       model.Code
	}{
		// What two parsers read differently.
		{"two names", field("name", "evil") + plain(), model.CodeDuplicateField},
		{"the same name twice", field("name", "acme-widget") + plain(), model.CodeDuplicateField},
		{"two versions", field("version", "2.0") + plain(), model.CodeDuplicateField},
		{"two actions", field(":action", "file_upload") + plain(), model.CodeDuplicateField},
		{"two contents", after(filePart("content", wheelFile, "other")), model.CodeDuplicateField},
		{"two digests", field("sha256_digest", "") + field("sha256_digest", sum) + plain(), model.CodeDuplicateField},
		{"two unknown fields", field("sbom", "") + field("sbom", "") + plain(), model.CodeDuplicateField},
		{"a name after the file", after(field("name", "evil")), model.CodeDuplicateField},
		{"a summary after the file", after(field("summary", "evil")), model.CodeFieldOrder},
		{"two name parameters", instead(header, header+`; name="evil"`), model.CodeMalformedUpload},
		{"an extended name", instead(header, header+`; name*=UTF-8''evil`), model.CodeMalformedUpload},
		{"only an extended name", instead(header, `Content-Disposition: form-data; name*=UTF-8''name`), model.CodeMalformedUpload},
		{"an extended file name", instead(`; filename="`, `; filename*=UTF-8''evil.whl; filename="`), model.CodeMalformedUpload},
		{"two file names", instead(`; filename="`, `; filename="evil-1.0.tar.gz"; filename="`), model.CodeMalformedUpload},
		{"an unquoted name", instead(header, `Content-Disposition: form-data; name=name`), model.CodeMalformedUpload},
		{"an escape in a name", instead(header, `Content-Disposition: form-data; name="na\me"`), model.CodeMalformedUpload},
		{"a percent escape in a name", instead(header, `Content-Disposition: form-data; name="na%6de"`), model.CodeMalformedUpload},
		{"a capital in a name", instead(header, `Content-Disposition: form-data; name="Name"`), model.CodeMalformedUpload},
		{"a space in a name", instead(header, `Content-Disposition: form-data; name="name "`), model.CodeMalformedUpload},
		{"a null byte in a name", instead(header, "Content-Disposition: form-data; name=\"name\x00\""), model.CodeMalformedUpload},
		{"a space before the colon", instead("Content-Disposition:", "Content-Disposition :"), model.CodeMalformedUpload},
		{"a small header name", instead("Content-Disposition", "content-disposition"), model.CodeMalformedUpload},
		{"a folded header", instead(header, "Content-Disposition: form-data;\r\n name=\"name\""), model.CodeMalformedUpload},
		{"two dispositions", instead(header, header+"\r\n"+`Content-Disposition: form-data; name="evil"`), model.CodeMalformedUpload},
		{"an attachment", instead("form-data; name=\"name\"", "attachment; name=\"name\""), model.CodeMalformedUpload},
		{"no disposition", instead(header, "Content-Type: text/plain"), model.CodeMalformedUpload},
		{"no header", instead(header+"\r\n\r\n", "\r\n"), model.CodeMalformedUpload},
		{"a transfer encoding", instead(fileHeader, fileHeader+"\r\nContent-Transfer-Encoding: quoted-printable"), model.CodeMalformedUpload},
		{"a length", instead(fileHeader, fileHeader+"\r\nContent-Length: 3"), model.CodeMalformedUpload},
		{"a type before the disposition", instead("Content-Disposition: form-data; name=\"content\"", "Content-Type: application/zip\r\nContent-Disposition: form-data; name=\"content\""), model.CodeMalformedUpload},
		{"a character set", instead("octet-stream", "octet-stream; charset=utf-7"), model.CodeMalformedUpload},
		{"a nested multipart", instead("application/octet-stream", "multipart/mixed; boundary=x"), model.CodeMalformedUpload},
		{"a type on a field", instead(header, header+"\r\nContent-Type: text/plain"), model.CodeMalformedUpload},
		{"line feeds in a header", instead(header+"\r\n", header+"\n"), model.CodeMalformedUpload},
		{"line feeds only", strings.ReplaceAll(plain(), "\r\n", "\n"), model.CodeMalformedUpload},
		{"a line feed before a boundary", instead("1.0\r\n--BbB", "1.0\n--BbB"), model.CodeMalformedUpload},
		{"a line feed after a boundary", instead("1.0\r\n--BbB\r\n", "1.0\r\n--BbB\n"), model.CodeMalformedUpload},
		{"a space after a boundary", instead("1.0\r\n--BbB\r\n", "1.0\r\n--BbB \r\n"), model.CodeMalformedUpload},
		{"a longer boundary", instead("1.0\r\n--BbB\r\n", "1.0\r\n--BbBb\r\n"), model.CodeMalformedUpload},
		{"a boundary in the file", instead("this stands", "this --BbB stands"), model.CodeMalformedUpload},
		{"a boundary at the start of the file", instead(plainData, "--BbB\r\n"+plainData), model.CodeMalformedUpload},
		{"a boundary after a line feed in the file", instead("this stands", "this\n--BbB--\nstands"), model.CodeMalformedUpload},
		{"a boundary after a carriage return in the file", instead("this stands", "this\r--BbB\r\nstands"), model.CodeMalformedUpload},
		{"a boundary in a value", field("summary", "a --BbB b") + plain(), model.CodeMalformedUpload},
		{"a preamble", "preamble\r\n" + plain(), model.CodeMalformedUpload},
		{"a line break before the first boundary", "\r\n" + plain(), model.CodeMalformedUpload},
		{"an epilogue", plain() + "epilogue", model.CodeMalformedUpload},
		{"two line breaks at the end", plain() + "\r\n", model.CodeMalformedUpload},
		{"a line feed at the end", strings.TrimSuffix(plain(), "\r\n") + "\n", model.CodeMalformedUpload},
		{"a second form", plain() + plain(), model.CodeMalformedUpload},
		{"a file in a field", filePart("summary", "x.txt", "x") + plain(), model.CodeMalformedUpload},
		{"a name as a file", filePart("name", "x.txt", "acme-widget") + plain(), model.CodeMalformedUpload},
		{"content without a file name", plainHead() + field("content", "x") + plainEnd, model.CodeMalformedUpload},
		{"an empty file name", instead(wheelFile, ""), model.CodeMalformedUpload},
		{"a path as file name", instead(wheelFile, "../"+wheelFile), model.CodeMalformedUpload},
		{"a backslash in a file name", instead(wheelFile, `x\`+wheelFile), model.CodeMalformedUpload},
		{"a quote in a file name", instead(wheelFile, `x\"`+wheelFile), model.CodeMalformedUpload},
		{"a long header", instead(wheelFile, strings.Repeat("a", 1100)), model.CodeMalformedUpload},
		{"an empty file", instead(plainData, ""), model.CodeMalformedUpload},
		{"a form as the file", instead("octet-stream", "x-www-form-urlencoded"), model.CodeMalformedUpload},
		{"a form as the file, in capitals", instead("octet-stream", "X-WWW-Form-URLencoded"), model.CodeMalformedUpload},
		// Operations.
		{"submit", field(":action", "submit") + field("name", "acme-widget") + plainEnd, model.CodeUnsupportedOperation},
		{"doc_upload", instead("file_upload", "doc_upload"), model.CodeUnsupportedOperation},
		{"remove_pkg", instead("file_upload", "remove_pkg"), model.CodeUnsupportedOperation},
		{"an empty action", instead("file_upload", ""), model.CodeUnsupportedOperation},
		{"a padded action", instead("file_upload", "file_upload "), model.CodeUnsupportedOperation},
		{"another protocol version", field("protocol_version", "2") + plain(), model.CodeUnsupportedOperation},
		// Order and absence.
		{"no action", strings.Replace(plain(), field(":action", "file_upload"), "", 1), model.CodeFieldOrder},
		{"no name", strings.Replace(plain(), field("name", "acme-widget"), "", 1), model.CodeFieldOrder},
		{"no version", strings.Replace(plain(), field("version", "1.0"), "", 1), model.CodeFieldOrder},
		{"no file", plainHead() + plainEnd, model.CodeMissingField},
		{"no part", "--BbB--\r\n", model.CodeMissingField},
		// Agreement.
		{"a bad name", instead("acme-widget", "acme widget"), model.CodeMalformedUpload},
		{"a bad version", instead("\r\n1.0\r\n", "\r\nlatest\r\n"), model.CodeMalformedUpload},
		{"the file of another package", instead(wheelFile, "evil-1.0-py3-none-any.whl"), model.CodePackageMismatch},
		{"the file of a longer name", instead(wheelFile, "acme_widget_evil-1.0-py3-none-any.whl"), model.CodePackageMismatch},
		{"the file of a shorter name", instead(wheelFile, "acme-1.0-py3-none-any.whl"), model.CodePackageMismatch},
		{"the file of another version", instead(wheelFile, "acme_widget-1.0.1-py3-none-any.whl"), model.CodePackageMismatch},
		{"the file of a local version", instead(wheelFile, "acme_widget-1.0+evil-py3-none-any.whl"), model.CodePackageMismatch},
		{"no package's file", instead(wheelFile, "acme_widget-1.0.exe"), model.CodePackageMismatch},
		{"an ambiguous file name", instead(wheelFile, "acme-widget-1.0-1.tar.gz"), model.CodePackageMismatch},
		{"a wheel as sdist", field("filetype", "sdist") + plain(), model.CodePackageMismatch},
		{"an egg", field("filetype", "bdist_egg") + plain(), model.CodePackageMismatch},
		{"a wheel for another Python", field("pyversion", "cp311") + plain(), model.CodePackageMismatch},
		{"a wheel from source", field("pyversion", "source") + plain(), model.CodePackageMismatch},
		{"an sdist for a Python", field("pyversion", "py3") + instead(wheelFile, "acme_widget-1.0.tar.gz"), model.CodePackageMismatch},
		{"a signature of another file", filePart("gpg_signature", "evil-1.0.tar.gz.asc", "x") + plain(), model.CodePackageMismatch},
		{"a package as signature", filePart("gpg_signature", "evil-1.0.tar.gz", "x") + plain(), model.CodePackageMismatch},
		{"a late signature of another file", after(filePart("gpg_signature", "evil-1.0.tar.gz.asc", "x")), model.CodePackageMismatch},
		// Digests.
		{"a wrong SHA-256", field("sha256_digest", sum) + plain(), model.CodeDigestMismatch},
		{"a wrong BLAKE2", field("blake2_256_digest", sum) + plain(), model.CodeDigestMismatch},
		{"a wrong MD5", field("md5_digest", sum[:32]) + plain(), model.CodeDigestMismatch},
		{"a wrong MD5 in base64url", field("md5_digest", "AAAAAAAAAAAAAAAAAAAAAA") + plain(), model.CodeDigestMismatch},
		{"a short digest", field("sha256_digest", sum[:63]) + plain(), model.CodeMalformedUpload},
		{"a digest in capitals", field("sha256_digest", strings.Repeat("A", 64)) + plain(), model.CodeMalformedUpload},
		{"a weak digest that is none", field("md5_digest", "x") + plain(), model.CodeMalformedUpload},
		{"spare bits in base64url", field("md5_digest", "AAAAAAAAAAAAAAAAAAAAAB") + plain(), model.CodeMalformedUpload},
		// Limits.
		{"a long name", instead("acme-widget", strings.Repeat("a", maxKept+1)), model.CodeTooLarge},
		{"a long file name", instead(wheelFile, longFile(256)), model.CodeTooLarge},
		{"a longer file name", instead(wheelFile, longFile(900)), model.CodeTooLarge},
		{"a long name of a signature", filePart("gpg_signature", longFile(256)+".asc", "x") + plain(), model.CodeTooLarge},
		{"a long field", field("summary", strings.Repeat("a", maxField+1)) + plain(), model.CodeTooLarge},
		{"long fields", strings.Repeat(field("classifiers", strings.Repeat("a", maxField)), 25) + plain(), model.CodeTooLarge},
		{"many fields", strings.Repeat(field("classifiers", ""), maxFields) + plain(), model.CodeTooLarge},
		// Ends.
		{"nothing", "", model.CodeTruncated},
		{"no closing boundary", strings.TrimSuffix(plain(), "\r\n"+plainEnd), model.CodeTruncated},
		{"half a closing boundary", strings.TrimSuffix(plain(), "--\r\n"), model.CodeTruncated},
		{"one hyphen short", strings.TrimSuffix(plain(), "-\r\n"), model.CodeTruncated},
		{"half a line break at the end", strings.TrimSuffix(plain(), "\n"), model.CodeTruncated},
		{"a cut file", plain()[:len(plain())-40], model.CodeTruncated},
		{"a cut header", plainHead() + "--BbB\r\nContent-Disp", model.CodeTruncated},
	}
	for _, tt := range tests {
		for split, cut := range splits {
			if len(tt.body) > 1<<20 && split != "whole" {
				continue // slow, and no different
			}
			t.Run(tt.name+"/"+split, func(t *testing.T) {
				v := judge(t, plainType, cut([]byte(tt.body)))
				if v.Code != tt.want {
					t.Errorf("code is %q (%s), want %q", v.Code, v.Field, tt.want)
				}
				if end := strings.Index(tt.body, "sixty-four."); end >= 0 && v.Released > int64(end)+11-heldFile {
					t.Errorf("%d bytes had left, of a file that ends at %d", v.Released, end+11)
				}
			})
		}
	}
}

func TestRefusesContentTypes(t *testing.T) {
	for name, lines := range map[string][]string{
		"none":                  nil,
		"two":                   {plainType, plainType},
		"no boundary":           {"multipart/form-data"},
		"an empty boundary":     {"multipart/form-data; boundary="},
		"two boundaries":        {"multipart/form-data; boundary=BbB; boundary=x"},
		"a character set":       {"multipart/form-data; boundary=BbB; charset=utf-8"},
		"another first":         {"multipart/form-data; charset=utf-8; boundary=BbB"},
		"an extended boundary":  {"multipart/form-data; boundary*=UTF-8''BbB"},
		"another multipart":     {"multipart/mixed; boundary=BbB"},
		"capitals":              {"Multipart/Form-Data; boundary=BbB"},
		"a comma":               {"multipart/form-data; boundary=a,b"},
		"a space in it":         {`multipart/form-data; boundary="a b"`},
		"an escape":             {`multipart/form-data; boundary="a\b"`},
		"half a quote":          {`multipart/form-data; boundary="BbB`},
		"a long boundary":       {"multipart/form-data; boundary=" + strings.Repeat("b", 71)},
		"a space before equals": {"multipart/form-data; boundary =BbB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := index(t, false).Open(model.Operation{Name: opUpload}, http.Header{"Content-Type": lines})
			if got := code(t, err); got != model.CodeMalformedUpload {
				t.Errorf("code is %q, want %q", got, model.CodeMalformedUpload)
			}
		})
	}
}

// TestJudgedBytesAreForwardedBytes sends client forms with any file in any pieces through the stream that holds the tail: what
// leaves is the body, bit by bit, and until the verdict less than the file.
func TestJudgedBytesAreForwardedBytes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		file := rapid.SliceOfN(rapid.SampledFrom([]byte("\r\n-0e8aB\x00\xff")), 1, 3000).Draw(rt, "file")
		contentType, body := clientForm(t, rapid.SampledFrom(clients).Draw(rt, "client"), file)
		size := rapid.IntRange(1, 200).Draw(rt, "size")
		s, err := index(t, false).Open(model.Operation{Name: opUpload}, http.Header{"Content-Type": {contentType}})
		if err != nil {
			rt.Fatal(err)
		}
		var left bytes.Buffer
		atVerdict := -1
		stream := upload.NewStream(&chunks{body: body, size: size}, s, func() error { atVerdict = left.Len(); return nil })
		if _, err := stream.Head(1 << 20); err != nil {
			rt.Fatal(err)
		}
		if _, err := io.Copy(&left, iotest.OneByteReader(stream)); err != nil {
			rt.Fatal(err)
		}
		stream.Stop()
		if !bytes.Equal(left.Bytes(), body) {
			rt.Fatal("what left is not the body")
		}
		if end := bytes.LastIndex(body, file) + len(file); atVerdict < 0 || atVerdict > end-min(len(file), heldFile) {
			rt.Fatalf("%d bytes had left at the verdict, of a file that ends at %d", atVerdict, end)
		}
		if got := s.Artifact(); got.SHA256 != sha256.Sum256(file) || got.Size != int64(len(file)) {
			rt.Fatalf("artifact is %+v", got)
		}
	})
}

// chunks reads a body in pieces of one size.
type chunks struct {
	body []byte
	size int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.body) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.size)], c.body)
	c.body = c.body[n:]
	return n, nil
}
