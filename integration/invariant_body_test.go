package integration

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/tap"
	"github.com/trustpub/trustpub/internal/model"
)

// cut is where an upload breaks off.
type cut struct {
	name string
	// at is the number of body bytes that are sent.
	at func(body []byte) int
}

// cuts go from the first field to the last byte; the last one sends the whole body, and no end of its framing.
var cuts = []cut{
	{"in the fields", func(b []byte) int { return bytes.Index(b, []byte("sha256_digest")) }},
	{"in the file", func(b []byte) int { return len(b) - 900 }},
	{"before the closing boundary", func(b []byte) int { return bytes.LastIndex(b, []byte("\r\n--")) }},
	{"in the closing boundary", func(b []byte) int { return bytes.LastIndex(b, []byte("--\r\n")) }},
	{"before the last byte", func(b []byte) int { return len(b) - 1 }},
	{"before the end of the framing", func(b []byte) int { return len(b) }},
}

// TestInvariantNothingHalfStored breaks uploads off at every place, in both framings, by a client that closes and by one that
// only stops sending: the registry has nothing of them, and afterwards it takes a whole upload.
func TestInvariantNothingHalfStored(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, kind)
			for _, f := range framings {
				for _, c := range cuts {
					if f == byLength && c.name == "before the end of the framing" {
						continue // by length, the last byte is the end
					}
					t.Run(string(f)+"/"+c.name, func(t *testing.T) { breakOff(t, r, f, c) })
				}
			}
			t.Run("edited, then whole", func(t *testing.T) {
				bad, w := bigWheel(t, "acme-widget", "8.0", 300<<10), newWheel(t, "acme-widget", "9.0")
				a := r.upload(t, bearer(r.identity(nil)), bad.form().With("sha256_digest", strings.Repeat("0", 64)))
				refused(t, a, http.StatusBadRequest, model.CodeDigestMismatch)
				if a := r.upload(t, bearer(r.identity(nil)), w.form()); a.Status != http.StatusOK {
					t.Fatalf("a whole upload: %d %s", a.Status, a.Body)
				}
				r.holds(t, w)
			})
		})
	}
}

// breakOff sends a part of an upload and closes; once for each way to close. The audit tells when the gateway is done with it.
func breakOff(t *testing.T, r *rig, f framing, c cut) {
	for name, leave := range map[string]func(*connection) error{
		"close":      func(c *connection) error { return c.Close() },
		"half close": func(c *connection) error { return c.CloseWrite() },
	} {
		w := bigWheel(t, "acme-widget", "7.0", 300<<10)
		body := w.form().Bytes()
		// The token's own id finds its events.
		jti := "cut-" + random(8)
		conn := r.dial(t)
		conn.begin(r, f, bearer(r.identity(map[string]any{"jti": jti})), len(body))
		conn.send(body[:c.at(body)])
		if err := leave(conn); err != nil {
			t.Fatal(err)
		}
		e := r.await(t, "end of the broken upload", func(e model.Event) bool {
			return e.JTI == jti && (e.Kind == model.EventOutcome || e.Kind == model.EventDecision && e.Decision == "deny")
		})
		if e.Result == "stored" || e.Decision == "allow" && e.Result == "" {
			t.Errorf("%s: the audit says %+v", name, e)
		}
		r.holds(t)
		conn.Close()
	}
}

// TestInvariantJudgedBytesAreForwardedBytes records what the registry gets: byte for byte what the client sent, or nothing
// whole.
func TestInvariantJudgedBytesAreForwardedBytes(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"chunked", "as_sent", "spool"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			reg := newRegistry(t, "devpi")
			p := newTap(t, reg.Addr)
			r := startRig(t, reg, withUpstream(p.Addr()), withLines("body "+mode))
			w := bigWheel(t, "acme-widget", "1.0", 200<<10)
			for _, tc := range []struct {
				name string
				form client.Form
				code model.Code
			}{
				{"another digest", w.form().With("sha256_digest", strings.Repeat("a", 64)), model.CodeDigestMismatch},
				{"a second name after the file", append(w.form(), client.Part{Name: "name", Value: []byte("other")}), model.CodeDuplicateField},
				{"another name", w.form().With("name", "acme"), model.CodePackageMismatch},
				{"whole", w.form(), ""},
			} {
				before := wholeBodies(t, p)
				a := r.upload(t, bearer(r.identity(nil)), tc.form)
				if tc.code != "" {
					if a.Status/100 != 4 {
						t.Errorf("%s: got %d, expected a refusal\n%s", tc.name, a.Status, a.Body)
					}
					if after := wholeBodies(t, p); len(after) != len(before) {
						t.Errorf("%s: the registry got a whole body of a refused upload", tc.name)
					}
					r.holds(t)
					continue
				}
				if a.Status != http.StatusOK {
					t.Fatalf("%s: %d %s", tc.name, a.Status, a.Body)
				}
				after := wholeBodies(t, p)
				if diff := cmp.Diff(append(before, tc.form.Bytes()), after); diff != "" {
					t.Errorf("%s: the registry got other bytes than the client sent", tc.name)
				}
				r.holds(t, w)
			}
		})
	}
}

// wholeBodies are the bodies that the registry got to their end.
func wholeBodies(t *testing.T, p *tap.Tap) [][]byte {
	t.Helper()
	bodies, err := p.Bodies()
	if err != nil {
		t.Fatal(err)
	}
	return bodies
}
