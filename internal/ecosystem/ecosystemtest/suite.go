// Package ecosystemtest is the conformance suite of ecosystems: what the gateway relies on, whatever the protocol. A new
// ecosystem runs it beside its own tests.
package ecosystemtest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
)

// Request is one request of a client.
type Request struct {
	// Method and Path are those of the request line; the path is below the public URL, escaped, and may have a query.
	Method, Path string
	Header       http.Header
	Body         []byte
}

// Edit is a request that differs from a good publish in one thing.
type Edit struct {
	Name string
	Request
	// Code is the refusal.
	Code model.Code
}

// Exchange is how clients swap their identity token.
type Exchange struct {
	Request
	// Root is true where the path is of the host rather than of the registry.
	Root bool
	// Token is what the request carries.
	Token string
	// Edits are requests that are refused.
	Edits []Edit
}

// Suite describes one ecosystem.
type Suite struct {
	Kind ecosystem.Kind
	// Settings are those of a registry.
	Settings ecosystem.Settings
	// Publish is a good publish, Target what it publishes, Size the bytes of the file.
	Publish Request
	Target  model.Target
	Size    int64
	// Opaque is true where a file has no structure: its end and its length are the transport's business.
	Opaque bool
	// Spare is how many bytes at the end of the publish may be absent, as the line break behind the last boundary of a form.
	Spare int
	// Also are further requests that publish.
	Also []Request
	// Edits must have one that names another package inside than outside, where a body or a path names it twice, and one that names
	// something twice, where names stand in a body.
	Edits []Edit
	// Reads are requests that change nothing, Unsafe those that the ecosystem's servers know and the gateway refuses.
	Reads, Unsafe []Request
	// Foreign are paths in a form that two servers could read in two ways.
	Foreign []string
	// Exchange is nil where no client swaps tokens.
	Exchange *Exchange
}

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	t.Helper()
	for name, test := range map[string]func(Suite, *testing.T){
		"Settings": Suite.settings, "Surface": Suite.surface, "Publish": Suite.publish, "Truncated": Suite.truncated, "Appended": Suite.appended,
		"Edited": Suite.edited, "Reads": Suite.reads, "UnsafeIsRefused": Suite.unsafe, "ForeignPaths": Suite.foreign,
		"Exchange": Suite.exchange, "Dialect": Suite.dialect, "ConcurrentUse": Suite.concurrent,
	} {
		t.Run(name, func(t *testing.T) { test(s, t) })
	}
}

// Code is the code of a denial; empty for anything else.
func Code(err error) model.Code {
	var d *model.Denial
	if errors.As(err, &d) {
		return d.Code
	}
	return ""
}

// Golden compares an answer with testdata/NAME.golden; with update it writes the file.
func Golden(t *testing.T, update bool, name string, r model.Reply) {
	t.Helper()
	var header strings.Builder
	if err := r.Header.Write(&header); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%d %s\n%s\n%s\n", r.Status, r.Reason, strings.ReplaceAll(header.String(), "\r\n", "\n"), strings.TrimSuffix(string(r.Body), "\n"))
	path := filepath.Join("testdata", name+".golden")
	if update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func (s Suite) protocol(tb testing.TB) ecosystem.Ecosystem {
	tb.Helper()
	eco, err := s.Kind.New(s.Settings)
	if err != nil {
		tb.Fatal(err)
	}
	return eco
}

// classify names the operation of a request.
func (s Suite) classify(tb testing.TB, r Request) (model.Operation, error) {
	tb.Helper()
	path, query, _ := strings.Cut(r.Path, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		tb.Fatal(err)
	}
	return s.protocol(tb).Classify(r.Method, path, values, r.Header)
}

// with is the request with another body.
func (r Request) with(body []byte) Request {
	r.Body = body
	return r
}
