package upload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/trustpub/trustpub/internal/model"
)

// Quota bounds what all spools together take. Errors are *model.Denial.
type Quota interface {
	// Begin takes one more spool in, and Grow n more bytes of one onto the disk.
	Begin() error
	Grow(n int64) error
	// End gives a spool back that was taken in, with all its bytes.
	End(bytes int64)
}

// Disk is where bodies are spooled.
type Disk struct {
	// Dir is a folder.
	Dir string
	// Quota bounds all spools together; nil: nothing does.
	Quota Quota
}

// spoolBlock is how much is written to disk at once, in bytes; a smaller body never is.
const spoolBlock = 128 << 10

var spoolBlocks = sync.Pool{New: func() any { return new([spoolBlock]byte) }}

// Spooled is a whole body, judged before its first byte leaves: on disk, or in memory where it is small.
type Spooled struct {
	disk   Disk
	file   *os.File // nil before the first block is written
	memory []byte
	size   int64
	// begun is true while the quota counts this spool, and claimed its bytes there.
	begun   bool
	claimed int64
}

// Spool is Disk.Spool without a quota.
func Spool(src io.Reader, scanner Scanner, dir string, limit int64, named func(model.Target) error) (*Spooled, model.Target, error) {
	return Disk{Dir: dir}.Spool(src, scanner, limit, named)
}

// Spool writes src to a nameless file while the scanner reads it, and finishes the scanner. limit bounds the body in
// bytes. The target is the scanner's; named is asked about it as soon as it is known, so that a body that will be refused does
// not fill the disk first. A body of less than a block needs no file.
func (d Disk) Spool(src io.Reader, scanner Scanner, limit int64, named func(model.Target) error) (*Spooled, model.Target, error) {
	s := &Spooled{disk: d}
	defer release(scanner)
	target, err := s.take(src, scanner, limit, named)
	if err != nil {
		_ = s.Close()
		return nil, target, err
	}
	return s, target, nil
}

// create makes the file. Its name goes at once, so that not even a killed process leaves the body behind.
func (s *Spooled) create() error {
	f, err := os.CreateTemp(s.disk.Dir, "trustpub-spool-*")
	if err != nil {
		return model.Deny(model.CodeSpoolUnavailable).Because(err)
	}
	s.file = f
	if err := os.Remove(f.Name()); err != nil {
		return model.Deny(model.CodeSpoolUnavailable).Because(err)
	}
	return nil
}

// begin asks the quota for a place.
func (s *Spooled) begin() error {
	if s.disk.Quota == nil {
		return nil
	}
	err := s.disk.Quota.Begin()
	s.begun = err == nil
	return err
}

// claim asks the quota for more of the disk.
func (s *Spooled) claim(n int) error {
	if !s.begun {
		return nil
	}
	err := s.disk.Quota.Grow(int64(n))
	if err == nil {
		s.claimed += int64(n)
	}
	return err
}

// add writes a piece of the body.
func (s *Spooled) add(piece []byte, limit int64) error {
	if err := s.count(piece, limit); err != nil {
		return err
	}
	if err := s.claim(len(piece)); err != nil {
		return err
	}
	if s.file == nil {
		if err := s.create(); err != nil {
			return err
		}
	}
	if _, err := s.file.Write(piece); err != nil {
		return model.Deny(model.CodeSpoolUnavailable).Because(err)
	}
	return nil
}

func (s *Spooled) count(piece []byte, limit int64) error {
	if s.size += int64(len(piece)); s.size > limit {
		return model.Deny(model.CodeTooLarge).Differ("body", "more", byteCount(limit))
	}
	return nil
}

// end takes the last piece.
func (s *Spooled) end(piece []byte, limit int64) error {
	if s.file != nil {
		return s.add(piece, limit)
	}
	// Not the block itself, which others will use: the registry's side may read for a while after all has ended.
	s.memory = bytes.Clone(piece)
	return s.count(piece, limit)
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
	// What is named without the body is asked about before a client that waits for a word sends it.
	if _, err := ask(); err != nil {
		return model.Target{}, err
	}
	if err := s.begin(); err != nil {
		return model.Target{}, err
	}
	block := spoolBlocks.Get().(*[spoolBlock]byte)
	defer spoolBlocks.Put(block)
	for filled := 0; ; {
		n, err := src.Read(block[filled:])
		if n > 0 {
			if _, scanErr := scanner.Scan(block[filled : filled+n]); scanErr != nil {
				return model.Target{}, scanErr
			}
			if _, err := ask(); err != nil {
				return model.Target{}, err
			}
			filled += n
		}
		if errors.Is(err, io.EOF) {
			if err := s.end(block[:filled], limit); err != nil {
				return model.Target{}, err
			}
			break
		}
		if err != nil {
			return model.Target{}, cut(err)
		}
		if filled == spoolBlock {
			if err := s.add(block[:], limit); err != nil {
				return model.Target{}, err
			}
			filled = 0
		}
	}
	if err := scanner.Finish(); err != nil {
		return model.Target{}, err
	}
	if archive, ok := scanner.(Archive); ok {
		if err := archive.Open(s, s.size); err != nil {
			return model.Target{}, err
		}
		if err := s.mend(archive); err != nil {
			return model.Target{}, err
		}
	}
	target, err := ask()
	if err == nil && !asked {
		err = model.Deny(model.CodeMissingField).Differ("target", "", "a package and a version")
	}
	return target, err
}

// mend gives the body the end that its scanner wants for it.
func (s *Spooled) mend(scanner Archive) error {
	mender, ok := scanner.(Mender)
	if !ok {
		return nil
	}
	kept, end, ok := mender.Mend()
	if !ok {
		return nil
	}
	s.size = kept + int64(len(end))
	if s.file == nil {
		s.memory = append(s.memory[:kept:kept], end...)
		return nil
	}
	_, err := s.file.WriteAt(end, kept)
	if err = errors.Join(err, s.file.Truncate(s.size)); err != nil {
		return model.Deny(model.CodeSpoolUnavailable).Because(err)
	}
	return nil
}

// Size is the length in bytes of the body that is forwarded.
func (s *Spooled) Size() int64 { return s.size }

// ReadAt reads from the body.
func (s *Spooled) ReadAt(p []byte, off int64) (int, error) {
	if s.file == nil {
		return bytes.NewReader(s.memory).ReadAt(p, off)
	}
	return s.file.ReadAt(p, off)
}

// Body reads the body from its start; each call gives a reader of its own.
func (s *Spooled) Body() io.ReadCloser { return io.NopCloser(io.NewSectionReader(s, 0, s.size)) }

// Close gives the disk space back, beside whoever waits for the answer: for a large file that takes milliseconds.
func (s *Spooled) Close() error {
	if s.begun {
		s.begun = false
		s.disk.Quota.End(s.claimed)
	}
	if s.file != nil {
		go func() { _ = s.file.Close() }()
	}
	return nil
}

func byteCount[N int | int64](n N) string { return fmt.Sprintf("at most %d bytes", n) }

var _ io.ReaderAt = (*Spooled)(nil)
