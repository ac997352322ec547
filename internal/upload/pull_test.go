package upload_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// TestPull: the reader gets what the digest is written, in line and in blocks.
func TestPull(t *testing.T) {
	for _, size := range []int{0, 1, 1 << 20, 3<<20 + 12345} {
		var got bytes.Buffer
		p := upload.NewPull(func(r upload.Source) error {
			if c, err := r.ReadByte(); err == nil {
				got.WriteByte(c)
			}
			_, err := got.ReadFrom(r)
			if _, end := r.ReadByte(); end == nil {
				t.Error("a byte behind the end")
			}
			return err
		})
		d := upload.NewDigest()
		d.Beside(p)
		file := body(max(size, 12))[:size]
		for rest := file; len(rest) > 0; {
			n := min(50_000, len(rest))
			piece := bytes.Clone(rest[:n])
			if _, err := d.Write(piece); err != nil {
				t.Fatal(err)
			}
			clear(piece)
			rest = rest[n:]
		}
		d.SHA256() // hands over the rest
		if err := p.Finish(); err != nil || !bytes.Equal(got.Bytes(), file) {
			t.Errorf("%d bytes: %v, the reader got %d", size, err, got.Len())
		}
	}
}

// TestPullOfAReaderThatRefuses: whoever writes is told, and asks why.
func TestPullOfAReaderThatRefuses(t *testing.T) {
	want := errors.New("refused")
	for _, piece := range []int{1000, 300_000} { // in line and in blocks
		p := upload.NewPull(func(r upload.Source) error {
			_, _ = io.CopyN(io.Discard, r, int64(piece)+1)
			return want
		})
		d := upload.NewDigest()
		d.Beside(p)
		var err error
		for n := 0; err == nil; n++ {
			if n > 100 {
				t.Fatal("nobody told the writer")
			}
			_, err = d.Write(body(piece))
		}
		if got := p.Finish(); !errors.Is(got, want) {
			t.Errorf("Finish: %v", got)
		}
	}
}

// panicking is a scanner with a defect.
type panicking struct {
	lineScanner
	at int // of the pieces; beyond them: at the end
}

func (p *panicking) Scan(b []byte) (int64, error) {
	if p.at--; p.at == 0 {
		panic("a defect")
	}
	return p.lineScanner.Scan(b)
}

func (p *panicking) Finish() error { panic("a defect") }

// TestADefectEndsOneUpload: what panics beside the handler is a refusal, not the end of the gateway.
func TestADefectEndsOneUpload(t *testing.T) {
	for _, at := range []int{1, 2, 1000} {
		s := upload.NewStream(bytes.NewReader(body(100_000)), &panicking{at: at}, nil)
		if _, err := s.Head(1 << 20); (code(err) == model.CodeInternal) != (at == 1) {
			t.Errorf("at piece %d: Head: %v", at, err)
		}
		if got, err := io.ReadAll(s); code(err) != model.CodeInternal || len(got) >= 100_000 || s.State() != upload.Failed {
			t.Errorf("at piece %d: %d bytes, %v, state %d", at, len(got), err, s.State())
		}
	}
	s := upload.NewStream(bytes.NewReader(body(100)), &lineScanner{}, func() error { panic("a defect") })
	if _, err := io.ReadAll(s); code(err) != model.CodeInternal {
		t.Errorf("the verdict: %v", err)
	}
	p := upload.NewPull(func(upload.Source) error { panic("a defect") })
	_, _ = p.Write(body(100))
	if err := p.Finish(); code(err) != model.CodeInternal {
		t.Errorf("Finish: %v", err)
	}
}

// closing is a scanner that wants to be closed.
type closing struct {
	lineScanner
	closed int
}

func (c *closing) Close() error { c.closed++; return nil }

// TestScannersAreClosed: whatever becomes of a body, a scanner that holds something is told.
func TestScannersAreClosed(t *testing.T) {
	good, cut := body(5000), body(5000)[:4000]
	for name, run := range map[string]func(s *closing){
		"a stream": func(s *closing) {
			stream := upload.NewStream(bytes.NewReader(good), s, nil)
			_, _ = io.Copy(io.Discard, stream)
			stream.Stop()
			stream.Stop()
		},
		"a stream that is given up": func(s *closing) {
			stream := upload.NewStream(bytes.NewReader(good), s, nil)
			_, _ = stream.Head(1 << 20)
			stream.TryStop()
		},
		"a spool":                  func(s *closing) { _, _, _ = upload.Spool(bytes.NewReader(good), s, t.TempDir(), 1<<20, anybody) },
		"a spool that is cut":      func(s *closing) { _, _, _ = upload.Spool(bytes.NewReader(cut), s, t.TempDir(), 1<<20, anybody) },
		"a spool nobody may write": func(s *closing) { _, _, _ = upload.Spool(bytes.NewReader(good), s, t.TempDir(), 1<<20, nobody) },
		"an observer": func(s *closing) {
			o := upload.NewObserver(io.NopCloser(bytes.NewReader(cut)), s, upload.Disk{Dir: t.TempDir()}, 1<<20)
			_, _ = io.Copy(io.Discard, o)
			o.Release()
		},
	} {
		s := &closing{}
		run(s)
		if diff := cmp.Diff(1, s.closed); diff != "" {
			t.Errorf("%s closes its scanner so often (-want +got):\n%s", name, diff)
		}
	}
}

func nobody(model.Target) error { return model.Deny(model.CodeNewPackage) }

// TestPullThatIsGivenUp: its reader ends.
func TestPullThatIsGivenUp(t *testing.T) {
	ended := make(chan error)
	p := upload.NewPull(func(r upload.Source) error {
		_, err := io.Copy(io.Discard, r)
		ended <- err
		return err
	})
	if _, err := p.Write(body(100)); err != nil {
		t.Fatal(err)
	}
	_ = p.Close()
	if err := <-ended; err == nil {
		t.Error("the reader took a file that was given up for a whole one")
	}
}
