package upload

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/trustpub/trustpub/internal/model"
)

// Spooled is a whole body on disk, judged before its first byte leaves.
type Spooled struct {
	file *os.File
	size int64
}

// Spool writes src to a nameless file in dir while the scanner reads it, and finishes the scanner. limit bounds the body in
// bytes. The target is the scanner's; named is asked about it as soon as it is known, so that a body that will be refused does
// not fill the disk first.
func Spool(src io.Reader, scanner Scanner, dir string, limit int64, named func(model.Target) error) (*Spooled, model.Target, error) {
	s, err := newSpooled(dir)
	if err != nil {
		return nil, model.Target{}, err
	}
	target, err := s.take(src, scanner, limit, named)
	if err != nil {
		_ = s.Close()
		return nil, target, err
	}
	return s, target, nil
}

func newSpooled(dir string) (*Spooled, error) {
	f, err := os.CreateTemp(dir, "trustpub-spool-*")
	if err != nil {
		return nil, model.Deny(model.CodeSpoolUnavailable).Because(err)
	}
	// The name goes at once, so that not even a killed process leaves the body behind.
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, model.Deny(model.CodeSpoolUnavailable).Because(err)
	}
	return &Spooled{file: f}, nil
}

// add writes a piece of the body.
func (s *Spooled) add(piece []byte, limit int64) error {
	if s.size += int64(len(piece)); s.size > limit {
		return model.Deny(model.CodeTooLarge).Differ("body", "more", byteCount(limit))
	}
	if _, err := s.file.Write(piece); err != nil {
		return model.Deny(model.CodeSpoolUnavailable).Because(err)
	}
	return nil
}

func (s *Spooled) take(src io.Reader, scanner Scanner, limit int64, named func(model.Target) error) (model.Target, error) {
	asked := false
	ask := func() (target model.Target, err error) {
		target, ok := scanner.Target()
		if ok && !asked {
			asked = true
			err = named(target)
		}
		return target, err
	}
	p := pieces.Get().(*[]byte)
	defer pieces.Put(p)
	piece := (*p)[:pieceSize]
	// What is named without the body is asked about before a client that waits for a word sends it.
	if _, err := ask(); err != nil {
		return model.Target{}, err
	}
	for {
		n, err := src.Read(piece)
		if n > 0 {
			if _, scanErr := scanner.Scan(piece[:n]); scanErr != nil {
				return model.Target{}, scanErr
			}
			if _, err := ask(); err != nil {
				return model.Target{}, err
			}
			if err := s.add(piece[:n], limit); err != nil {
				return model.Target{}, err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return model.Target{}, model.Deny(model.CodeTruncated).Because(err)
		}
	}
	if err := scanner.Finish(); err != nil {
		return model.Target{}, err
	}
	if archive, ok := scanner.(Archive); ok {
		if err := archive.Open(s, s.size); err != nil {
			return model.Target{}, err
		}
	}
	target, err := ask()
	if err == nil && !asked {
		err = model.Deny(model.CodeMissingField).Differ("target", "", "a package and a version")
	}
	return target, err
}

// Size is the body's length in bytes.
func (s *Spooled) Size() int64 { return s.size }

// ReadAt reads from the body.
func (s *Spooled) ReadAt(p []byte, off int64) (int, error) { return s.file.ReadAt(p, off) }

// Body reads the body from its start; each call gives a reader of its own.
func (s *Spooled) Body() io.ReadCloser { return io.NopCloser(io.NewSectionReader(s.file, 0, s.size)) }

// Close gives the disk space back.
func (s *Spooled) Close() error { return s.file.Close() }

func byteCount[N int | int64](n N) string { return fmt.Sprintf("at most %d bytes", n) }

var _ io.ReaderAt = (*Spooled)(nil)
