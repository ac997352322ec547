package rubygems

import (
	"crypto/sha256"
	"net/url"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// The fields of a yank.
const (
	fieldName     = "gem_name"
	fieldVersion  = "version"
	fieldPlatform = "platform"
)

// maxYank bounds the form of a yank, in bytes.
const maxYank = 2 << 10

// yank is the scanner of the form of a yank, which is kept whole: it names the target at its end.
type yank struct {
	registry string
	text     []byte
	target   model.Target
	named    bool
}

// Scan keeps the form; nothing leaves before it is judged.
func (y *yank) Scan(p []byte) (int64, error) {
	if len(y.text)+len(p) > maxYank {
		return 0, model.Deny(model.CodeTooLarge).Differ("form", "more", "at most 2048 bytes")
	}
	y.text = append(y.text, p...)
	return 0, nil
}

// Target is what the form names.
func (y *yank) Target() (model.Target, bool) { return y.target, y.named }

// Finish reads the form.
func (y *yank) Finish() error {
	// Some readers take ';' for '&', and '+' for itself.
	if strings.ContainsAny(string(y.text), ";+") {
		return malformed("form", "with ';' or '+'", "fields with & between")
	}
	form, err := url.ParseQuery(string(y.text))
	if err != nil {
		return malformed("form", "not readable", "gem_name=NAME&version=VERSION")
	}
	y.target, err = yanked(y.registry, form)
	y.named = err == nil
	return err
}

// Artifact is the form.
func (y *yank) Artifact() model.Artifact {
	return model.Artifact{File: y.target.File, Size: int64(len(y.text)), SHA256: sha256.Sum256(y.text)}
}

// yanked is the target that fields name.
func yanked(registry string, fields url.Values) (model.Target, error) {
	for name, values := range fields {
		switch {
		case name != fieldName && name != fieldVersion && name != fieldPlatform:
			return model.Target{}, malformed("field", brief(name), "gem_name, version and platform")
		case len(values) != 1:
			return model.Target{}, model.Deny(model.CodeDuplicateField).Differ("field", name, "once")
		}
	}
	target, denial := releaseTarget(registry, fields.Get(fieldName), fields.Get(fieldVersion), fields.Get(fieldPlatform), model.ActionYank)
	if denial != nil {
		return model.Target{}, denial
	}
	return target, nil
}

var _ upload.Scanner = (*yank)(nil)
