// Package zipfile opens zips of which every reader sees the same: readers that trust the directory at the end and those that go
// from entry to entry find the same names, sizes and data.
package zipfile

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// The signatures and fixed lengths of a zip's records.
const (
	localSignature      = "PK\x03\x04"
	descriptorSignature = "PK\x07\x08"

	localLength      = 30
	descriptorLength = 12
)

// Defect is what is wrong with a zip.
type Defect struct{ Got, Want string }

// Error names what was found and what is expected.
func (d *Defect) Error() string { return fmt.Sprintf("zip has %s, expected %s", d.Got, d.Want) }

// Starts tells whether a zip may begin so; an honest one begins with its first entry, not with a program or other data.
func Starts(p []byte) bool {
	return bytes.HasPrefix(p, []byte(localSignature)) || bytes.HasPrefix([]byte(localSignature), p)
}

// Open is Read for a zip whose names are read everywhere: on systems that don't look at case, and by readers that take percent signs out.
func Open(file io.ReaderAt, size int64) (*zip.Reader, error) {
	zr, err := Read(file, size)
	if err != nil {
		return nil, err
	}
	return zr, names(zr.File)
}

// Read reads the directory of a zip and holds it against its entries. They must lie one after the other from the first byte on,
// then the directory, then its end, without a comment; zip64, encryption and other methods than stored and deflated are refused.
func Read(file io.ReaderAt, size int64) (*zip.Reader, error) {
	// Before the library, which would take as many entries as it finds, whatever their number costs.
	dir, err := readDirectory(file, size)
	if err != nil {
		return nil, err
	}
	zr, err := zip.NewReader(file, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // a matter of names
		return nil, fmt.Errorf("zip: %w", err)
	}
	if err := dir.agrees(zr.File); err != nil {
		return nil, err
	}
	w := &walk{file: file, dir: dir}
	return zr, w.entries(zr.File)
}

// names refuses paths that lead outside or that readers spell in another way, and two entries of one name, whatever its case.
func names(entries []*zip.File) error {
	seen := map[string]bool{}
	for _, e := range entries {
		plain, err := Plain(e.Name)
		if err != nil || e.NonUTF8 {
			return &Defect{"an entry " + fmt.Sprintf("%.80q", e.Name), "plain relative paths"}
		}
		if plain = strings.ToLower(strings.TrimSuffix(plain, "/")); seen[plain] {
			return &Defect{"two entries " + fmt.Sprintf("%.80q", e.Name), "one of each name"}
		}
		seen[plain] = true
	}
	return nil
}

// Plain is a path without the percent signs that some packagers write into names and some readers take out.
func Plain(name string) (string, error) {
	plain, err := url.PathUnescape(name)
	if err != nil {
		return "", fmt.Errorf("path: %w", err)
	}
	if strings.ContainsAny(plain, "\\:%") || strings.ContainsFunc(plain, unicode.IsControl) {
		return "", &Defect{"such a path", "plain relative paths"}
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(plain, "/"), "/") {
		if part == "" || strings.Trim(part, ". ") == "" {
			return "", &Defect{"such a path", "plain relative paths"}
		}
	}
	return plain, nil
}

// walk goes through a zip from its first byte.
type walk struct {
	file io.ReaderAt
	at   int64
	dir  *directory
}

func (w *walk) read(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := w.file.ReadAt(b, w.at); err != nil {
		return nil, fmt.Errorf("zip: %w", err)
	}
	return b, nil
}

func (w *walk) entries(all []*zip.File) error {
	type placed struct {
		*zip.File
		data int64
	}
	var order []placed
	for _, e := range all {
		data, err := e.DataOffset()
		if err != nil {
			return fmt.Errorf("zip entry: %w", err)
		}
		order = append(order, placed{e, data})
	}
	slices.SortStableFunc(order, func(a, b placed) int { return cmp.Compare(a.data, b.data) })
	for _, e := range order {
		if err := w.entry(e.File, e.data); err != nil {
			return err
		}
	}
	if w.at != w.dir.start {
		return &Defect{"data before its directory", "the directory after the entries"}
	}
	return nil
}

// entry compares what stands before an entry's data with the directory, and steps behind the data.
func (w *walk) entry(e *zip.File, data int64) error {
	const encrypted, described, max32 = 0x1, 0x8, 1<<32 - 1
	h, err := w.read(localLength)
	if err != nil {
		return err
	}
	num := binary.LittleEndian
	name, extra := int(num.Uint16(h[26:])), int(num.Uint16(h[28:]))
	if string(h[:4]) != localSignature || w.at != w.dir.offsets[e.Name] || w.at+localLength+int64(name+extra) != data {
		return &Defect{"data between its entries, or entries that overlap", "one after the other"}
	}
	w.at += localLength
	text, err := w.read(name + extra)
	if err != nil {
		return err
	}
	switch {
	case string(text[:name]) != e.Name:
		return &Defect{"two names for one entry", "one"}
	case num.Uint16(h[6:]) != e.Flags || num.Uint16(h[8:]) != e.Method || e.Flags&encrypted != 0 || e.Method != zip.Store && e.Method != zip.Deflate:
		return &Defect{"an entry that is packed in another way", "stored and deflated entries"}
	case e.CompressedSize64 >= max32 || e.UncompressedSize64 >= max32 || renames(text[name:]) || renames(e.Extra):
		return &Defect{"an entry of zip64, or with a second name", "plain entries"}
	}
	known := num.Uint32(h[14:]) == e.CRC32 && uint64(num.Uint32(h[18:])) == e.CompressedSize64 && uint64(num.Uint32(h[22:])) == e.UncompressedSize64
	w.at = data + int64(e.CompressedSize64)
	if e.Flags&described != 0 {
		open := bytes.Equal(h[14:26], make([]byte, descriptorLength))
		return w.descriptor(e, known || open)
	}
	if !known {
		return &Defect{"two sizes for one entry", "one"}
	}
	return nil
}

// descriptor reads what may follow the data of an entry that was written without going back.
func (w *walk) descriptor(e *zip.File, agrees bool) error {
	d, err := w.read(len(descriptorSignature) + descriptorLength)
	if err != nil {
		return err
	}
	w.at += descriptorLength
	if string(d[:4]) == descriptorSignature {
		w.at += int64(len(descriptorSignature))
		d = d[4:]
	}
	num := binary.LittleEndian
	if !agrees || num.Uint32(d) != e.CRC32 || uint64(num.Uint32(d[4:])) != e.CompressedSize64 || uint64(num.Uint32(d[8:])) != e.UncompressedSize64 {
		return &Defect{"two sizes for one entry", "one"}
	}
	return nil
}

// renames is true for extra fields that give an entry other sizes or another name, and for those that can't be read.
func renames(extra []byte) bool {
	const zip64, unicodePath = 0x0001, 0x7075
	for len(extra) >= 4 {
		id, size := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if id == zip64 || id == unicodePath || len(extra) < 4+size {
			return true
		}
		extra = extra[4+size:]
	}
	return len(extra) > 0
}
