package jsonstream

import (
	"bytes"
	"testing"
)

// plainly is what plain is, byte by byte.
func plainly(p []byte) int {
	for n, c := range p {
		if c < 0x20 || c >= 0x80 || c == '"' || c == '\\' {
			return n
		}
	}
	return len(p)
}

// TestPlain: each byte, wherever it stands, ends a run or does not, whether the run is looked at by words or by windows.
func TestPlain(t *testing.T) {
	text := bytes.Repeat([]byte("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo+/=~ \x7f!#[]"), 80)
	for _, size := range []int{0, 1, 7, shortRun - 1, shortRun, shortRun + 1, shortRun + window - 1, shortRun + window, shortRun + 2*window + 9, len(text)} {
		for _, at := range []int{0, 1, 7, 8, shortRun - 1, shortRun, shortRun + 13, shortRun + window - 1, shortRun + window, shortRun + 2*window + 8, len(text) - 1} {
			for c := range 256 {
				p := bytes.ReplaceAll(text[:size], []byte{0x7f}, []byte{'.'})
				if at < size {
					p[at] = byte(c)
				}
				if got, want := plain(p), plainly(p); got != want {
					t.Fatalf("%#x at %d of %d: got %d, expected %d", c, at, size, got, want)
				}
			}
		}
	}
	if got, want := plain(text), plainly(text); got != want {
		t.Errorf("with bytes that are no letters: got %d, expected %d", got, want)
	}
}

func FuzzPlain(f *testing.F) {
	f.Add([]byte(`data":"QUJD`), uint16(3000))
	f.Add([]byte("\x7f\x80"), uint16(1280))
	f.Fuzz(func(t *testing.T, end []byte, before uint16) {
		p := append(bytes.Repeat([]byte("a"), int(before)%5000), end...)
		if got, want := plain(p), plainly(p); got != want {
			t.Errorf("%d bytes and %q: got %d, expected %d", before, end, got, want)
		}
	})
}
