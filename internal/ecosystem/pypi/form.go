package pypi

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/multipart"
)

const (
	// maxFields bounds the number of parts; a large package has a few hundred classifiers and requirements.
	maxFields = 4096
	// maxKept bounds a field whose value is judged, in bytes.
	maxKept = 256
	// maxField bounds any other field; maxDescription the few that hold whole documents.
	maxField       = 256 << 10
	maxDescription = 4 << 20
	// maxFieldBytes bounds all fields together, so that what waits for the verdict fits in memory.
	maxFieldBytes = 6 << 20
	// heldFile is how much of the file's end stays behind with the closing boundary: the end record of a zip and the trailer of
	// a gzip lie in it, so that a registry that is content with a cut body has no archive.
	heldFile = 64
)

// The fields that are judged.
const (
	fieldAction       = ":action"
	fieldName         = "name"
	fieldVersion      = "version"
	fieldFileType     = "filetype"
	fieldPyVersion    = "pyversion"
	fieldProtocol     = "protocol_version"
	fieldContent      = "content"
	fieldSignature    = "gpg_signature"
	fieldAttestations = "attestations"
	fieldDescription  = "description"
	fieldLicense      = "license"
)

// signatureEnd is what the name of a detached signature adds to its file's.
const signatureEnd = ".asc"

// actionUpload is the only :action that is served.
const actionUpload = "file_upload"

// kept are the fields whose values are read; a registry that believed another of two would not store what was judged.
var kept = []string{
	fieldAction, fieldName, fieldVersion, fieldFileType, fieldPyVersion, fieldProtocol, fieldSHA256, fieldBLAKE2, fieldMD5,
}

// repeatable are the lists of the core metadata, by the names under which clients send them. Every other field, known or
// not, may come once.
var repeatable = []string{
	"classifiers", "dynamic", "import_name", "import_namespace", "license_file", "license_files", "obsoletes", "obsoletes_dist",
	"platform", "platforms", "project_urls", "provides", "provides_dist", "provides_extra", "provides_extras", "requires", "requires_dist",
	"requires_external", "supported_platform", "supported_platforms",
}

// form judges the parts of an upload.
type form struct {
	registry string

	now    part
	size   int64 // bytes of the current part
	fields int
	total  int64
	value  []byte // of the current field, where it is kept
	keep   bool
	seen   map[string]bool
	values map[string]string

	target    model.Target
	named     bool
	digests   *digests // nil before the file
	hashing   bool     // false only where a benchmark measures the rest
	inFile    bool
	fileDone  bool
	fileStart int64 // its offset in the body
	fileSize  int64
	signature string // the file name of a detached signature
}

func newForm(registry string) *form {
	return &form{registry: registry, hashing: true, seen: map[string]bool{}, values: map[string]string{}, value: make([]byte, 0, maxKept)}
}

// Begin takes the header of a part.
func (f *form) Begin(header []byte, at int64) error {
	p, err := parsePart(header)
	if err != nil {
		return err
	}
	if f.fields++; f.fields > maxFields {
		return model.Deny(model.CodeTooLarge).Differ("number of fields", "more", fmt.Sprintf("at most %d", maxFields))
	}
	if err := f.count(int64(len(header))); err != nil {
		return err
	}
	if f.seen[p.name] && !slices.Contains(repeatable, p.name) {
		return model.Deny(model.CodeDuplicateField).Differ("field", p.name, "once")
	}
	f.seen[p.name] = true
	if f.fileDone && p.name != fieldAttestations && p.name != fieldSignature {
		return model.Deny(model.CodeFieldOrder).Differ("field after the file", p.name, "only attestations")
	}
	f.now, f.size, f.value = p, 0, f.value[:0]
	f.keep = slices.Contains(kept, p.name)
	switch {
	case p.name == fieldContent:
		return f.beginFile(at)
	case p.isFile && p.name == fieldSignature:
		return f.beginSignature()
	case p.isFile:
		return malformed(p.name, "a file", "a plain field")
	}
	return nil
}

// beginSignature takes a detached signature. Some registries store it under the name that it brings.
func (f *form) beginSignature() error {
	if !strings.HasSuffix(f.now.file, signatureEnd) {
		return model.Deny(model.CodePackageMismatch).Differ("file name of gpg_signature", f.now.file, "that of the file and .asc")
	}
	f.signature = f.now.file
	return f.checkSignature()
}

func (f *form) checkSignature() error {
	if want := f.target.File + signatureEnd; f.named && f.signature != "" && f.signature != want {
		return model.Deny(model.CodePackageMismatch).Differ("file name of gpg_signature", f.signature, want)
	}
	return nil
}

