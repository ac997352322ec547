package upload_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// lineScanner is the smallest real grammar: a first line names the package, the last byte must be '.', and the last four bytes
// are the structural end.
type lineScanner struct {
	seen []byte
	bad  int // refuse once this many bytes were seen; 0: never
}

var errBad = model.Deny(model.CodeMalformedUpload)

func (s *lineScanner) Scan(p []byte) (int64, error) {
	s.seen = append(s.seen, p...)
	if s.bad > 0 && len(s.seen) >= s.bad {
		return 0, errBad
	}
	return int64(max(0, len(s.seen)-4)), nil
}

func (s *lineScanner) Target() (model.Target, bool) {
	name, _, ok := bytes.Cut(s.seen, []byte("\n"))
	return model.Target{Package: string(name)}, ok
}

func (s *lineScanner) Finish() error {
	if !bytes.HasSuffix(s.seen, []byte(".")) {
		return model.Deny(model.CodeTruncated)
	}
	return nil
}

func (s *lineScanner) Artifact() model.Artifact { return model.Artifact{Size: int64(len(s.seen))} }

func body(n int) []byte {
	b := bytes.Repeat([]byte("payload "), n/8+1)[:n]
	copy(b, "widget\n")
	b[n-1] = '.'
	return b
}

func code(err error) model.Code {
	var d *model.Denial
	if errors.As(err, &d) {
		return d.Code
	}
	return ""
}

func TestStreamPassesTheBytesItWasGiven(t *testing.T) {
	for _, size := range []int{12, 100, 32 << 10, 32<<10 + 1, 300_000} {
		want := body(size)
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r },
			"half":  iotest.HalfReader, "data with EOF": iotest.DataErrReader,
			"random": func(r io.Reader) io.Reader { return randomReader{r} },
		} {
			for _, taken := range []int{3, 1000, 8<<10 + 3, 32 << 10, 1 << 20} { // as much as the registry's side takes at once
				verdicts := 0
				s := upload.NewStream(wrap(bytes.NewReader(want)), &lineScanner{}, func() error { verdicts++; return nil })
				target, err := s.Head(1 << 20)
				if err != nil || target.Package != "widget" {
					t.Fatalf("%s %d: Head = %v, %v", name, size, target, err)
				}
				var got bytes.Buffer
				if _, err := io.CopyBuffer(onlyWriter{&got}, s, make([]byte, taken)); err != nil {
					t.Fatalf("%s %d: %v", name, size, err)
				}
				if !bytes.Equal(got.Bytes(), want) || verdicts != 1 || s.State() != upload.Passed || s.Size() != int64(size) {
					t.Errorf("%s %d, %d at once: %d bytes, %d verdicts, state %d, size %d", name, size, taken, got.Len(), verdicts, s.State(), s.Size())
				}
				s.Stop()
				s.Stop()
			}
		}
	}
}

// TestGatheredBodiesLeaveInOnePiece: a small body that is kept together leaves after its verdict, at once, or not at all; a longer one
// flows.
func TestGatheredBodiesLeaveInOnePiece(t *testing.T) {
	refused := model.Deny(model.CodePolicyChanged)
	for _, tc := range []struct {
		name    string
		size    int
		verdict error
		pieces  []int // none: at least two
	}{
		{"a small one", 100, nil, []int{100}},
		{"the largest", upload.SmallBody, nil, []int{upload.SmallBody}},
		{"a refused one", 100, refused, nil},
		{"one that is longer than it said", 4 * upload.SmallBody, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want, judged := body(tc.size), false
			s := upload.NewStream(iotest.HalfReader(bytes.NewReader(want)), &lineScanner{}, func() error { judged = true; return tc.verdict })
			s.Gather()
			if _, err := s.Head(1 << 20); err != nil {
				t.Fatal(err)
			}
			var got []byte
			var pieces []int
			var err error
			for err == nil {
				room := make([]byte, 2*upload.SmallBody)
				var n int
				if n, err = s.Read(room); n > 0 {
					pieces, got = append(pieces, n), append(got, room[:n]...)
					if tc.size <= upload.SmallBody && !judged {
						t.Errorf("%d bytes left before the verdict", n)
					}
				}
			}
			if tc.verdict != nil {
				if code(err) != model.CodePolicyChanged || len(got) > 0 || s.State() != upload.Failed {
					t.Errorf("%d bytes, %v, expected none and %v", len(got), err, tc.verdict)
				}
				return
			}
			if err != io.EOF || !bytes.Equal(got, want) || s.State() != upload.Passed {
				t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
			}
			if diff := cmp.Diff(tc.pieces, pieces); diff != "" && (tc.pieces != nil || len(pieces) < 2) {
				t.Errorf("pieces (-want +got):\n%s", diff)
			}
			s.Stop()
		})
	}
}

