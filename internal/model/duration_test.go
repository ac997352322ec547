package model

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWithin(t *testing.T) {
	for text, want := range map[string]string{
		"0s": "15m0s", "1m": "1m0s", "1h": "1h0m0s", "30m": "30m0s",
		"59s": "lifetime is 59s, expected 1m0s to 1h0m0s", "1h1s": "lifetime is 1h0m1s, expected 1m0s to 1h0m0s", "-1m": "lifetime is -1m0s, expected 1m0s to 1h0m0s",
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		v, err := d.Within("lifetime", 15*time.Minute, time.Minute, time.Hour)
		got := v.String()
		if err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}
