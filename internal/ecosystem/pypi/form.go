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

// form judges the parts of an upload.
type form struct {
	registry string

	now    part
	size   int64 // bytes of the current part
	fields int
	total  int64
	value  []byte // of the current field, where it is kept
	room   [maxKept]byte
	seen   uint64          // of usualFields
	rare   map[string]bool // of the others
	values [len(kept)]string

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

func newForm(registry string) *form { return &form{registry: registry, hashing: true} }

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
	name := p.field.name
	if f.again(p.field) && !p.field.repeatable {
		return model.Deny(model.CodeDuplicateField).Differ("field", name, "once")
	}
	if f.fileDone && name != fieldAttestations && name != fieldSignature {
		return model.Deny(model.CodeFieldOrder).Differ("field after the file", name, "only attestations")
	}
	f.now, f.size, f.value = p, 0, f.room[:0]
	switch {
	case name == fieldContent:
		return f.beginFile(at)
	case p.isFile && name == fieldSignature:
		return f.beginSignature()
	case p.isFile:
		return malformed(name, "a file", "a plain field")
	}
	return nil
}

// again notes a field, and is true for one that was noted before.
func (f *form) again(field *formField) bool {
	if field.bit != 0 {
		seen := f.seen&field.bit != 0
		f.seen |= field.bit
		return seen
	}
	if f.rare[field.name] {
		return true
	}
	if f.rare == nil {
		f.rare = map[string]bool{}
	}
	f.rare[field.name] = true
	return false
}

// valueOf is the value of a field that is kept.
func (f *form) valueOf(name string) string { return f.values[usualFields[name].value] }

// beginSignature takes a detached signature. Some registries store it under the name that it brings.
func (f *form) beginSignature() error {
	if !strings.HasSuffix(f.now.file, signatureEnd) {
		return model.Deny(model.CodePackageMismatch).Differ("file name of gpg_signature", f.now.file, "that of the file and .asc")
	}
	f.signature = f.now.file
	return f.checkSignature()
}

func (f *form) checkSignature() error {
	if !f.named || f.signature == "" {
		return nil
	}
	if want := f.target.File + signatureEnd; f.signature != want {
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
	if limit := f.now.field.limit; f.size > limit {
		return model.Deny(model.CodeTooLarge).Differ(f.now.field.name, "more", fmt.Sprintf("at most %d bytes", limit))
	}
	if f.now.field.value >= 0 {
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
	field := f.now.field
	if field.value < 0 {
		return nil
	}
	value, ok := usualValues[string(f.value)]
	if !ok {
		value = string(f.value)
	}
	f.values[field.value] = value
	switch {
	case field.name == fieldAction && value != actionUpload:
		return model.Deny(model.CodeUnsupportedOperation).Differ(fieldAction, brief(value), actionUpload)
	case field.name == fieldProtocol && value != "1" && value != "":
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
		if f.valueOf(field) == "" {
			return model.Deny(model.CodeFieldOrder).Differ(field+" before the file", "", "the field")
		}
	}
	name, err := model.NormalizeName(Kind.Name, f.valueOf(fieldName))
	if err != nil {
		return malformed(fieldName, brief(f.valueOf(fieldName)), "a package name of PEP 508")
	}
	version, err := model.NormalizeVersion(Kind.Name, f.valueOf(fieldVersion))
	if err != nil {
		return malformed(fieldVersion, brief(f.valueOf(fieldVersion)), "a version of PEP 440")
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
	f.digests, err = newDigests(f)
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
	if got := f.valueOf(fieldFileType); got != "" && got != file.Type {
		return mismatch(fieldFileType, got, file.Type)
	}
	got := f.valueOf(fieldPyVersion)
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