// Data takes a piece of the current part.
func (f *form) Data(p []byte) error {
	f.size += int64(len(p))
	if f.inFile {
		if f.hashing {
			_, _ = f.digests.computed.Write(p)
		}
		return nil
	}
	limit := int64(maxField)
	switch {
	case f.keep:
		limit = maxKept
	case f.now.name == fieldDescription || f.now.name == fieldLicense || f.now.name == fieldAttestations:
		limit = maxDescription
	}
	if f.size > limit {
		return model.Deny(model.CodeTooLarge).Differ(f.now.name, "more", fmt.Sprintf("at most %d bytes", limit))
	}
	if f.keep {
		f.value = append(f.value, p...)
	}
	return f.count(int64(len(p)))
}

func (f *form) count(n int64) error {
	if f.total += n; f.total > maxFieldBytes {
		return model.Deny(model.CodeTooLarge).Differ("all fields together", "more", fmt.Sprintf("at most %d bytes", maxFieldBytes))
	}
	return nil
}

// End closes the current part.
func (f *form) End() error {
	if f.inFile {
		f.inFile, f.fileDone, f.fileSize = false, true, f.size
		if f.size == 0 {
			return malformed(fieldContent, "an empty file", "a wheel or source distribution")
		}
		return nil
	}
	if !f.keep {
		return nil
	}
	value := string(f.value)
	f.values[f.now.name] = value
	switch {
	case f.now.name == fieldAction && value != actionUpload:
		return model.Deny(model.CodeUnsupportedOperation).Differ(fieldAction, brief(value), actionUpload)
	case f.now.name == fieldProtocol && value != "1" && value != "":
		return model.Deny(model.CodeUnsupportedOperation).Differ(fieldProtocol, brief(value), "1")
	}
	return nil
}

// beginFile names the target from the fields before the file and from the file's name.
func (f *form) beginFile(at int64) error {
	if !f.now.isFile {
		return malformed(fieldContent, "a plain field", "a file with a file name")
	}
	for _, field := range []string{fieldAction, fieldName, fieldVersion} {
		if f.values[field] == "" {
			return model.Deny(model.CodeFieldOrder).Differ(field+" before the file", "", "the field")
		}
	}
	name, err := model.NormalizeName(Kind.Name, f.values[fieldName])
	if err != nil {
		return malformed(fieldName, brief(f.values[fieldName]), "a package name of PEP 508")
	}
	version, err := model.NormalizeVersion(Kind.Name, f.values[fieldVersion])
	if err != nil {
		return malformed(fieldVersion, brief(f.values[fieldVersion]), "a version of PEP 440")
	}
	if err := f.checkFile(name, version); err != nil {
		return err
	}
	f.target = model.Target{
		Ecosystem: Kind.Name, Registry: f.registry, Package: name, Version: version, File: f.now.file, Action: model.ActionPublish,
	}
	f.named, f.inFile, f.fileStart = true, true, at
	if err := f.checkSignature(); err != nil {
		return err
	}
	f.digests, err = newDigests(func(field string) string { return f.values[field] })
	return err
}

// checkFile compares the file's name with the fields.
func (f *form) checkFile(name, version string) error {
	mismatch := func(field, got, want string) error {
		return model.Deny(model.CodePackageMismatch).Differ(field, brief(got), brief(want))
	}
	file, err := model.ParsePyPIFile(f.now.file)
	switch {
	case err != nil:
		return model.Deny(model.CodePackageMismatch).Differ("file name", f.now.file, "one of a wheel or source distribution").Because(err)
	case file.Package != name:
		return mismatch("package of the file name", file.Package, name)
	case file.Version != version:
		return mismatch("version of the file name", file.Version, version)
	}
	if got := f.values[fieldFileType]; got != "" && got != file.Type {
		return mismatch(fieldFileType, got, file.Type)
	}
	got := f.values[fieldPyVersion]
	switch {
	case got == "":
	case file.Type == model.PyPISdist && got != "source":
		return mismatch(fieldPyVersion, got, "source")
	case file.Type == model.PyPIWheel && !sameTags(got, file.Python):
		return mismatch(fieldPyVersion, got, file.Python)
	}
	return nil
}

// sameTags compares compressed tag sets, whose order differs between clients.
func sameTags(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	slices.Sort(as)
	slices.Sort(bs)
	return slices.Equal(slices.Compact(as), slices.Compact(bs))
}

var _ multipart.Handler = (*form)(nil)
