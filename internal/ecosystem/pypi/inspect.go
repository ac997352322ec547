package pypi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/tarfile"
	"github.com/trustpub/trustpub/internal/zipfile"
)

// The limits of looking into an archive.
const (
	// maxEntries bounds the files of an archive.
	maxEntries = 100_000
	// maxMetadata bounds METADATA and PKG-INFO, in bytes: they hold a README.
	maxMetadata = 8 << 20
	// maxUnpacked bounds what a source distribution unpacks to, and maxRatio how much larger than the archive that is; a small
	// archive may unpack to smallUnpacked anyway.
	maxUnpacked   = 8 << 30
	maxRatio      = 200
	smallUnpacked = 64 << 20
)

// archiveError is a defect of an archive that its reader would not name itself.
type archiveError struct{ got, want string }

func (e *archiveError) Error() string {
	return fmt.Sprintf("archive has %s, expected %s", e.got, e.want)
}

// Inspect compares the name and version inside the archive with those of the upload.
func (p *protocol) Inspect(op model.Operation, header http.Header, target model.Target, body io.ReaderAt, size int64) error {
	file, err := p.locate(op, header, target, body, size)
	if err != nil {
		return err
	}
	parsed, err := model.ParsePyPIFile(target.File)
	if err != nil {
		return model.Deny(model.CodePackageMismatch).Differ("file name", target.File, "one of a wheel or source distribution").Because(err)
	}
	var metadata []byte
	switch {
	case parsed.Type == model.PyPIWheel:
		metadata, err = wheelMetadata(file, target.File)
	case strings.HasSuffix(target.File, ".zip"):
		metadata, err = zipMetadata(file, strings.TrimSuffix(target.File, ".zip")+"/PKG-INFO")
	default:
		metadata, err = tarMetadata(file, strings.TrimSuffix(target.File, ".tar.gz")+"/PKG-INFO")
	}
	if err != nil {
		return unreadable(target.File, err)
	}
	return compareMetadata(metadata, target)
}

// unreadable says what is wrong with an archive.
func unreadable(file string, err error) *model.Denial {
	var defect *archiveError
	var odd *tarfile.Defect
	var zipped *zipfile.Defect
	switch {
	case errors.As(err, &defect):
		return model.Deny(model.CodePackageMismatch).Differ("archive "+file, defect.got, defect.want).Because(err)
	case errors.As(err, &zipped):
		return model.Deny(model.CodePackageMismatch).Differ("archive "+file, zipped.Got, zipped.Want).Because(err)
	case errors.As(err, &odd):
		return malformed("archive "+file, odd.Got, odd.Want)
	}
	return malformed("archive "+file, "unreadable", "an archive of the kind that its name says").Because(err)
}

// locate finds the file in a spooled body, by the parser that judged it. Hashes are not computed a second time.
func (p *protocol) locate(op model.Operation, header http.Header, target model.Target, body io.ReaderAt, size int64) (*io.SectionReader, error) {
	opened, err := p.Open(op, header)
	if err != nil {
		return nil, err
	}
	s, ok := opened.(*scanner)
	if !ok {
		return nil, model.Deny(model.CodeInternal)
	}
	s.form.hashing = false
	piece := make([]byte, 64<<10)
	for at := int64(0); at < size; {
		n, err := body.ReadAt(piece[:min(int64(len(piece)), size-at)], at)
		if n == 0 && err != nil {
			return nil, model.Deny(model.CodeSpoolUnavailable).Because(err)
		}
		if err := s.split.Feed(piece[:n]); err != nil {
			return nil, err
		}
		at += int64(n)
	}
	if !s.split.Closed() || !s.form.fileDone || s.form.target != target {
		return nil, model.Deny(model.CodeInternal).Because(errors.New("the spooled body is not the one that was judged"))
	}
	return io.NewSectionReader(body, s.form.fileStart, s.form.fileSize), nil
}

// compareMetadata holds Name and Version of a METADATA or PKG-INFO against the target.
func compareMetadata(metadata []byte, target model.Target) error {
	fields, err := coreMetadata(string(metadata))
	if err != nil {
		return unreadable(target.File, err)
	}
	if got := packageOf(fields["name"]); got != target.Package {
		return model.Deny(model.CodePackageMismatch).Differ("Name in the archive", brief(fields["name"]), target.Package)
	}
	if got := versionOf(fields["version"]); got != target.Version {
		return model.Deny(model.CodePackageMismatch).Differ("Version in the archive", brief(fields["version"]), target.Version)
	}
	return nil
}

// coreMetadata reads Name and Version, each of which must be there once and on one line. Characters that some readers take for
// line breaks and others do not are refused before the first empty line.
func coreMetadata(text string) (map[string]string, error) {
	fields := map[string]string{}
	last := ""
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			break
		}
		if strings.ContainsFunc(line, breaksLine) {
			return nil, &archiveError{"a control character in the metadata", "plain header lines"}
		}
		if line[0] == ' ' || line[0] == '\t' {
			if last == "name" || last == "version" {
				return nil, &archiveError{"a folded " + last + " in the metadata", "one line"}
			}
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, &archiveError{"a metadata line without a colon", "Key: value"}
		}
		last = strings.ToLower(strings.TrimSpace(key))
		if last != "name" && last != "version" {
			continue
		}
		if _, twice := fields[last]; twice {
			return nil, &archiveError{"two of " + last + " in the metadata", "one"}
		}
		fields[last] = strings.TrimSpace(value)
	}
	for _, key := range []string{"name", "version"} {
		if fields[key] == "" {
			return nil, &archiveError{"no " + key + " in the metadata", "one"}
		}
	}
	return fields, nil
}

func breaksLine(r rune) bool {
	return r != '\t' && unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}
