package script

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Entry is one file of an archive.
type Entry struct {
	Name string
	Data string
}

// Stamp is the time of all that is built: the same release gives the same bytes.
var Stamp = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// Tar packs files.
func Tar(entries ...Entry) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		header := &tar.Header{Name: e.Name, Mode: 0o644, Size: int64(len(e.Data)), ModTime: Stamp, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("entry %s: %w", e.Name, err)
		}
		if _, err := w.Write([]byte(e.Data)); err != nil {
			return nil, fmt.Errorf("entry %s: %w", e.Name, err)
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// Untar is a file of a whole tar, the last of that name.
func Untar(packed []byte, name string) (data []byte, err error) {
	entries := tar.NewReader(bytes.NewReader(packed))
	for {
		e, err := entries.Next()
		switch {
		case errors.Is(err, io.EOF) && data == nil:
			return nil, fmt.Errorf("it has no %s", name)
		case errors.Is(err, io.EOF):
			return data, nil
		case err != nil:
			return nil, errors.New("it is no whole tar")
		case e.Name != name:
			continue
		}
		if data, err = io.ReadAll(entries); err != nil {
			return nil, errors.New("it is no whole tar")
		}
	}
}

// Gzip compresses.
func Gzip(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

// TarGz packs files and compresses.
func TarGz(entries ...Entry) ([]byte, error) {
	packed, err := Tar(entries...)
	if err != nil {
		return nil, err
	}
	return Gzip(packed)
}

// SHA256 is the digest in hex.
func SHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Edit is the package with one byte changed.
func (p Package) Edit() Package {
	p.Data = bytes.Clone(p.Data)
	p.Data[len(p.Data)/2] ^= 1
	return p
}

// WriteFiles writes files below a folder.
func WriteFiles(dir string, entries ...Entry) error {
	for _, e := range entries {
		path := filepath.Join(dir, filepath.FromSlash(e.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(e.Data), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// WritePackages builds releases and writes their archives into a folder.
func WritePackages(dir string, build func(name, version string) (Package, error), releases ...Release) error {
	for _, r := range releases {
		p, err := build(r.Name, r.Version)
		if err != nil {
			return err
		}
		if err := WriteFiles(dir, Entry{p.File, string(p.Data)}); err != nil {
			return err
		}
	}
	return nil
}
