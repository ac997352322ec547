package npm

import (
	"bytes"
	"encoding/base64"
	"testing"
)

// compareBase64 holds the decoder to the strict one of the standard library: in what it refuses, and in what it makes of the rest. It writes
// nothing behind what it says.
func compareBase64(t *testing.T, text []byte) {
	t.Helper()
	want := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, wantErr := base64.StdEncoding.Strict().Decode(want, text)
	room := bytes.Repeat([]byte{0xa5}, len(want)+64)
	m, err := standard.Decode(room[:len(want)], text)
	if (err != nil) != (wantErr != nil) || err == nil && !bytes.Equal(room[:m], want[:n]) {
		t.Errorf("%q: got %x, %v, expected %x, %v", text, room[:m], err, want[:n], wantErr)
	}
	if behind := room[len(want):]; !bytes.Equal(behind, bytes.Repeat([]byte{0xa5}, len(behind))) {
		t.Errorf("%q: got %x behind its room, expected nothing", text, behind)
	}
}

// TestBase64: every byte, wherever it stands in a text, is decoded or refused as the standard library does, spare bits and padding too.
func TestBase64(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for size := range 200 {
		for _, part := range [][]byte{all[:size], all[256-size:]} {
			text := []byte(base64.StdEncoding.EncodeToString(part))
			compareBase64(t, text)
			for _, end := range []string{"=", "A", "AA==", "AB==", "AAA=", "AAB=", "A===", "====", "\n", "\r\n"} {
				compareBase64(t, append(bytes.Clone(text), end...))
			}
		}
	}
	good := []byte(base64.StdEncoding.EncodeToString(all[:150]))
	for at := range good {
		for c := range 256 {
			text := bytes.Clone(good)
			text[at] = byte(c)
			compareBase64(t, text)
		}
	}
}

func FuzzBase64(f *testing.F) {
	f.Add([]byte("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="), uint8(0))
	f.Add([]byte("QUJDREVGR0h="), uint8(17))
	f.Fuzz(func(t *testing.T, text []byte, quanta uint8) {
		compareBase64(t, append(bytes.Repeat([]byte("w79+"), int(quanta)), text...))
	})
}
