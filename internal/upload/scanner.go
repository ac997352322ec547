// Package upload owns upload bodies: what is read before the target is named, the held-back tail, the spool, digests and
// limits. It knows no ecosystem; an ecosystem supplies a Scanner, which understands the bytes but never holds or sends them.
package upload

import (
	"fmt"
	"io"
	"runtime/debug"

	"github.com/trustpub/trustpub/internal/model"
)

// Scanner judges a body while it flows. It is fed every byte once, in order, in pieces of any size, and must use constant
// memory apart from capped fields. It is used by one goroutine at a time. Errors are *model.Denial. A scanner that is an io.Closer is
// closed when its body is done with, however that came.
type Scanner interface {
	// Scan takes the next piece and returns the absolute offset up to which bytes may leave to the registry. The offset never
	// falls, and always stays behind the structural end: the closing boundary, the final brace, the last byte of the last
	// payload, and all that follows. After an error the scanner is not used again.
	Scan(p []byte) (release int64, err error)
	// Target is true once the body has named what it publishes; policies run then, before a byte has left.
	Target() (model.Target, bool)
	// Finish is called at the end of the body. Nil means that all agreed and the tail may leave.
	Finish() error
	// Artifact describes the published file; it is valid after Finish returned nil.
	Artifact() model.Artifact
}

// guarded makes an error of a panic: outside the handler's goroutine nobody would catch it, and one body would end the gateway.
func guarded(judge func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = model.Deny(model.CodeInternal).Because(fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	return judge()
}

// release closes a scanner that wants it.
func release(s Scanner) {
	if c, ok := s.(io.Closer); ok {
		_ = c.Close()
	}
}

// Archive is a Scanner of a body that only a look into the whole of it names, as a zip has its directory at its end. Such a body is
// always spooled.
type Archive interface {
	Scanner
	// Open looks into the whole body, after Finish returned nil; the target is named after it.
	Open(body io.ReaderAt, size int64) error
}

// Mender is an Archive whose body may need another end than it came with, so that all readers see the same in it.
type Mender interface {
	Archive
	// Mend says, after Open returned nil, how much of the body's beginning is forwarded, and what follows it instead of the rest; ok is
	// false where the body is forwarded as it is.
	Mend() (kept int64, end []byte, ok bool)
}
