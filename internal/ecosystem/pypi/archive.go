package pypi

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/trustpub/trustpub/internal/tarfile"
	"github.com/trustpub/trustpub/internal/zipfile"
)

// wheelMetadata reads METADATA of the one .dist-info folder that bears the wheel's own name and version.
func wheelMetadata(file *io.SectionReader, name string) ([]byte, error) {
	parts := strings.SplitN(name, "-", 3)
	return zipMetadata(file, parts[0]+"-"+parts[1]+".dist-info/METADATA")
}

// zipMetadata reads one entry of a zip, which must be there once.
func zipMetadata(file *io.SectionReader, want string) ([]byte, error) {
	zr, err := zipfile.Read(file, file.Size())
	if err != nil {
		return nil, err
	}
	var found *zip.File
	for _, e := range zr.File {
		is, err := matches(e.Name, want)
		if err != nil {
			return nil, err
		}
		if is && found != nil {
			return nil, &archiveError{"two of " + want, "one"}
		}
		if is {
			found = e
		}
	}
	if found == nil {
		return nil, &archiveError{"no " + want, "one"}
	}
	r, err := found.Open()
	if err != nil {
		return nil, fmt.Errorf("zip entry: %w", err)
	}
	defer func() { _ = r.Close() }()
	return readMetadata(r)
}

// matches is true for the wanted entry. An entry that some installer may take for it, with the same last element in another
// folder at the top that ends alike, is an error.
func matches(name, want string) (bool, error) {
	clean := strings.ToLower(path.Clean(strings.ReplaceAll(name, `\`, "/")))
	dir, base := path.Split(clean)
	wantDir, wantBase := path.Split(want)
	const info = ".dist-info/"
	switch {
	case base != strings.ToLower(wantBase) || strings.Count(dir, "/") != 1:
		return false, nil
	case strings.HasSuffix(wantDir, info) && !strings.HasSuffix(dir, info):
		return false, nil
	case name == want || sameEntry(name, want):
		return true, nil
	}
	return false, &archiveError{brief(name), want}
}

// sameEntry compares the folder's package and version in canonical form: builders escape them in different ways.
func sameEntry(name, want string) bool {
	canonical := func(s string) string {
		dir, base := path.Split(s)
		stem := strings.TrimSuffix(strings.TrimSuffix(dir, "/"), ".dist-info")
		cut := strings.LastIndexByte(stem, '-')
		if cut < 0 {
			return ""
		}
		pkg, version := packageOf(stem[:cut]), versionOf(stem[cut+1:])
		if pkg == "" || version == "" {
			return ""
		}
		return pkg + "/" + version + "/" + base
	}
	got := canonical(name)
	return got != "" && got == canonical(want)
}

func readMetadata(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxMetadata+1))
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	if len(data) > maxMetadata {
		return nil, &archiveError{"larger metadata", fmt.Sprintf("at most %d bytes", maxMetadata)}
	}
	return data, nil
}

// tarMetadata reads one entry of a compressed tar, which must be there once, as unpacking keeps the last. The whole archive is
// read, within limits.
func tarMetadata(file *io.SectionReader, want string) ([]byte, error) {
	in := bufio.NewReader(file)
	gz, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	gz.Multistream(false) // some readers go on with a second member, and others don't
	bounded := &boundedReader{r: gz, left: min(maxUnpacked, max(smallUnpacked, file.Size()*maxRatio))}
	tr := tarfile.NewReader(bounded)
	var metadata []byte
	for entries := 0; ; entries++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return nil, fmt.Errorf("tar: %w", err)
		}
		if err := tarfile.Check(h); err != nil {
			return nil, err
		}
		if entries >= maxEntries {
			return nil, &archiveError{"more entries", fmt.Sprintf("at most %d", maxEntries)}
		}
		is, err := matches(h.Name, want)
		if err != nil {
			return nil, err
		}
		if !is {
			continue
		}
		if metadata != nil || h.Typeflag != tar.TypeReg {
			return nil, &archiveError{"two of " + want + ", or a link", "one file"}
		}
		if metadata, err = readMetadata(tr); err != nil {
			return nil, err
		}
	}
	if metadata == nil {
		return nil, &archiveError{"no " + want, "one"}
	}
	if _, err := io.Copy(io.Discard, bounded); err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, &archiveError{"bytes behind its end", "one gzip member"}
	}
	return metadata, nil
}

// boundedReader ends an archive that unpacks to too much.
type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, &archiveError{"more unpacked data", "at most 200 times its size"}
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
