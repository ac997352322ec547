package zipfile_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/zipfile"
)

// entry is a stored file.
type entry struct{ name, data string }

var num = binary.LittleEndian

// local is an entry as it stands in the file.
func local(e entry) []byte {
	b := append([]byte("PK\x03\x04"), make([]byte, 26)...)
	num.PutUint16(b[4:], 20)
	num.PutUint32(b[14:], crc32.ChecksumIEEE([]byte(e.data)))
	num.PutUint32(b[18:], uint32(len(e.data)))
	num.PutUint32(b[22:], uint32(len(e.data)))
	num.PutUint16(b[26:], uint16(len(e.name)))
	return append(append(b, e.name...), e.data...)
}

// central is an entry as the directory has it.
func central(e entry, offset int, extra []byte) []byte {
	b := append([]byte("PK\x01\x02"), make([]byte, 42)...)
	num.PutUint16(b[6:], 20)
	num.PutUint32(b[16:], crc32.ChecksumIEEE([]byte(e.data)))
	num.PutUint32(b[20:], uint32(len(e.data)))
	num.PutUint32(b[24:], uint32(len(e.data)))
	num.PutUint16(b[28:], uint16(len(e.name)))
	num.PutUint16(b[30:], uint16(len(extra)))
	num.PutUint32(b[42:], uint32(offset))
	return append(append(b, e.name...), extra...)
}

// end is the record of the directory's end.
func end(count, length, start int) []byte {
	b := append([]byte("PK\x05\x06"), make([]byte, 18)...)
	num.PutUint16(b[8:], uint16(count))
	num.PutUint16(b[10:], uint16(count))
	num.PutUint32(b[12:], uint32(length))
	num.PutUint32(b[16:], uint32(start))
	return b
}

func open(text []byte) (*zip.Reader, error) {
	return zipfile.Open(bytes.NewReader(text), int64(len(text)))
}

// plain is a zip of two entries.
func plain() []byte {
	a, b := entry{"a", "one"}, entry{"b", "two"}
	out := append(local(a), local(b)...)
	dir := append(central(a, 0, nil), central(b, len(local(a)), nil)...)
	return append(append(out, dir...), end(2, len(dir), len(out))...)
}

func TestOpen(t *testing.T) {
	zr, err := open(plain())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []entry{{"a", "one"}, {"b", "two"}} {
		r, err := zr.File[i].Open()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != want.data || zr.File[i].Name != want.name {
			t.Errorf("%s has %q, %v", zr.File[i].Name, got, err)
		}
	}
}

// TestTwoDirectories hides a directory of zip64, which the library follows where one size has a certain value, behind another one,
// which readers without zip64 follow.
func TestTwoDirectories(t *testing.T) {
	const magic = 0xffff // the size of a directory with which the library looks for zip64
	a, b := entry{"a", "one"}, entry{"b", "two"}
	// The second entry holds the library's directory. A sum of a text that holds itself is not to be had; it is compared only when
	// the entry is read.
	inner := append(central(a, 0, nil), central(b, len(local(a)), nil)...)
	b.data = "two" + string(inner) + "x"
	head := local(b)
	num.PutUint32(head[14:], 0)
	out := append(local(a), head...)
	at := bytes.Index(out, []byte("PK\x01\x02"))
	second := out[at+len(central(a, 0, nil)):]
	num.PutUint32(second[16:], 0)
	num.PutUint32(second[20:], uint32(len(b.data)))
	num.PutUint32(second[24:], uint32(len(b.data)))

	zip64 := append([]byte("PK\x06\x06"), make([]byte, 52)...)
	num.PutUint64(zip64[4:], 44)
	num.PutUint64(zip64[24:], 2)
	num.PutUint64(zip64[32:], 2)
	num.PutUint64(zip64[40:], uint64(len(inner)))
	num.PutUint64(zip64[48:], uint64(at))
	locator := append([]byte("PK\x06\x07"), make([]byte, 16)...)
	num.PutUint32(locator[16:], 1)

	// The directory of all others: the same names, the other way round.
	first := central(entry{"a", b.data}, len(local(a)), nil)
	extra := make([]byte, magic-len(first)-47)
	num.PutUint16(extra, 0x9999)
	num.PutUint16(extra[2:], uint16(len(extra)-4))
	copy(extra[len(extra)-76:], zip64)
	copy(extra[len(extra)-20:], locator)
	dir := append(first, central(entry{"b", a.data}, 0, extra)...)
	if len(dir) != magic {
		t.Fatalf("the directory has %d bytes", len(dir))
	}
	start := len(out)
	num.PutUint64(dir[len(dir)-12:], uint64(start+len(dir)-76))
	out = append(append(out, dir...), end(2, len(dir), start)...)

	zr, err := zip.NewReader(bytes.NewReader(out), int64(len(out)))
	if err != nil || len(zr.File) != 2 || zr.File[1].CompressedSize64 != uint64(len(b.data)) {
		t.Fatalf("the library does not follow its directory: %v", err)
	}
	if _, err := open(out); err == nil {
		t.Error("a zip with two directories is accepted")
	}
}

