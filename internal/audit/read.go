package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/trustpub/trustpub/internal/model"
)

// Events reads the events of one file, oldest first; name is for errors, which are *VerifyError where a line is at fault. The
// chain is not checked: a Verifier does that. A last line without its line break is left out, since a file may be read while
// it is written. After an error there is nothing more.
func Events(name string, r io.Reader) iter.Seq2[model.Event, error] {
	return func(yield func(model.Event, error) bool) {
		in := bufio.NewReaderSize(r, MaxLine+1)
		for n := 1; ; n++ {
			line, err := in.ReadSlice('\n')
			switch {
			case errors.Is(err, io.EOF):
				return
			case errors.Is(err, bufio.ErrBufferFull):
				yield(model.Event{}, &VerifyError{name, n, fmt.Sprintf("the line is longer than %d bytes", MaxLine)})
				return
			case err != nil:
				yield(model.Event{}, fmt.Errorf("%s: %w", name, err))
				return
			}
			event, err := parseEvent(line)
			if err != nil {
				yield(event, &VerifyError{name, n, err.Error()})
				return
			}
			if !yield(event, nil) {
				return
			}
		}
	}
}

// parseEvent reads one line; what a newer release may have added is left out.
func parseEvent(line []byte) (model.Event, error) {
	var event model.Event
	if _, err := parseLink(line); err != nil {
		return event, err
	}
	if err := json.Unmarshal(line, &event); err != nil {
		return event, fmt.Errorf("not an event: %w", err)
	}
	return event, nil
}
