package ecosystemtest

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// verdict is what an ecosystem makes of a request.
type verdict struct {
	Target   model.Target
	Artifact model.Artifact
}

// judge takes a request through all that an ecosystem has to say of it, as the gateway does. Its body comes in pieces, each
// overwritten after its turn.
func (s Suite) judge(tb testing.TB, r Request, size int) (v verdict, err error) {
	tb.Helper()
	eco := s.protocol(tb)
	op, err := s.classify(tb, r)
	if err != nil {
		return v, err
	}
	if op.Body == model.BodyNone {
		tb.Fatalf("%s %s takes no body", r.Method, r.Path)
	}
	scanner, err := eco.Open(op, r.Header)
	if err != nil {
		return v, err
	}
	if c, ok := scanner.(io.Closer); ok {
		defer func() { _ = c.Close() }()
	}
	streams := op.Body == model.BodyStream
	var released, taken int64
	for rest := r.Body; len(rest) > 0; {
		n := min(size, len(rest))
		piece := bytes.Clone(rest[:n])
		rest, taken = rest[n:], taken+int64(n)
		release, err := scanner.Scan(piece)
		clear(piece)
		if err != nil {
			return v, err
		}
		if release < released || release > taken || streams && taken >= int64(len(s.Publish.Body)) && release == taken {
			tb.Fatalf("%d bytes may leave after %d were taken, and %d before: the end is not held back", release, taken, released)
		}
		released = release
	}
	if err := scanner.Finish(); err != nil {
		return v, err
	}
	if archive, ok := scanner.(upload.Archive); ok {
		if err := archive.Open(bytes.NewReader(r.Body), int64(len(r.Body))); err != nil {
			return v, err
		}
	}
	target, named := scanner.Target()
	if !named {
		tb.Fatal("the scanner agrees and has named nothing")
	}
	v = verdict{Target: target, Artifact: scanner.Artifact()}
	if op.Body == model.BodySpool {
		err = eco.Inspect(op, r.Header, target, bytes.NewReader(r.Body), int64(len(r.Body)))
	}
	return v, err
}

// publish: a good body is named in the same way whatever the pieces in which it comes.
func (s Suite) publish(t *testing.T) {
	first, err := s.judge(t, s.Publish, len(s.Publish.Body))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.Target, first.Target); diff != "" {
		t.Errorf("the target (-want +got):\n%s", diff)
	}
	if first.Artifact.Size != s.Size || first.Artifact.SHA256 == [32]byte{} {
		t.Errorf("the artifact is %+v, expected %d bytes", first.Artifact, s.Size)
	}
	for _, size := range []int{1, 2, 3, 7, 64, 1000} {
		got, err := s.judge(t, s.Publish, size)
		if diff := cmp.Diff(first, got); err != nil || diff != "" {
			t.Errorf("in pieces of %d bytes: %v\n%s", size, err, diff)
		}
	}
}

// maxCuts bounds how many beginnings of a body are tried.
const maxCuts = 500

// truncated: no beginning of a body is taken for a whole one.
func (s Suite) truncated(t *testing.T) {
	body := s.Publish.Body
	for cut := 0; cut < len(body)-s.Spare && !s.Opaque; cut += 1 + len(body)/maxCuts {
		if _, err := s.judge(t, s.Publish.with(body[:cut]), len(body)); Code(err) == "" {
			t.Fatalf("%d of %d bytes: %v, expected a denial", cut, len(body), err)
		}
	}
}

// appended: nothing may follow a body, neither a byte nor a second one.
func (s Suite) appended(t *testing.T) {
	if s.Opaque {
		return
	}
	body := s.Publish.Body
	for name, more := range map[string][]byte{"a byte": []byte("x"), "a second body": body} {
		if _, err := s.judge(t, s.Publish.with(bytes.Join([][]byte{body, more}, nil)), 512); Code(err) == "" {
			t.Errorf("%s behind the body: %v, expected a denial", name, err)
		}
	}
}

// edited: each thing that is wrong is refused with its own code.
func (s Suite) edited(t *testing.T) {
	if len(s.Edits) == 0 && !s.Opaque {
		t.Error("no edits")
	}
	for _, e := range s.Edits {
		for _, size := range []int{1, 64, 1 << 20} {
			if _, err := s.judge(t, e.Request, size); Code(err) != e.Code {
				t.Errorf("%s, in pieces of %d bytes: %v, expected %s", e.Name, size, err, e.Code)
			}
		}
	}
}

// concurrent: one protocol serves requests at the same time. The race detector looks on.
func (s Suite) concurrent(t *testing.T) {
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			if _, err := s.judge(t, s.Publish, 100); err != nil {
				t.Error(err)
			}
		})
	}
}
