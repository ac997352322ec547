package http

import (
	"errors"
	"strconv"
	"time"

	"github.com/trustpub/trustpub/internal/credential/mintapi"
)

// The ways to write when a credential ends.
const (
	formTime    = "rfc3339"
	formUnix    = "unix"
	formSeconds = "seconds"
)

// timeAt is when the credential ends, by the answer.
func timeAt(answer any, pointer, form string, now time.Time) (time.Time, error) {
	text, err := mintapi.TextAt(answer, pointer)
	if err != nil {
		return time.Time{}, err
	}
	if form == formTime {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return time.Time{}, mintapi.Unfit("the answer has no time like 2026-11-23T21:00:00Z at %s", pointer)
		}
		return t, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && form == formUnix && n > 0 {
		return time.Unix(n, 0), nil
	}
	const longest = 100 * 366 * 24 * 60 * 60 // a Duration holds no more than three times that
	if err != nil || n <= 0 || n > longest {
		return time.Time{}, mintapi.Unfit("the answer has no count of seconds at %s", pointer)
	}
	return now.Add(time.Duration(n) * time.Second), nil
}

func checkForm(form string) error {
	switch form {
	case formTime, formUnix, formSeconds:
		return nil
	}
	return errors.New("expected expiry POINTER and how it is written there: " + formTime + ", " + formUnix + " or " + formSeconds)
}
