package zipfile

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// maxDirectory bounds the directory of a zip, in bytes; without zip64, which is refused, it has at most 65,535 entries.
const maxDirectory = 32 << 20

// The signatures and fixed lengths of a directory.
const (
	directorySignature = "PK\x01\x02"
	endSignature       = "PK\x05\x06"
	directoryLength    = 46
	endLength          = 22
)

// directory is that of a zip, found where its last bytes say. Readers that know zip64 may find another one.
type directory struct {
	start   int64
	records []record
	offsets map[string]int64
}

// record is what a directory says of an entry.
type record struct {
	name               string
	crc, packed, plain uint32
}

// readDirectory reads the directory, which ends where the record of its end begins, as the last of the file.
func readDirectory(file io.ReaderAt, size int64) (*directory, error) {
	if size < endLength {
		return nil, &Defect{fmt.Sprintf("%d bytes", size), "entries, a directory and its end"}
	}
	var end [endLength]byte
	if _, err := file.ReadAt(end[:], size-endLength); err != nil {
		return nil, fmt.Errorf("zip: %w", err)
	}
	num := binary.LittleEndian
	count, length := int(num.Uint16(end[10:])), int64(num.Uint32(end[12:]))
	start := int64(num.Uint32(end[16:]))
	switch {
	case string(end[:4]) != endSignature || num.Uint16(end[20:]) != 0:
		return nil, &Defect{"more after its directory", "its end, without a comment"}
	case num.Uint32(end[4:]) != 0 || int(num.Uint16(end[8:])) != count || start+length != size-endLength || length > maxDirectory:
		return nil, &Defect{"another directory than its end says", "one"}
	case count == 0:
		return nil, &Defect{"no entries", "some"}
	}
	d := &directory{start: start, offsets: make(map[string]int64, min(count, 1024))}
	in := bufio.NewReader(io.NewSectionReader(file, start, length))
	for range count {
		if err := d.read(in); err != nil {
			return nil, err
		}
	}
	if _, err := in.ReadByte(); err == nil {
		return nil, &Defect{"more in its directory than its entries", "nothing more"}
	}
	return d, nil
}

// read takes the next record.
func (d *directory) read(in *bufio.Reader) error {
	var h [directoryLength]byte
	if _, err := io.ReadFull(in, h[:]); err != nil {
		return fmt.Errorf("zip directory: %w", err)
	}
	num := binary.LittleEndian
	name, extra := int(num.Uint16(h[28:])), int(num.Uint16(h[30:]))
	if string(h[:4]) != directorySignature || num.Uint16(h[32:]) != 0 || num.Uint16(h[34:]) != 0 {
		return &Defect{"comments in its directory, or another disk", "plain entries"}
	}
	text := make([]byte, name)
	if _, err := io.ReadFull(in, text); err != nil {
		return fmt.Errorf("zip directory: %w", err)
	}
	if _, err := in.Discard(extra); err != nil {
		return fmt.Errorf("zip directory: %w", err)
	}
	if _, twice := d.offsets[string(text)]; twice {
		return &Defect{"two entries " + fmt.Sprintf("%.80q", text), "one of each name"}
	}
	d.records = append(d.records, record{string(text), num.Uint32(h[16:]), num.Uint32(h[20:]), num.Uint32(h[24:])})
	d.offsets[string(text)] = int64(num.Uint32(h[42:]))
	return nil
}

// agrees holds what the library has read against the directory.
func (d *directory) agrees(entries []*zip.File) error {
	if len(entries) != len(d.records) {
		return &Defect{"two directories", "one"}
	}
	for i, e := range entries {
		if (record{e.Name, e.CRC32, uint32(e.CompressedSize64), uint32(e.UncompressedSize64)}) != d.records[i] { //nolint:gosec // zip64 is refused
			return &Defect{"two directories", "one"}
		}
	}
	return nil
}
