package audit

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Summary is what a verified chain holds.
type Summary struct {
	// Lines is how many there are; First and Last are their numbers.
	Lines, First, Last uint64
	// Begins is true where the chain starts with its very first line; otherwise it continues an earlier file.
	Begins bool
	// Head is the SHA-256 of the newest line. Kept elsewhere, it shows later whether lines were cut off the end.
	Head string
	// Oldest and Newest are the times of the first and the last line.
	Oldest, Newest time.Time
	// Lost sums up the events that lines of kind "lost" tell of.
	Lost uint64
}

// Verifier checks files of one chain, oldest first.
type Verifier struct {
	chain   chain
	summary Summary
}

// VerifyError says where a chain is broken.
type VerifyError struct {
	// Name is the file's name, Line counts from 1.
	Name string
	Line int
	// Reason names field, got and expected.
	Reason string
}

// Error is "file:line: reason".
func (e *VerifyError) Error() string { return fmt.Sprintf("%s:%d: %s", e.Name, e.Line, e.Reason) }

// Verify checks one file: every line is a whole audit line, follows the one before, and carries its hash.
func Verify(r io.Reader) error { return new(Verifier).Check("audit", r) }

// Summary tells what was checked so far.
func (v *Verifier) Summary() Summary { return v.summary }

// Check reads one file of the chain to its end. The first line of the first file may continue an earlier file.
func (v *Verifier) Check(name string, r io.Reader) error {
	in := bufio.NewReaderSize(r, MaxLine+1)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil
		case errors.Is(err, io.EOF):
			return &VerifyError{name, n, "the line is cut short, expected a line break at its end: the gateway sets such a line aside when it opens the file again"}
		case errors.Is(err, bufio.ErrBufferFull):
			return &VerifyError{name, n, fmt.Sprintf("the line is longer than %d bytes", MaxLine)}
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := v.line(line[:len(line)-1]); err != nil {
			return &VerifyError{name, n, err.Error()}
		}
	}
}

func (v *Verifier) line(line []byte) error {
	l, err := parseLink(line)
	if err != nil {
		return err
	}
	var event struct {
		Time   time.Time         `json:"time"`
		Kind   string            `json:"kind"`
		Detail map[string]string `json:"detail"`
	}
	if err := json.Unmarshal(line, &event); err != nil {
		return fmt.Errorf("not an event: %w", err)
	}
	first := v.summary.Lines == 0
	switch {
	case first && l.Seq == 1 && l.Prev != (hash{}).String():
		return fmt.Errorf("prev is %s, expected zeros on the line with seq 1", l.Prev)
	case !first && l.Seq != v.chain.seq+1:
		return fmt.Errorf("seq is %d, expected %d: lines were removed, added or moved", l.Seq, v.chain.seq+1)
	case !first && l.Prev != v.chain.head.String():
		return fmt.Errorf("prev is %s, expected %s, the SHA-256 of the line before: that line or this one was edited", l.Prev, v.chain.head)
	}
	if first {
		v.summary.First, v.summary.Begins, v.summary.Oldest = l.Seq, l.Seq == 1, event.Time
	}
	v.chain = chain{seq: l.Seq, head: sha256.Sum256(line)}
	v.summary.Lines++
	v.summary.Last, v.summary.Head, v.summary.Newest = l.Seq, v.chain.head.String(), event.Time
	if event.Kind == string(EventLost) {
		var n uint64
		if _, err := fmt.Sscan(event.Detail["count"], &n); err == nil {
			v.summary.Lost += n
		}
	}
	return nil
}
