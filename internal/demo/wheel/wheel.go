// Package wheel builds small but real Python packages in memory: wheels and source distributions that pip installs, and the
// form in which clients upload them. The demo, the tests and the benchmarks publish them.
package wheel

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// Release is a version of a package to build. The same Release gives the same bytes.
type Release struct {
	// Name and Version are as the author spells them.
	Name, Version string
	// Summary is one line; empty: a standard one.
	Summary string
	// Filler is how many bytes of data that does not compress go into the package, for uploads of a given size.
	Filler int
	// MetadataName and MetadataVersion replace name and version inside the archive, for archives that contradict their file name.
	MetadataName, MetadataVersion string
}

// File is one built distribution.
type File struct {
	// Name is the file name, Type "bdist_wheel" or "sdist", Python the value of the upload's pyversion field.
	Name, Type, Python string
	// Package and Version are as the author spells them.
	Package, Version string
	Data             []byte
}

// SHA256 is the file's digest in hex.
func (f File) SHA256() string {
	sum := sha256.Sum256(f.Data)
	return hex.EncodeToString(sum[:])
}

// stamp is the time of every entry: builds are reproducible.
var stamp = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// entry is one file of an archive.
type entry struct {
	path string
	data []byte
}

// Wheel builds NAME-VERSION-py3-none-any.whl with a module, METADATA, WHEEL and RECORD.
func (r Release) Wheel() (File, error) {
	stem, module, err := r.stem()
	if err != nil {
		return File{}, err
	}
	info := stem + ".dist-info/"
	entries := append(r.module(module+"/"),
		entry{info + "METADATA", r.metadata()},
		entry{info + "WHEEL", []byte("Wheel-Version: 1.0\nGenerator: trustpub\nRoot-Is-Purelib: true\nTag: py3-none-any\n")},
	)
	entries = append(entries, entry{info + "RECORD", record(entries, info+"RECORD")})
	var buf bytes.Buffer
	zw := zip.NewWriter(&buf)
	for _, e := range entries {
		w, err := zw.CreateHeader(&zip.FileHeader{Name: e.path, Method: zip.Deflate, Modified: stamp})
		if err != nil {
			return File{}, fmt.Errorf("wheel entry %s: %w", e.path, err)
		}
		if _, err := w.Write(e.data); err != nil {
			return File{}, fmt.Errorf("wheel entry %s: %w", e.path, err)
		}
	}
	if err := zw.Close(); err != nil {
		return File{}, fmt.Errorf("wheel directory: %w", err)
	}
	return File{
		Name: stem + "-py3-none-any.whl", Type: model.PyPIWheel, Python: "py3", Package: r.Name, Version: r.Version, Data: buf.Bytes(),
	}, nil
}

// Sdist builds NAME-VERSION.tar.gz with a module, pyproject.toml and PKG-INFO.
func (r Release) Sdist() (File, error) {
	stem, module, err := r.stem()
	if err != nil {
		return File{}, err
	}
	project := fmt.Sprintf("[build-system]\nrequires = [\"flit_core>=3.9\"]\nbuild-backend = \"flit_core.buildapi\"\n\n"+
		"[project]\nname = %q\nversion = %q\ndescription = %q\n", r.Name, r.Version, r.summary())
	entries := append([]entry{{stem + "/PKG-INFO", r.metadata()}, {stem + "/pyproject.toml", []byte(project)}}, r.module(stem+"/"+module+"/")...)
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	tw := tar.NewWriter(gz)
	for _, e := range entries {
		header := &tar.Header{Name: e.path, Mode: 0o644, Size: int64(len(e.data)), ModTime: stamp, Typeflag: tar.TypeReg}
		if err := tw.WriteHeader(header); err != nil {
			return File{}, fmt.Errorf("sdist entry %s: %w", e.path, err)
		}
		if _, err := tw.Write(e.data); err != nil {
			return File{}, fmt.Errorf("sdist entry %s: %w", e.path, err)
		}
	}
	for _, c := range []io.Closer{tw, gz} {
		if err := c.Close(); err != nil {
			return File{}, fmt.Errorf("sdist end: %w", err)
		}
	}
	return File{
		Name: stem + ".tar.gz", Type: model.PyPISdist, Python: "source", Package: r.Name, Version: r.Version, Data: buf.Bytes(),
	}, nil
}

// stem is the first part of both file names (PEP 427, PEP 625); module the package's import name.
func (r Release) stem() (stem, module string, err error) {
	name, err := model.NormalizeName("pypi", r.Name)
	if err != nil {
		return "", "", err
	}
	if _, err := model.NormalizeVersion("pypi", r.Version); err != nil {
		return "", "", err
	}
	module = strings.ReplaceAll(name, "-", "_")
	return module + "-" + strings.ReplaceAll(r.Version, "-", "_"), module, nil
}

func (r Release) summary() string {
	if r.Summary != "" {
		return r.Summary
	}
	return "A small package that trustpub has built"
}

// metadata is METADATA of a wheel and PKG-INFO of a source distribution.
func (r Release) metadata() []byte {
	name, version := r.Name, r.Version
	if r.MetadataName != "" {
		name = r.MetadataName
	}
	if r.MetadataVersion != "" {
		version = r.MetadataVersion
	}
	return fmt.Appendf(nil, "Metadata-Version: 2.1\nName: %s\nVersion: %s\nSummary: %s\nRequires-Python: >=3.8\n"+
		"Description-Content-Type: text/plain\n\nBuilt for a demonstration.\n", name, version, r.summary())
}

// module is the package's code, and its filler.
func (r Release) module(dir string) []entry {
	code := fmt.Sprintf("\"\"\"%s.\"\"\"\n\n__version__ = %q\n", r.summary(), r.Version)
	entries := []entry{{dir + "__init__.py", []byte(code)}}
	if r.Filler > 0 {
		filler := make([]byte, r.Filler)
		_, _ = rand.NewChaCha8([32]byte{1}).Read(filler) // a ChaCha8 never fails
		entries = append(entries, entry{dir + "filler.bin", filler})
	}
	return entries
}

// record lists the files of a wheel with their digests, and itself without one.
func record(entries []entry, self string) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		sum := sha256.Sum256(e.data)
		fmt.Fprintf(&b, "%s,sha256=%s,%d\n", e.path, base64.RawURLEncoding.EncodeToString(sum[:]), len(e.data))
	}
	fmt.Fprintf(&b, "%s,,\n", self)
	return b.Bytes()
}