// onlyWriter hides what would let io.Copy bring its own buffer.
type onlyWriter struct{ io.Writer }

type randomReader struct{ r io.Reader }

func (r randomReader) Read(p []byte) (int, error) { return r.r.Read(p[:1+rand.IntN(len(p))]) }

func TestStreamHoldsTheTailBack(t *testing.T) {
	refused := model.Deny(model.CodePolicyChanged)
	for _, tc := range []struct {
		name    string
		body    []byte
		src     func([]byte) io.Reader
		scanner *lineScanner
		verdict error
		want    model.Code
		gone    bool
	}{
		{name: "the verdict refuses", body: body(5000), scanner: &lineScanner{}, verdict: refused, want: model.CodePolicyChanged},
		{name: "the end is missing", body: body(5000)[:4990], scanner: &lineScanner{}, want: model.CodeTruncated},
		{name: "the scanner refuses in the middle", body: body(90_000), scanner: &lineScanner{bad: 60_000}, want: model.CodeMalformedUpload},
		{
			name: "the client goes away", body: body(5000), scanner: &lineScanner{}, want: model.CodeTruncated, gone: true,
			src: func(b []byte) io.Reader {
				return io.MultiReader(bytes.NewReader(b[:3000]), iotest.ErrReader(io.ErrUnexpectedEOF))
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var src io.Reader = bytes.NewReader(tc.body)
			if tc.src != nil {
				src = tc.src(tc.body)
			}
			s := upload.NewStream(src, tc.scanner, func() error { return tc.verdict })
			if _, err := s.Head(1 << 20); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(s)
			if code(err) != tc.want || s.State() != upload.Failed || s.ClientGone() != tc.gone {
				t.Errorf("err %v, state %d, gone %v", err, s.State(), s.ClientGone())
			}
			if len(got) > len(tc.body)-4 {
				t.Errorf("%d bytes left, of which the last 4 belong to the tail of %d", len(got), len(tc.body))
			}
			if _, again := s.Read(make([]byte, 10)); code(again) != tc.want {
				t.Errorf("a failed stream answers %v", again)
			}
		})
	}
}

func TestHeadRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		src  io.Reader
		want model.Code
	}{
		{"a head that is too large", bytes.NewReader(bytes.Repeat([]byte("x"), 200_000)), model.CodeTooLarge},
		{"a body that names nothing and is cut", bytes.NewReader([]byte("wid")), model.CodeTruncated},
		{"a body that names nothing and is whole", bytes.NewReader([]byte("widget.")), model.CodeMissingField},
		{"a client that goes away", iotest.ErrReader(io.ErrUnexpectedEOF), model.CodeTruncated},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := upload.NewStream(tc.src, &lineScanner{}, nil)
			if _, err := s.Head(100_000); code(err) != tc.want {
				t.Errorf("Head: %v, want %s", err, tc.want)
			}
		})
	}
}

func TestStopTakesTheBodyBack(t *testing.T) {
	s := upload.NewStream(bytes.NewReader(body(100)), &lineScanner{}, nil)
	if _, err := s.Head(1000); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if n, err := s.Read(make([]byte, 10)); n != 0 || err == nil {
		t.Errorf("a stopped stream reads %d, %v", n, err)
	}
}

