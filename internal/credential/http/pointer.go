package http

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// checkPointer accepts a JSON pointer (RFC 6901) that is not the whole document.
func checkPointer(pointer string) error {
	if !strings.HasPrefix(pointer, "/") || strings.ContainsAny(pointer, "{}") {
		return fmt.Errorf("a pointer %q, expected one like /token or /data/0/value", model.OneLine(pointer, 60))
	}
	return nil
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// at finds what a pointer points at.
func at(document any, pointer string) (any, bool) {
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		part = unescape.Replace(part)
		switch d := document.(type) {
		case map[string]any:
			member, ok := d[part]
			if !ok {
				return nil, false
			}
			document = member
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(d) || strconv.Itoa(i) != part {
				return nil, false
			}
			document = d[i]
		default:
			return nil, false
		}
	}
	return document, true
}

// textAt is a text of the answer, or a whole number as its digits. Errors quote the pointer alone.
func textAt(answer any, pointer string) (string, error) {
	switch v, _ := at(answer, pointer); v := v.(type) {
	case string:
		if v != "" {
			return v, nil
		}
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatInt(int64(v), 10), nil
		}
	}
	return "", mintapi.Unfit("the answer has no text at %s", pointer)
}

// The ways to write when a credential ends.
const (
	formTime    = "rfc3339"
	formUnix    = "unix"
	formSeconds = "seconds"
)

// timeAt is when the credential ends, by the answer.
func timeAt(answer any, pointer, form string, now time.Time) (time.Time, error) {
	text, err := textAt(answer, pointer)
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
