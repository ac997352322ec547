package npm

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/jsonstream"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/tarfile"
)

const (
	// maxEntries, maxUnpacked and maxManifest bound what an archive may cost.
	maxEntries  = 100_000
	maxUnpacked = 2 << 30
	maxManifest = 1 << 20
	// inspectPiece is how much of a document is read at a time.
	inspectPiece = 64 << 10
)

// manifestName is the file that names a package, in the one folder at the top of its archive, whatever that is called.
const manifestName = "package.json"

// Inspect looks into the archive of a spooled document, where verify_archive asks for it: its package.json names what the
// document does. The document has been judged, so it is read once more for the archive alone.
func (p *protocol) Inspect(op model.Operation, _ http.Header, target model.Target, body io.ReaderAt, size int64) error {
	if op.Name != opPublish && op.Name != opStage {
		return model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, "one that streams")
	}
	unpacked, archive := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		archive.CloseWithError(copyArchive(archive, target, io.NewSectionReader(body, 0, size)))
	}()
	manifest, err := readArchive(unpacked)
	_ = unpacked.Close()
	<-done // the spool may be closed when this returns
	if err != nil {
		var denial *model.Denial
		if errors.As(err, &denial) {
			return denial
		}
		var defect *tarfile.Defect
		if errors.As(err, &defect) {
			return badArchive(defect.Got, defect.Want)
		}
		return badArchive("something else", "a tar in gzip, as npm pack makes it").Because(err)
	}
	return checkManifest(manifest, target)
}

// copyArchive decodes the archive of a document.
func copyArchive(to io.Writer, target model.Target, document io.Reader) error {
	scanner := newPublish(target)
	scanner.archive.sink = to
	buf := make([]byte, inspectPiece)
	for {
		n, err := document.Read(buf)
		if n > 0 {
			if _, scanErr := scanner.Scan(buf[:n]); scanErr != nil {
				return scanErr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return model.Deny(model.CodeSpoolUnavailable).Because(err)
		}
	}
}

// readArchive reads the whole archive and returns its manifest. Everything that two readers of archives could take for different
// files is refused: a second gzip member, links, records that change a name or a size, and other paths than plain ones.
func readArchive(file io.Reader) (manifest []byte, err error) {
	in := bufio.NewReader(file)
	packed, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	packed.Multistream(false)
	unpacked := &io.LimitedReader{R: packed, N: maxUnpacked + 1}
	entries := tarfile.NewReader(unpacked)
	for n := 0; ; n++ {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return nil, limited(unpacked, err)
		}
		if n == maxEntries {
			return nil, model.Deny(model.CodeTooLarge).Differ("archive", "more", fmt.Sprintf("at most %d files", maxEntries))
		}
		if err := tarfile.Check(entry); err != nil {
			return nil, err
		}
		is, err := isManifest(entry)
		if err != nil {
			return nil, err
		}
		if !is {
			continue
		}
		if manifest != nil || entry.Size > maxManifest {
			return nil, badArchive("two of "+manifestName+", or a large one", fmt.Sprintf("one of at most %d bytes", maxManifest))
		}
		manifest = make([]byte, entry.Size)
		if _, err := io.ReadFull(entries, manifest); err != nil {
			return nil, limited(unpacked, err)
		}
	}
	// What follows the end of the tar is nothing but zeros, and nothing follows the gzip member.
	if err := onlyZeros(unpacked); err != nil {
		return nil, limited(unpacked, err)
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = badArchive("bytes after its end", "one gzip")
		}
		return nil, err
	}
	if manifest == nil {
		return nil, model.Deny(model.CodeMissingField).Differ("archive", "no "+manifestName, "one in its top folder")
	}
	return manifest, nil
}

// harmless are the extended records that change neither the place nor the size of a file; a size is that of the header.
var harmless = []string{"path", "size", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment"}

// isManifest tells whether an entry is the manifest, and refuses what is no plain file or folder, and whatever some file systems take for
// the manifest: they overlook the case of letters, or characters that show nothing.
func isManifest(entry *tar.Header) (bool, error) {
	if entry.Typeflag == tar.TypeXGlobalHeader && len(entry.PAXRecords) == 1 && entry.PAXRecords["comment"] != "" {
		return false, nil // as git archive writes it
	}
	name := strings.TrimSuffix(entry.Name, "/")
	_, inside, _ := strings.Cut(name, "/")
	visible := strings.Map(func(r rune) rune {
		if r > '~' {
			return -1
		}
		return r
	}, inside)
	is := strings.EqualFold(inside, manifestName) || strings.EqualFold(visible, manifestName)
	strange := slices.ContainsFunc(slices.Collect(maps.Keys(entry.PAXRecords)), func(key string) bool { return !slices.Contains(harmless, key) })
	switch {
	case entry.Typeflag != tar.TypeReg && entry.Typeflag != tar.TypeDir, strange:
		return false, badEntry(entry, "a plain file or folder")
	case name != path.Clean(name) || strings.ContainsAny(name, "\\:\x00") || strings.HasPrefix(name, "/") || name == ".." || strings.HasPrefix(name, "../"):
		return false, badEntry(entry, "a plain relative path")
	case is && (inside != manifestName || entry.Typeflag != tar.TypeReg || len(entry.PAXRecords) > 0):
		return false, badEntry(entry, manifestName+" in plain ASCII, a plain file")
	}
	return is, nil
}

func badEntry(entry *tar.Header, want string) *model.Denial {
	return model.Deny(model.CodeMalformedUpload).Differ("entry of the archive", brief(entry.Name), want)
}

func badArchive(got, want string) *model.Denial {
	return model.Deny(model.CodeMalformedUpload).Differ("archive", got, want)
}

// limited says that the limit was reached where an error came of it.
func limited(r *io.LimitedReader, err error) error {
	if r.N <= 0 {
		return model.Deny(model.CodeTooLarge).Differ("archive", "more", fmt.Sprintf("at most %d bytes unpacked", int64(maxUnpacked)))
	}
	return err
}

func onlyZeros(r io.Reader) error {
	buf := make([]byte, inspectPiece)
	for {
		n, err := r.Read(buf)
		for _, c := range buf[:n] {
			if c != 0 {
				return badArchive("bytes after the end of its tar", "nothing")
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// manifest takes the two places of a package.json that say what it is of.
type manifest map[string]string

var manifestRules = rules{{atName, jsonstream.String, jsonstream.Keep}, {"version", jsonstream.String, jsonstream.Keep}}

// checkManifest compares a package.json with what the document publishes.
func checkManifest(text []byte, target model.Target) error {
	m := manifest{}
	scanner := jsonstream.New(m, jsonstream.Limits{})
	err := scanner.Feed(text)
	if err == nil {
		err = scanner.Close()
	}
	if err != nil {
		var denial *model.Denial
		if errors.As(err, &denial) {
			denial.Field = manifestName + ": " + denial.Field
		}
		return err
	}
	if err := same("name in "+manifestName, m[atName], target.Package); err != nil {
		return err
	}
	return same("version in "+manifestName, m["version"], target.Version)
}

// Begin looks for the two.
func (manifest) Begin(path []string, kind jsonstream.Kind) (jsonstream.Mode, error) {
	_, mode, err := manifestRules.find(path, kind)
	return mode, err
}

// Value keeps them.
func (m manifest) Value(path []string, _ jsonstream.Kind, text string) error {
	m[place(path)] = text
	return nil
}

// Piece is of no value here.
func (manifest) Piece([]string, []byte) error { return nil }

// End is of no meaning here.
func (manifest) End([]string, jsonstream.Kind) error { return nil }

var _ jsonstream.Visitor = manifest(nil)
