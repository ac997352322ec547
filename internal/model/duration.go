package model

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a time.Duration that reads "15m" from JSON and Caddyfiles, and writes it back.
type Duration time.Duration

// Within gives a setting, the usual one where there is none, and refuses one out of bounds; the field is its name, for the error.
func (d Duration) Within(field string, usual, least, most time.Duration) (time.Duration, error) {
	switch v := time.Duration(d); {
	case v == 0:
		return usual, nil
	case v < least || v > most:
		return 0, fmt.Errorf("%s is %s, expected %s to %s", field, v, least, most)
	default:
		return v, nil
	}
}

// UnmarshalText parses Go's duration syntax.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("duration %q: write it like 90s, 15m or 1h", b)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes Go's duration syntax.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalJSON accepts a string only, so that a number's unit is never guessed.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("duration %s: write it as a string like \"15m\"", b)
	}
	return d.UnmarshalText([]byte(s))
}
