package npm

import (
	"bytes"
	"encoding/base64"
	"testing"
)

// compareBase64 holds the decoder to the standard library's.
func compareBase64(t *testing.T, text []byte) {
	t.Helper()
	if len(text)%quantum != 0 || bytes.ContainsAny(text, "\r\n") {
		return // whole quanta alone are decoded, and a document's text has no line breaks
	}
	want := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, wantErr := base64.StdEncoding.Strict().Decode(want, text)
	for _, room := range []int{0, pairRoom} {
		got := make([]byte, len(want)+room)
		m, err := decodeBase64(got, text)
		if (err != nil) != (wantErr != nil) || err == nil && !bytes.Equal(got[:m], want[:n]) {
			t.Errorf("%q: got %x, %v, expected %x, %v", text, got[:m], err, want[:n], wantErr)
		}
	}
}

func TestBase64(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for size := range 40 {
		compareBase64(t, []byte(base64.StdEncoding.EncodeToString(all[:size])))
		compareBase64(t, []byte(base64.StdEncoding.EncodeToString(all[256-size:])))
	}
	good := []byte(base64.StdEncoding.EncodeToString(all[:24]))
	for at := range good {
		for _, c := range all {
			text := bytes.Clone(good)
			text[at] = c
			compareBase64(t, text)
		}
	}
}

func FuzzBase64(f *testing.F) {
	f.Add([]byte("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="))
	f.Add([]byte("QUJDREVGR0h="))
	f.Fuzz(compareBase64)
}

// BenchmarkBase64 decodes 1 MiB of digits.
func BenchmarkBase64(b *testing.B) {
	text := bytes.Repeat([]byte("QUJDREVGR0hJSktM"), 1<<20/16)
	out := make([]byte, decoded+pairRoom)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		for rest := text; len(rest) > 0; {
			n := min(len(rest), decoded/quantumBytes*quantum)
			if _, err := decodeBase64(out, rest[:n]); err != nil {
				b.Fatal(err)
			}
			rest = rest[n:]
		}
	}
}
