package pypi

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata/render")

func TestRender(t *testing.T) {
	upload := model.Operation{Kind: model.OperationPublish, Name: opUpload}
	mint := model.Operation{Kind: model.OperationExchange, Name: opMint}
	event := func(d *model.Denial) *model.Denial { d.Event = "01JDEVENT"; return d }
	tests := []struct {
		name string
		op   model.Operation
		d    *model.Denial
	}{
		{"upload-policy", upload, model.Deny(model.CodeNoMatchingPolicy).Differ("ref", "refs/heads/dev", `"refs/heads/main"`)},
		{"upload-credential", upload, model.Deny(model.CodeExpired)},
		{"upload-line-breaks", upload, model.Deny(model.CodePackageMismatch).Differ("file name", "a\r\nX-Evil: 1\u00e9", "b\nc")},
		{"upload-unavailable", upload, model.Deny(model.CodeStoreUnavailable)},
		{"unclassified", model.Operation{}, model.Deny(model.CodeUnsupportedOperation).Differ("operation", "DELETE /acme", "a read")},
		{"read", model.Operation{Kind: model.OperationRead, Name: opSimple}, model.Deny(model.CodeNoMatchingPolicy)},
		{"mint-policy", mint, model.Deny(model.CodeNoMatchingPolicy).Differ("repository", "acme/other", `"acme/widget"`)},
		{"mint-token", mint, model.Deny(model.CodeInvalidToken)},
		{"mint-replay", mint, model.Deny(model.CodeReplayed)},
		{"mint-payload", mint, model.Deny(model.CodeBadRequest)},
		{"mint-unavailable", mint, model.Deny(model.CodeIssuerUnavailable)},
		{"burn-payload", model.Operation{Kind: model.OperationRevoke, Name: opBurn}, model.Deny(model.CodeBadRequest)},
		{"audience-missing", model.Operation{Kind: model.OperationDiscover, Name: opAudience}, model.Deny(model.CodeNotFound)},
		{"pytp-mint-policy", model.Operation{Kind: model.OperationExchange, Name: opPytpMint}, model.Deny(model.CodeNoMatchingPolicy)},
		{"pytp-missing", model.Operation{Kind: model.OperationDiscover, Name: opDiscover}, model.Deny(model.CodeNotFound)},
		{"pytp-not-acceptable", model.Operation{Kind: model.OperationDiscover, Name: opDiscover}, model.Deny(model.CodeNotAcceptable)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reply := index(t, false).Render(tt.op, event(tt.d))
			got := dump(reply)
			path := filepath.Join("testdata", "render", tt.name+".golden")
			if *update {
				if err := os.WriteFile(path, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Error(diff)
			}
			if strings.ContainsFunc(reply.Reason, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("reason phrase %q is not plain ASCII", reply.Reason)
			}
		})
	}
}

// dump shows a reply as a client gets it.
func dump(r model.Reply) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d %s\n", r.Status, r.Reason)
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(r.Header[name], ", "))
	}
	fmt.Fprintf(&b, "\n%s\n", r.Body)
	return b.Bytes()
}

// TestRenderNeverPutsACodeIntoPlainJSON: uv would print the code and hide the sentence.
func TestRenderNeverPutsACodeIntoPlainJSON(t *testing.T) {
	for _, c := range model.Codes() {
		for _, op := range []model.Operation{{}, {Kind: model.OperationPublish, Name: opUpload}, {Kind: model.OperationRead, Name: opRead}} {
			reply := index(t, false).Render(op, model.Deny(c))
			if reply.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s of %q is %s", c, op.Name, reply.Header.Get("Content-Type"))
			}
			if got := reply.Header.Get("WWW-Authenticate") != ""; got != (reply.Status == http.StatusUnauthorized) {
				t.Errorf("%s: a challenge with status %d", c, reply.Status)
			}
		}
		reply := index(t, false).Render(model.Operation{Kind: model.OperationExchange, Name: opMint}, model.Deny(c))
		if reply.Status < 400 || bytes.Contains(reply.Body, []byte(`"errors":[]`)) {
			t.Errorf("%s: exchange answers %d %s", c, reply.Status, reply.Body)
		}
	}
}
