package integration

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/toolbox"
	"github.com/trustpub/trustpub/internal/tarfile"
	"github.com/trustpub/trustpub/internal/zipfile"
)

// member is a file of an archive, as a reader sees it.
type member struct{ Name, SHA256, Refused string }

// The readers of pip and of all that is written in Python: the files of an archive, one line for each archive. A later file of a name
// takes the place of an earlier one when it is unpacked, so they are told in their order.
const (
	pythonUntars = `
import base64, hashlib, io, json, sys, tarfile
for line in sys.stdin:
    try:
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(line)), mode="r:") as tar:
            out = [{"Name": m.name, "SHA256": hashlib.sha256(tar.extractfile(m).read()).hexdigest()} for m in tar if m.isfile()]
    except Exception as e:
        out = [{"Refused": repr(e)}]
    print(json.dumps(out))
`
	pythonUnzips = `
import base64, hashlib, io, json, sys, zipfile
for line in sys.stdin:
    try:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(line))) as z:
            out = [{"Name": m.filename, "SHA256": hashlib.sha256(z.read(m)).hexdigest()} for m in z.infolist()]
    except Exception as e:
        out = [{"Refused": repr(e)}]
    print(json.dumps(out))
`
)

// tarBlock makes a header.
func tarBlock(kind byte, name string, size int, magic, prefix string) []byte {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x0000000000000\x00", size))
	h[156] = kind
	copy(h[257:], magic)
	copy(h[345:], prefix)
	return h
}