// TestManyEntries: the library counts the entries of a directory in sixteen bits, and keeps them all before it does.
func TestManyEntries(t *testing.T) {
	a := entry{"a", "one"}
	out := local(a)
	dir := []byte(strings.Repeat(string(central(a, 0, nil)), 1<<16+1))
	start := len(out)
	out = append(append(out, dir...), end(1, len(dir), start)...)
	allocs := testing.AllocsPerRun(1, func() {
		if _, err := open(out); err == nil {
			t.Error("65,537 entries that are one are accepted")
		}
	})
	if allocs > 1000 {
		t.Errorf("%.0f allocations for a zip that says it has one entry", allocs)
	}
}

func TestRefusals(t *testing.T) {
	good := plain()
	edit := func(f func([]byte)) []byte {
		b := bytes.Clone(good)
		f(b)
		return b
	}
	last, dir := len(good)-22, bytes.Index(good, []byte("PK\x01\x02"))
	for name, tc := range map[string]struct {
		text []byte
		want string
	}{
		"nothing":                   {nil, "zip has 0 bytes, expected entries, a directory and its end"},
		"an end alone":              {end(0, 0, 0), "zip has no entries, expected some"},
		"cut":                       {good[:len(good)-1], "zip has more after its directory, expected its end, without a comment"},
		"a byte after it":           {append(bytes.Clone(good), 0), "zip has more after its directory, expected its end, without a comment"},
		"a byte before it":          {append([]byte{0}, good...), "zip has another directory than its end says, expected one"},
		"a comment":                 {edit(func(b []byte) { b[last+20] = 1 }), "zip has more after its directory, expected its end, without a comment"},
		"another disk":              {edit(func(b []byte) { b[last+4] = 1 }), "zip has another directory than its end says, expected one"},
		"another count":             {edit(func(b []byte) { b[last+8], b[last+10] = 1, 1 }), "zip has more in its directory than its entries, expected nothing more"},
		"two counts":                {edit(func(b []byte) { b[last+8] = 1 }), "zip has another directory than its end says, expected one"},
		"another start":             {edit(func(b []byte) { b[last+16]-- }), "zip has another directory than its end says, expected one"},
		"another place of an entry": {edit(func(b []byte) { b[dir+42] = 34 }), "zip has data between its entries, or entries that overlap, expected one after the other"},
		"a comment of an entry":     {edit(func(b []byte) { b[dir+32] = 1 }), "zip has comments in its directory, or another disk, expected plain entries"},
		"another name":              {edit(func(b []byte) { b[dir+46] = 'c' }), "zip has two names for one entry, expected one"},
		"another sum":               {edit(func(b []byte) { b[dir+16]++ }), "zip has two sizes for one entry, expected one"},
		"a hole":                    {append(append(append([]byte{}, good[:dir]...), 'x'), edit(func(b []byte) { b[last+16]++ })[dir:]...), "zip has data before its directory, expected the directory after the entries"},
	} {
		if _, err := open(tc.text); err == nil || err.Error() != tc.want {
			t.Errorf("%s: got %v, expected %s", name, err, tc.want)
		}
	}
}

// FuzzOpen: what is accepted begins with its first entry and has each name once.
func FuzzOpen(f *testing.F) {
	f.Add(plain())
	var described bytes.Buffer
	w := zip.NewWriter(&described)
	e, _ := w.Create("a/b")
	_, _ = e.Write([]byte("data"))
	_ = w.Close()
	f.Add(described.Bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		zr, err := open(text)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, e := range zr.File {
			if seen[strings.ToLower(e.Name)] {
				t.Errorf("%q twice", e.Name)
			}
			seen[strings.ToLower(e.Name)] = true
		}
		if !zipfile.Starts(text) {
			t.Error("something stands before the first entry")
		}
	})
}
