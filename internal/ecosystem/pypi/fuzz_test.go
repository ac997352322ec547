package pypi

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"mime/multipart"
	"testing"

	"github.com/google/go-cmp/cmp"

	forms "github.com/trustpub/trustpub/internal/multipart"
)

// FuzzMultipart holds the scanner against itself, with a body whole and cut, and against the standard library's parser: what
// is accepted reads there as the same fields and the same file.
func FuzzMultipart(f *testing.F) {
	for _, client := range clients {
		contentType, body := clientForm(f, client, fileBytes(300))
		f.Add(contentType, body, uint8(7))
	}
	for _, body := range []string{
		plain(), field("name", "evil") + plain(), after(field("attestations", "[]")), instead("this stands", "this\n--BbB--\nstands"),
		instead(plainData, ""), plain() + plain(), plainHead() + plainEnd,
	} {
		f.Add(plainType, []byte(body), uint8(1))
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte, size uint8) {
		whole := judge(t, contentType, splits["whole"](body))
		cut := judge(t, contentType, pieces(body, func() int { return 1 + int(size) }))
		if whole.Code != "" {
			// How far a bad body came, and which of its defects was met first, may depend on the pieces; the verdict may not.
			if cut.Code != whole.Code {
				t.Fatalf("whole %q, cut %q", whole.Code, cut.Code)
			}
			return
		}
		if diff := cmp.Diff(whole, cut); diff != "" {
			t.Fatal(diff)
		}
		oracle(t, contentType, body, whole)
	})
}

func oracle(t *testing.T, contentType string, body []byte, v verdict) {
	t.Helper()
	boundary, err := forms.Boundary(map[string][]string{"Content-Type": {contentType}})
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	got := map[string][]string{}
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the standard library: %v", err)
		}
		data, err := io.ReadAll(p)
		if err != nil {
			t.Fatalf("the standard library: %v", err)
		}
		if p.FormName() == fieldContent {
			if p.FileName() != v.Target.File || sha256.Sum256(data) != v.Artifact.SHA256 || int64(len(data)) != v.Artifact.Size {
				t.Fatalf("the standard library reads another file: %q of %d bytes", p.FileName(), len(data))
			}
		}
		got[p.FormName()] = append(got[p.FormName()], string(data))
	}
	for _, name := range []string{fieldAction, fieldName, fieldVersion, fieldContent} {
		if len(got[name]) != 1 {
			t.Fatalf("the standard library reads %d of %s", len(got[name]), name)
		}
	}
	if got[fieldAction][0] != actionUpload || packageOf(got[fieldName][0]) != v.Target.Package || versionOf(got[fieldVersion][0]) != v.Target.Version {
		t.Fatalf("the standard library reads %q, %q, %q", got[fieldAction], got[fieldName], got[fieldVersion])
	}
}