// summed puts the right sum into each block that could be a header.
func summed(blocks []byte) []byte {
	for at := 0; at+512 <= len(blocks); at += 512 {
		h := blocks[at : at+512]
		if !bytes.HasPrefix(h[100:], []byte("0000644")) {
			continue
		}
		copy(h[148:], "        ")
		sum := 0
		for _, b := range h {
			sum += int(b)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	}
	return blocks
}

// randomTar puts together what readers of tars stumble over.
func randomTar(rng *rand.Rand) []byte {
	pick := func(all ...string) string { return all[rng.IntN(len(all))] }
	var out []byte
	for range 1 + rng.IntN(5) {
		kind := pick("0", "0", "0", "5", "2", "1", "x", "g", "L", "K", "\x00", "7", "S", "3", "6", "V", "X")[0]
		data := pick("", "x", strings.Repeat("y", 512), strings.Repeat("z", 600))
		switch kind {
		case 'x', 'g', 'X':
			data = ""
			for range rng.IntN(3) {
				record := pick("path", "size", "linkpath", "mtime", "comment", "GNU.sparse.name", "hdrcharset", "uid") + "=" + pick("a", "0", "512", "acme/PKG-INFO", "", "1.5") + "\n"
				data += fmt.Sprintf("%d %s", len(record)+3, record)
			}
		case 'L', 'K':
			data = pick("long", "acme/PKG-INFO", "") + "\x00"
		case '5', '2', '1':
			data = pick("", "", "", data)
		}
		name := pick("acme/PKG-INFO", "PKG-INFO", "b", "acme/", "./c", "d/../e")
		h := tarBlock(kind, name, len(data), pick("ustar\x0000", "ustar\x0000", "ustar\x0000", "ustar  \x00", "", "ustar\x0001"), pick("", "", "", "acme"))
		if rng.IntN(6) == 0 { // another size, or a byte anywhere
			copy(h[124:], pick("00000001000\x00", "1000        ", "        12 \x00", "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00", "0o1000\x00\x00\x00\x00\x00\x00", "1_000\x00\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
		}
		if rng.IntN(6) == 0 {
			h[rng.IntN(512)] = byte(rng.IntN(256))
		}
		if rng.IntN(4) == 0 && kind == '0' { // a file that is a tar itself
			data = string(tarBlock('0', "acme/PKG-INFO", 1, "ustar\x0000", "")) + "e" + strings.Repeat("\x00", 511)
			copy(h[124:], fmt.Sprintf("%011o\x00", len(data)))
		}
		out = append(append(out, h...), data...)
		out = append(out, make([]byte, (512-len(data)%512)%512)...)
		if rng.IntN(12) == 0 {
			out = append(out, make([]byte, 512)...)
		}
	}
	return summed(append(out, make([]byte, 512*rng.IntN(4))...))
}

// untar reads a tar as the gateway does; false where it refuses it.
func untar(text []byte) (members []member, ok bool) {
	r := tarfile.NewReader(bytes.NewReader(text))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return members, true
		}
		if err != nil || tarfile.Check(h) != nil {
			return nil, false
		}
		sum, err := sumOf(r)
		if err != nil {
			return nil, false
		}
		if h.Typeflag == tar.TypeReg {
			members = append(members, member{Name: h.Name, SHA256: sum})
		}
	}
}

// TestPythonUnpacksTheSameTar: of tars that are put together at random, those that the gateway accepts have the same files for Python.
func TestPythonUnpacksTheSameTar(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	var texts [][]byte
	var wants [][]member
	for range 60_000 {
		text := randomTar(rng)
		if members, ok := untar(text); ok && len(members) > 0 {
			texts, wants = append(texts, text), append(wants, members)
		}
	}
	compareMembers(t, pythonUntars, texts, wants, 1000)
}

// TestPythonUnpacksTheSameZip: of zips of which a few bytes are changed, those that the gateway accepts have the same files for Python.
func TestPythonUnpacksTheSameZip(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	var whole bytes.Buffer
	w := zip.NewWriter(&whole)
	for i, name := range []string{"a/METADATA", "b.py", "c/", "d.txt"} {
		h := &zip.FileHeader{Name: name, Method: uint16(i % 2 * 8)}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if name != "c/" {
			_, _ = io.WriteString(f, strings.Repeat("data of "+name, 1+i))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	plain := whole.Bytes()
	var texts [][]byte
	var wants [][]member
	for range 120_000 {
		text := bytes.Clone(plain)
		for range 1 + rng.IntN(3) {
			at := rng.IntN(len(text))
			switch rng.IntN(4) {
			case 0:
				text[at] = byte(rng.IntN(256))
			case 1:
				text[at] ^= 1 << rng.IntN(8)
			case 2:
				text = slices.Insert(text, at, byte(rng.IntN(256)))
			case 3:
				from, size := rng.IntN(len(text)), rng.IntN(64)
				copy(text[at:], text[from:min(len(text), from+size)])
			}
		}
		if members, ok := unzip(text); ok {
			texts, wants = append(texts, text), append(wants, members)
		}
	}
	compareMembers(t, pythonUnzips, texts, wants, 1000)
}

// unzip reads a zip as the gateway does, and all its files; false where it refuses it or one of them is damaged.
func unzip(text []byte) (members []member, ok bool) {
	zr, err := zipfile.Read(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		return nil, false
	}
	for _, e := range zr.File {
		r, err := e.Open()
		if err != nil {
			return nil, false
		}
		sum, err := sumOf(r)
		if err != nil {
			return nil, false
		}
		members = append(members, member{Name: e.Name, SHA256: sum})
	}
	return members, true
}

func compareMembers(t *testing.T, program string, texts [][]byte, wants [][]member, enough int) {
	t.Helper()
	if len(texts) < enough {
		t.Errorf("%d archives were accepted, too few to say anything", len(texts))
	}
	python, err := toolbox.Devpi.Program(t.Context(), "python")
	if err != nil {
		t.Fatal(err)
	}
	out := allRead(t, []string{python, "-W", "ignore", "-c", program}, texts)
	refused := 0
	for i, text := range texts {
		var got []member
		if err := out.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if len(got) == 1 && got[0].Refused != "" { // nothing is read then
			refused++
			continue
		}
		if diff := cmp.Diff(wants[i], got); diff != "" {
			t.Fatalf("Python sees other files (-gateway +Python):\n%s\n%q", diff, text)
		}
	}
	if len(texts)-refused < enough {
		t.Errorf("Python refuses %d of %d archives, too many to say anything", refused, len(texts))
	}
}
