package cargo

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/tarfile"
	"github.com/trustpub/trustpub/internal/upload"
)

const (
	// maxEntries, maxUnpacked and maxManifest bound what a crate may cost.
	maxEntries  = 100_000
	maxUnpacked = 2 << 30
	maxManifest = 512 << 10
)

// manifestName is the file that names the crate, in its top folder.
const manifestName = "Cargo.toml"

// Inspect has nothing to add: a crate is looked into while it flows.
func (*protocol) Inspect(model.Operation, http.Header, model.Target, io.ReaderAt, int64) error {
	return nil
}

// inspect looks into the crate: everything is in the folder that bears its name and version, and so does its manifest.
func inspect(crate upload.Source, target model.Target) error {
	top := strings.TrimSuffix(target.File, extension)
	manifest, err := readCrate(crate, top)
	if err != nil {
		var denial *model.Denial
		if errors.As(err, &denial) {
			return denial
		}
		var defect *tarfile.Defect
		if errors.As(err, &defect) {
			return malformed("crate", defect.Got, defect.Want)
		}
		return malformed("crate", "something else", "a tar in gzip, as cargo package makes it").Because(err)
	}
	return checkManifest(manifest, target, top)
}

// readCrate reads the whole archive and returns the manifest. Everything that two readers of archives could take for different
// files is refused: a second gzip member, records that rename an entry, links, and names that leave the top folder.
func readCrate(file upload.Source, top string) (manifest []byte, err error) {
	packed, err := gzip.NewReader(file)
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
			return nil, model.Deny(model.CodeTooLarge).Differ("crate", "more", fmt.Sprintf("at most %d files", maxEntries))
		}
		if err := checkEntry(entry, top); err != nil {
			return nil, err
		}
		if !strings.EqualFold(entry.Name, top+"/"+manifestName) {
			continue
		}
		if manifest != nil || entry.Name != top+"/"+manifestName || entry.Size > maxManifest || entry.Typeflag != tar.TypeReg {
			return nil, malformed("manifest in the crate", entry.Name, "one "+top+"/"+manifestName+fmt.Sprintf(" of at most %d bytes", maxManifest))
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
	if _, err := file.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, malformed("crate", "bytes behind its end", "one gzip member")
	}
	return manifest, nil
}

// limited says that the limit was reached where an error came of it.
func limited(r *io.LimitedReader, err error) error {
	if r.N <= 0 {
		return model.Deny(model.CodeTooLarge).Differ("crate", "more", fmt.Sprintf("at most %d bytes unpacked", int64(maxUnpacked)))
	}
	return err
}

// checkEntry refuses what is no plain file of the crate.
func checkEntry(entry *tar.Header, top string) error {
	if err := tarfile.Check(entry); err != nil {
		return err
	}
	name := strings.TrimSuffix(entry.Name, "/")
	switch {
	case entry.Typeflag != tar.TypeReg && entry.Typeflag != tar.TypeDir:
		return malformed("entry of the crate", fmt.Sprintf("%s of type %q", entry.Name, entry.Typeflag), "plain files and folders")
	case len(entry.PAXRecords) > 0 || entry.Format == tar.FormatPAX:
		return malformed("entry of the crate", entry.Name+" with extended records", "none")
	case name != path.Clean(name) || strings.ContainsAny(name, "\\\x00"):
		return malformed("entry of the crate", entry.Name, "a plain path")
	case name != top && !strings.HasPrefix(name, top+"/"):
		return mismatch("folder in the crate", entry.Name, top+"/, as the document says")
	}
	return nil
}

func onlyZeros(r io.Reader) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		for _, c := range buf[:n] {
			if c != 0 {
				return malformed("crate", "bytes behind the end of its tar", "nothing")
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

// checkManifest compares the manifest with the document. Its keys are looked at exactly: the library would take a struct's
// fields in any case.
func checkManifest(manifest []byte, target model.Target, top string) error {
	if manifest == nil {
		return model.Deny(model.CodeMissingField).Differ("crate", "no "+manifestName, "one in "+top)
	}
	var read map[string]any
	if err := toml.Unmarshal(manifest, &read); err != nil {
		return malformed(manifestName, "something else", "TOML").Because(err)
	}
	if _, old := read["project"]; old {
		return malformed(manifestName, "a table project", "package alone")
	}
	table, _ := read["package"].(map[string]any)
	name, _ := table["name"].(string)
	version, _ := table["version"].(string)
	pkg, err := model.NormalizeName(Kind.Name, name)
	if err != nil || pkg != target.Package || version != target.Version || name+"-"+version != top {
		return mismatch("package in "+manifestName, name+" "+version, top)
	}
	return nil
}
