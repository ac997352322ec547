package file

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/trustpub/trustpub/internal/audit"
)

// repair makes the file end with a line break and returns its size. A last line that a crash cut short is moved to
// PATH.torn: it was never acknowledged, but it is not thrown away either.
func (s *sink) repair(f handle) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("audit file: %w", err)
	}
	size := info.Size()
	tail, err := afterLastBreak(f, size)
	if err != nil {
		return 0, fmt.Errorf("audit file: %s: %w", s.path, err)
	}
	if len(tail) == 0 {
		return size, nil
	}
	if json.Valid(tail) {
		// Only the line break is missing: nothing of the line was lost.
		if _, err := f.Write([]byte("\n")); err != nil {
			return 0, fmt.Errorf("audit file: write: %w", err)
		}
		s.incident("the line break of the last line was missing", map[string]string{})
		return size + 1, nil
	}
	aside := s.path + ".torn"
	if err := setAside(aside, tail); err != nil {
		return 0, fmt.Errorf("audit file: the last line is cut short and could not be set aside: %w", err)
	}
	end := size - int64(len(tail))
	if err := errors.Join(f.Truncate(end), f.Sync()); err != nil {
		return 0, fmt.Errorf("audit file: the last line is cut short and could not be removed: %w", err)
	}
	digest := sha256.Sum256(tail)
	s.incident("the last line was cut short and set aside", map[string]string{
		"bytes": fmt.Sprint(len(tail)), "sha256": hex.EncodeToString(digest[:]), "set_aside": aside,
	})
	return end, nil
}

func setAside(path string, tail []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(bytes.Clone(tail), '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// afterLastBreak returns what follows the last line break of the first size bytes.
func afterLastBreak(f io.ReaderAt, size int64) ([]byte, error) {
	n := min(size, audit.MaxLine+1)
	buf := make([]byte, n)
	if _, err := f.ReadAt(buf, size-n); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if i := bytes.LastIndexByte(buf, '\n'); i >= 0 {
		return buf[i+1:], nil
	}
	if n > audit.MaxLine {
		return nil, fmt.Errorf("its last line is longer than %d bytes, expected an audit file: move it away", audit.MaxLine)
	}
	return buf, nil
}

// lastLine returns the last whole line of a file that ends with a line break, without it; nil for an empty file.
func lastLine(f io.ReaderAt, size int64) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	line, err := afterLastBreak(f, size-1)
	if err != nil {
		return nil, fmt.Errorf("audit file: %w", err)
	}
	if len(line) == 0 {
		return nil, errors.New("audit file: its last line is empty, expected an audit file: move it away")
	}
	return line, nil
}
