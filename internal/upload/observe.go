package upload

import (
	"io"
	"sync"

	"github.com/trustpub/trustpub/internal/model"
)

// Observer lets every byte pass at once and only notes what a scanner thinks of them: for observe mode, where a foreign
// credential is never refused.
type Observer struct {
	io.ReadCloser
	scanner Scanner

	mu    sync.Mutex
	err   error
	ended bool
	// copied is the body on disk, where only a look into the whole of it names the target.
	copied *Spooled
	limit  int64
}

// NewObserver makes an observer of src; a nil scanner notes nothing. A body that only a look into the whole of it names is copied
// to a nameless file on the disk, up to limit bytes; where the disk's quota has no room, nothing of it is known.
func NewObserver(src io.ReadCloser, scanner Scanner, disk Disk, limit int64) *Observer {
	o := &Observer{ReadCloser: src, scanner: scanner, limit: limit}
	if _, ok := scanner.(Archive); ok {
		o.copied = &Spooled{disk: disk}
		o.err = o.copied.begin()
	}
	return o
}

// Read passes bytes on and feeds the scanner until its first error.
func (o *Observer) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.scanner == nil || o.err != nil || o.ended {
		return n, err
	}
	if n > 0 {
		_, o.err = o.scanner.Scan(p[:n])
		if o.err == nil && o.copied != nil {
			o.err = o.copied.add(p[:n], o.limit)
		}
	}
	if err == io.EOF { // io.Reader promises the bare value
		o.ended = true
		if o.err == nil {
			o.err = o.finish()
		}
	}
	return n, err
}

// finish looks at the whole body.
func (o *Observer) finish() error {
	if err := o.scanner.Finish(); err != nil {
		return err
	}
	if archive, ok := o.scanner.(Archive); ok {
		return archive.Open(o.copied, o.copied.size)
	}
	return nil
}

// Release ends the scanner, and gives the disk space of a copy back.
func (o *Observer) Release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.scanner != nil {
		release(o.scanner)
	}
	if o.copied != nil {
		_ = o.copied.Close()
	}
}

// Seen returns the target and the artifact as far as they are known, and the first thing that a judged upload would have
// been refused for.
func (o *Observer) Seen() (model.Target, model.Artifact, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.scanner == nil {
		return model.Target{}, model.Artifact{}, nil
	}
	target, named := o.scanner.Target()
	switch {
	case o.err != nil:
		return target, model.Artifact{}, o.err
	case !named || !o.ended:
		return target, model.Artifact{}, model.Deny(model.CodeTruncated)
	}
	return target, o.scanner.Artifact(), nil
}
