package main

import (
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	speed := row{name: "read", unit: "/s", base: plain, goal: "speed >= 0.95"}
	memory := row{name: "memory", unit: "MiB more", base: plain, goal: "<= 4 MiB", difference: true}
	base := []sample{{1000, 100e-6}, {2000, 100e-6}, {1000, 100e-6}}
	less := []sample{{value: 0.5}, {value: 1.5}}
	got := table([]measurement{
		{row: speed, label: gateway, samples: []sample{{950, 110e-6}, {1600, 105e-6}, {1100, 100e-6}}, base: base},
		{row: speed, label: plain, samples: base},
		{row: memory, label: gateway, samples: []sample{{value: 2.5}, {value: 1.5}}, base: less},
		{row: memory, label: plain, samples: less},
	})
	want := `| | side | value | processor per unit | compared | processor compared | goal |
|---|---|---|---|---|---|---|
| read | gateway | 1100 (950 to 1600) /s | 105 µs | 0.95 (0.80 to 1.10) | 1.05 (1.00 to 1.10) | speed >= 0.95 |
|  | plain | 1000 (1000 to 2000) /s | 100 µs |  |  |  |
| memory | gateway | 2 (1.5 to 2.5) MiB more |  | + 1.00 (0.00 to 2.00) |  | <= 4 MiB |
|  | plain | 1 (0.5 to 1.5) MiB more |  |  |  |  |
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseStat(t *testing.T) {
	for _, tc := range []struct {
		line  string
		group int
		used  time.Duration
		bad   bool
	}{
		{"12 (caddy) S 1 11 11 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 9 0 1 1 1", 11, 2 * time.Second, false},
		{"12 (a) b) (c) S 1 11 11 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 9 0 1 1 1", 11, 2 * time.Second, false},
		{"12 (caddy) S 1 11", 0, 0, true},
		{"12 caddy S 1 11", 0, 0, true},
		{"12 (caddy) S 1 x 11 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 9 0 1 1 1", 0, 0, true},
	} {
		group, used, err := parseStat(tc.line)
		if (err != nil) != tc.bad || err == nil && (group != tc.group || used != tc.used) {
			t.Errorf("%q: got %d, %s, %v, expected %d, %s", tc.line, group, used, err, tc.group, tc.used)
		}
	}
}

func TestParseStatus(t *testing.T) {
	now, peak, err := parseStatus("Name:\tcaddy\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n")
	if now != 1<<20 || peak != 2<<20 || err != nil {
		t.Errorf("got %d, %d, %v", now, peak, err)
	}
	for _, text := range []string{"", "VmHWM:\t1 kB\n", "VmHWM:\tx kB\nVmRSS:\t1 kB\n"} {
		if _, _, err := parseStatus(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		opts options
		rows string
	}{
		"no round":    {options{rounds: 0, tokens: 1, duration: 1}, ""},
		"no token":    {options{rounds: 1, tokens: 0, duration: 1}, ""},
		"no time":     {options{rounds: 1, tokens: 1}, ""},
		"no such row": {options{rounds: 1, tokens: 1, duration: 1}, "("},
	} {
		if err := tc.opts.check(tc.rows); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestOneRound runs rows of every kind against real processes. The quick loop is without it, as it is without all servers.
func TestOneRound(t *testing.T) {
	if testing.Short() {
		return
	}
	opts := options{rounds: 1, duration: 50 * time.Millisecond, tokens: 10, rows: regexp.MustCompile("known token|new token|forged|unknown|one byte|boundaries|stalled")}
	if err := run(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
}