func TestSpool(t *testing.T) {
	dir := t.TempDir()
	for _, size := range []int{20, 100_000, 128 << 10, 128<<10 + 1, 256 << 10, 500_000} { // in memory and on disk
		want := body(size)
		s, target, err := upload.Spool(randomReader{bytes.NewReader(want)}, &lineScanner{}, dir, int64(size), anybody)
		if err != nil {
			t.Fatal(err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 0 {
			t.Errorf("the spool has a name: %v", entries)
		}
		for range 2 {
			got, err := io.ReadAll(s.Body())
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("the spool gives %d bytes of %d, %v", len(got), size, err)
			}
		}
		end := make([]byte, 5)
		if n, err := s.ReadAt(end, int64(size)-4); n != 4 || !errors.Is(err, io.EOF) || string(end[:4]) != string(want[size-4:]) {
			t.Errorf("the last bytes are %q, %v", end[:n], err)
		}
		if diff := cmp.Diff(model.Target{Package: "widget"}, target); diff != "" || s.Size() != int64(size) {
			t.Error(diff, s.Size())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	want, large := body(100_000), body(200_000)
	for name, tc := range map[string]struct {
		src     io.Reader
		scanner *lineScanner
		dir     string
		limit   int64
		want    model.Code
	}{
		"too large":           {bytes.NewReader(want), &lineScanner{}, dir, 99_999, model.CodeTooLarge},
		"cut":                 {bytes.NewReader(want[:99_000]), &lineScanner{}, dir, 1 << 20, model.CodeTruncated},
		"client gone":         {iotest.ErrReader(io.ErrUnexpectedEOF), &lineScanner{}, dir, 1 << 20, model.CodeTruncated},
		"malformed":           {bytes.NewReader(want), &lineScanner{bad: 10}, dir, 1 << 20, model.CodeMalformedUpload},
		"no directory":        {bytes.NewReader(large), &lineScanner{}, dir + "/absent", 1 << 20, model.CodeSpoolUnavailable},
		"large and too large": {bytes.NewReader(large), &lineScanner{}, dir, 199_999, model.CodeTooLarge},
		"unnamed":             {bytes.NewReader([]byte("widget.")), &lineScanner{}, dir, 1 << 20, model.CodeMissingField},
	} {
		if _, _, err := upload.Spool(tc.src, tc.scanner, tc.dir, tc.limit, anybody); code(err) != tc.want {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
}

func anybody(model.Target) error { return nil }

// TestSpoolAsksEarly: a body that will be refused is not read to its end.
func TestSpoolAsksEarly(t *testing.T) {
	var asked []model.Target
	src := bytes.NewReader(body(10 << 20))
	s, target, err := upload.Spool(src, &lineScanner{}, t.TempDir(), 1<<30, func(named model.Target) error {
		asked = append(asked, named)
		return model.Deny(model.CodeNoMatchingPolicy)
	})
	if s != nil || code(err) != model.CodeNoMatchingPolicy {
		t.Errorf("%v, %v", s, err)
	}
	if diff := cmp.Diff([]model.Target{{Package: "widget"}}, asked); diff != "" || target != (model.Target{}) {
		t.Error(diff, target)
	}
	if read := 10<<20 - src.Len(); read > 1<<20 {
		t.Errorf("%d bytes were read of a body whose beginning is refused", read)
	}
}

func TestObserverStopsNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		body []byte
		bad  int
		want model.Code
	}{
		"fine": {body: body(50_000)}, "malformed": {body: body(50_000), bad: 100, want: model.CodeMalformedUpload},
		"cut": {body: body(50_000)[:40_000], want: model.CodeTruncated},
	} {
		o := upload.NewObserver(io.NopCloser(bytes.NewReader(tc.body)), &lineScanner{bad: tc.bad}, upload.Disk{Dir: t.TempDir()}, 1<<20)
		got, err := io.ReadAll(o)
		if err != nil || !bytes.Equal(got, tc.body) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		target, _, err := o.Seen()
		if target.Package != "widget" || code(err) != tc.want {
			t.Errorf("%s: seen %v, %v", name, target, err)
		}
	}
}

// archiveScanner names its target by a look into the whole body.
type archiveScanner struct {
	lineScanner
	opened string
}

func (s *archiveScanner) Target() (model.Target, bool) {
	return model.Target{Package: s.opened}, s.opened != ""
}

func (s *archiveScanner) Open(body io.ReaderAt, size int64) error {
	text, err := io.ReadAll(io.NewSectionReader(body, 0, size))
	name, _, _ := bytes.Cut(text, []byte("\n"))
	s.opened = string(name)
	return err
}

var _ upload.Archive = (*archiveScanner)(nil)

// TestArchiveIsNamedByAll: a body that only a look into the whole of it names is named in a spool and by an observer.
func TestArchiveIsNamedByAll(t *testing.T) {
	want := body(50_000)
	s, target, err := upload.Spool(bytes.NewReader(want), new(archiveScanner), t.TempDir(), 1<<20, anybody)
	if err != nil || target.Package != "widget" {
		t.Fatalf("%v, %v", target, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		dir   string
		limit int64
		want  model.Code
	}{
		"fine": {t.TempDir(), 1 << 20, ""}, "too large": {t.TempDir(), 1000, model.CodeTooLarge}, "no directory": {t.TempDir() + "/absent", 1 << 20, model.CodeSpoolUnavailable},
	} {
		o := upload.NewObserver(io.NopCloser(bytes.NewReader(want)), new(archiveScanner), upload.Disk{Dir: tc.dir}, tc.limit)
		got, err := io.ReadAll(o)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		target, _, err := o.Seen()
		if code(err) != tc.want || err == nil && target.Package != "widget" {
			t.Errorf("%s: seen %v, %v", name, target, err)
		}
		o.Release()
	}
}
