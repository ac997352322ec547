package hex

import (
	"bytes"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// gzipStart is what a gzip begins with. It begins no JSON and no form, whatever type a client declares.
var gzipStart = []byte{0x1f, 0x8b}

// docs is the scanner of documentation: a file that its URL names, which nobody looks into.
type docs struct {
	*upload.File
	start []byte
}

func newDocs(target model.Target) *docs { return &docs{File: upload.NewFile(target, "", "", 0)} }

// Scan takes the next piece.
func (d *docs) Scan(p []byte) (int64, error) {
	if missing := len(gzipStart) - len(d.start); missing > 0 {
		d.start = append(d.start, p[:min(missing, len(p))]...)
		if !bytes.HasPrefix(gzipStart, d.start) {
			return 0, malformed("documentation", "something else", "a gzip")
		}
	}
	return d.File.Scan(p)
}

// Finish checks that there is something.
func (d *docs) Finish() error {
	if !bytes.Equal(d.start, gzipStart) {
		return model.Deny(model.CodeTruncated).Differ("documentation", "cut off", "a gzip")
	}
	return d.File.Finish()
}

var _ upload.Scanner = (*docs)(nil)
