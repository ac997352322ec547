package limit

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

// clock is a time that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time       { return c.at }
func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

// one and other are clients.
const one, other = "192.0.2.1", "github repository_id=111"

func per(n int, d time.Duration) Rate { return Rate{n, d} }

// opened are limits with a clock, and what they counted.
func opened(s Settings) (*Limits, *clock, map[Name]int) {
	c := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	counted := map[Name]int{}
	l := New(Options{Now: c.now, Limited: func(n Name) { counted[n]++ }, Free: func(string) (int64, int64, error) { return 1 << 40, 1 << 41, nil }})
	l.Use(s)
	return l, c, counted
}

// outcome is what is compared of an answer.
type outcome struct {
	Code       model.Code
	Field      string
	Want       string
	RetryAfter time.Duration
	Quiet      bool
}

func of(err error) outcome {
	var d *model.Denial
	if !errors.As(err, &d) {
		return outcome{}
	}
	return outcome{d.Code, d.Field, d.Want, d.RetryAfter.Round(time.Millisecond), d.Quiet}
}

func expect(t *testing.T, what string, err error, want outcome) {
	t.Helper()
	if diff := cmp.Diff(want, of(err)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestExchangesOfAnAddress: all at once, then as the time gives them back; other addresses have their own.
func TestExchangesOfAnAddress(t *testing.T) {
	l, c, counted := opened(Settings{ExchangesPerClient: per(3, time.Minute)})
	full := outcome{model.CodeRateLimited, "exchanges from this address", "at most 3/1m", 20 * time.Second, false}
	for i := range 3 {
		expect(t, fmt.Sprint("exchange ", i), l.Exchange("192.0.2.1"), outcome{})
	}
	expect(t, "one more", l.Exchange("192.0.2.1"), full)
	expect(t, "another address", l.Exchange("192.0.2.2"), outcome{})
	c.pass(5 * time.Second)
	quiet := full
	quiet.RetryAfter, quiet.Quiet = 15*time.Second, true
	expect(t, "again, soon: the audit knows", l.Exchange("192.0.2.1"), quiet)
	c.pass(15 * time.Second)
	expect(t, "a third of the minute later", l.Exchange("192.0.2.1"), outcome{})
	expect(t, "and no more", l.Exchange("192.0.2.1"), outcome{full.Code, full.Field, full.Want, 20 * time.Second, true})
	c.pass(19 * time.Second)
	expect(t, "still in the minute", l.Exchange("192.0.2.1"), outcome{full.Code, full.Field, full.Want, time.Second, true})
	c.pass(20 * time.Second)
	expect(t, "one was given back", l.Exchange("192.0.2.1"), outcome{})
	c.pass(time.Second)
	expect(t, "and another", l.Exchange("192.0.2.1"), outcome{})
	expect(t, "a minute after the first line, another one", l.Exchange("192.0.2.1"), outcome{full.Code, full.Field, full.Want, 20 * time.Second, false})
	if diff := cmp.Diff(map[Name]int{ExchangesPerClient: 5}, counted); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

// TestOneClient: which addresses have one budget.
func TestOneClient(t *testing.T) {
	for _, tc := range []struct {
		name, a, b string
		same       bool
	}{
		{"two of IPv4", "192.0.2.1", "192.0.2.2", false},
		{"one in both spellings", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"one network of IPv6", "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
		{"two networks of IPv6", "2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"with and without a zone", "fe80::1%eth0", "fe80::2%eth1", true},
		{"no addresses", "@", "", true},
		{"an address and none", "192.0.2.1", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, _, _ := opened(Settings{ExchangesPerClient: per(1, time.Hour)})
			expect(t, "the first", l.Exchange(tc.a), outcome{})
			if got := l.Exchange(tc.b) != nil; got != tc.same {
				t.Errorf("the second was refused: %t, expected %t", got, tc.same)
			}
		})
	}
}

// TestTokensThatWereNotBelieved: they are counted after they were looked at; the next is not looked at, nor are those of the same address
// that are good, and another address notices nothing.
func TestTokensThatWereNotBelieved(t *testing.T) {
	l, c, counted := opened(Settings{FailuresPerClient: per(2, time.Minute)})
	for range 2 {
		expect(t, "an attempt", l.Attempt("192.0.2.1"), outcome{})
		l.Disbelieved("192.0.2.1")
	}
	full := outcome{model.CodeRateLimited, "tokens from this address that were not believed", "at most 2/1m", 30 * time.Second, false}
	expect(t, "one more", l.Attempt("192.0.2.1"), full)
	expect(t, "another address", l.Attempt("192.0.2.9"), outcome{})
	expect(t, "an exchange", l.Exchange("192.0.2.1"), outcome{})
	l.Disbelieved("192.0.2.1") // of a request that was under way: no debt
	c.pass(30 * time.Second)
	expect(t, "half a minute later", l.Attempt("192.0.2.1"), outcome{})
	if l.alert.Load() > c.now().UnixNano() {
		t.Error("nobody is at fault any more, and all tokens are looked up")
	}
	if diff := cmp.Diff(map[Name]int{FailuresPerClient: 1}, counted); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

// TestExchangesOfAnIssuer: of all addresses together, each issuer for itself.
func TestExchangesOfAnIssuer(t *testing.T) {
	l, _, _ := opened(Settings{ExchangesPerIssuer: per(1, time.Second)})
	expect(t, "the first", l.Grant("github"), outcome{})
	expect(t, "the second", l.Grant("github"), outcome{model.CodeRateLimited, "exchanges of issuer github", "at most 1/1s", time.Second, false})
	expect(t, "another issuer", l.Grant("gitlab"), outcome{})
}

// TestNewSettingsAreNoFreshBudget: what was used up stays so, whatever the next configuration says.
func TestNewSettingsAreNoFreshBudget(t *testing.T) {
	l, c, _ := opened(Settings{ExchangesPerClient: per(2, time.Hour), FailuresPerClient: per(1, time.Hour)})
	for range 2 {
		expect(t, "an exchange", l.Exchange("192.0.2.1"), outcome{})
	}
	l.Disbelieved("192.0.2.1")
	for _, s := range []Settings{
		{ExchangesPerClient: per(2, time.Hour), FailuresPerClient: per(1, time.Hour)},
		{ExchangesPerClient: per(100, time.Hour), FailuresPerClient: per(100, time.Hour)},
	} {
		l.Use(s)
		if l.Exchange("192.0.2.1") == nil || l.Attempt("192.0.2.1") == nil {
			t.Errorf("%+v: a new configuration gave something back", s)
		}
	}
	c.pass(time.Minute)
	expect(t, "the new rate gives back faster", l.Exchange("192.0.2.1"), outcome{})
	l.Use(Settings{})
	expect(t, "no limit", errors.Join(l.Exchange("192.0.2.1"), l.Attempt("192.0.2.1"), l.Grant("github")), outcome{})
}

// TestManyAddresses: no number of addresses takes more memory than so many.
func TestManyAddresses(t *testing.T) {
	l, _, _ := opened(Settings{ExchangesPerClient: per(1, time.Hour)})
	for i := range addresses + 1000 {
		if err := l.Exchange(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.clients.Len(); got != addresses {
		t.Errorf("%d addresses are remembered, expected %d", got, addresses)
	}
}

// TestSpools: how many at a time, how many bytes, and what stays free.
func TestSpools(t *testing.T) {
	const gib = 1 << 30
	disk := func(free, all int64, err error) func(*Options) {
		return func(o *Options) { o.Free = func(string) (int64, int64, error) { return free, all, err } }
	}
	begin := func(l *Limits) error { return l.Begin(one) }
	grow := func(n int64) func(*Limits) error { return func(l *Limits) error { return l.Grow(one, n) } }
	for _, tc := range []struct {
		name     string
		settings Settings
		disk     func(*Options)
		before   func(*Limits)
		do       func(*Limits) error
		want     outcome
		counted  Name
	}{
		{name: "no limits", do: grow(1 << 50)},
		{name: "one of two", settings: Settings{Spools: 2}, before: func(l *Limits) { _ = l.Begin(one) }, do: begin},
		{
			name: "one too many", settings: Settings{Spools: 1}, before: func(l *Limits) { _ = l.Begin(one) }, do: begin,
			want: outcome{model.CodeSpoolFull, "uploads that are spooled", "fewer", roomIn, false}, counted: SpoolCount,
		},
		{name: "one after another", settings: Settings{Spools: 1}, before: func(l *Limits) { _ = l.Begin(one); l.End(one, 0) }, do: begin},
		{name: "all of the quota", settings: Settings{SpoolDisk: 100}, before: func(l *Limits) { _ = l.Grow(one, 60) }, do: grow(40)},
		{
			name: "more than the quota", settings: Settings{SpoolDisk: 100}, before: func(l *Limits) { _ = l.Grow(one, 60) }, do: grow(41),
			want: outcome{model.CodeSpoolFull, "bytes of uploads that are spooled", "at most 100", roomIn, false}, counted: SpoolDisk,
		},
		{name: "a place that was given back", settings: Settings{SpoolDisk: 100}, before: func(l *Limits) { _ = l.Begin(one); _ = l.Grow(one, 60); l.End(one, 60) }, do: grow(100)},
		{name: "what was refused counts nothing", settings: Settings{SpoolDisk: 100}, before: func(l *Limits) { _ = l.Grow(one, 101) }, do: grow(100)},
		{
			name: "a disk that is nearly full", settings: Settings{SpoolFree: gib}, disk: disk(gib+10, 1<<40, nil), do: grow(11),
			want: outcome{model.CodeSpoolFull, "free bytes of the spool's disk", "at least 1073741824", roomIn, false}, counted: SpoolFree,
		},
		{name: "a disk that has room", settings: Settings{SpoolFree: gib}, disk: disk(gib+10, 1<<40, nil), do: grow(10)},
		{
			name: "a share of a small disk", settings: Settings{SpoolFree: FreeShare}, disk: disk(999, 20_000, nil), do: grow(0),
			want: outcome{model.CodeSpoolFull, "free bytes of the spool's disk", "at least 1000", roomIn, false}, counted: SpoolFree,
		},
		{name: "a share of a large disk", settings: Settings{SpoolFree: FreeShare}, disk: disk(gib+1, 1<<40, nil), do: grow(1)},
		{
			name: "more than a share", settings: Settings{Spools: 4, SpoolShare: 50}, before: func(l *Limits) { _, _ = l.Begin(one), l.Begin(one) }, do: begin,
			want: outcome{model.CodeSpoolFull, "uploads of one client that are spooled", "fewer", roomIn, false}, counted: SpoolShare,
		},
		{name: "another's share", settings: Settings{Spools: 4, SpoolShare: 50}, before: func(l *Limits) { _, _ = l.Begin(other), l.Begin(other) }, do: begin},
		{name: "a share of little is one", settings: Settings{Spools: 1, SpoolShare: 1}, do: begin},
		{
			name: "a share that was given back", settings: Settings{Spools: 4, SpoolShare: 50}, before: func(l *Limits) { _, _ = l.Begin(one), l.Begin(one); l.End(one, 0) }, do: begin,
		},
		{
			name: "more bytes than a share", settings: Settings{SpoolDisk: 1000, SpoolShare: 50}, before: func(l *Limits) { _, _ = l.Begin(one), l.Grow(one, 400) }, do: grow(101),
			want: outcome{model.CodeSpoolFull, "bytes of uploads of one client that are spooled", "at most 500", roomIn, false}, counted: SpoolShare,
		},
		{
			name: "another's bytes", settings: Settings{SpoolDisk: 1000, SpoolShare: 50},
			before: func(l *Limits) { _, _, _ = l.Begin(other), l.Grow(other, 500), l.Begin(one) }, do: grow(500),
		},
		{
			name: "a share of the room that there is", settings: Settings{SpoolDisk: gib, SpoolFree: 1000, SpoolShare: 25}, disk: disk(2000, 1<<40, nil),
			before: func(l *Limits) { _, _, _ = l.Begin(other), l.Grow(other, 250), l.Begin(one) }, do: grow(301),
			want: outcome{model.CodeSpoolFull, "bytes of uploads of one client that are spooled", "at most 300", roomIn, false}, counted: SpoolShare,
		},
		{name: "a share of nothing is nothing", settings: Settings{SpoolShare: 1}, do: grow(1 << 40)},
		{name: "a disk of which nobody knows", settings: Settings{SpoolFree: gib}, disk: disk(0, 0, errors.ErrUnsupported), do: grow(1)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			counted := map[Name]int{}
			options := Options{Limited: func(n Name) { counted[n]++ }}
			if tc.disk != nil {
				tc.disk(&options)
			}
			l := New(options)
			l.Use(tc.settings)
			if tc.before != nil {
				tc.before(l)
			}
			clear(counted)
			expect(t, "the answer", tc.do(l), tc.want)
			want := map[Name]int{}
			if tc.counted != "" {
				want[tc.counted] = 1
			}
			if diff := cmp.Diff(want, counted); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTheDisk: the system tells about a folder that is there.
func TestTheDisk(t *testing.T) {
	free, all, err := diskSpace(t.TempDir())
	if err != nil || free <= 0 || free > all {
		t.Errorf("got %d free of %d, %v", free, all, err)
	}
	if _, _, err := diskSpace(t.TempDir() + "/nothing"); err == nil {
		t.Error("expected an error for a folder that is not there")
	}
}

// TestAtOnce: many at a time get exactly what there is, and all of it comes back.
func TestAtOnce(t *testing.T) {
	l := New(Options{Free: func(string) (int64, int64, error) { return 1 << 40, 1 << 41, nil }})
	l.Use(Settings{ExchangesPerClient: per(100, 24*time.Hour), FailuresPerClient: per(5, time.Hour), Spools: 7, SpoolDisk: 1000, SpoolFree: 1})
	var granted, places atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 50 {
				if l.Exchange("192.0.2.1") == nil {
					granted.Add(1)
				}
				l.Disbelieved("192.0.2.2")
				_ = l.Attempt("192.0.2.2")
				if l.Begin(one) != nil {
					continue
				}
				if n := places.Add(1); n > 7 {
					t.Errorf("%d spools at a time, expected 7 at most", n)
				}
				claimed := int64(0)
				for l.Grow(one, 100) == nil && claimed < 300 {
					claimed += 100
				}
				if claimed == 300 {
					claimed += 100
				}
				places.Add(-1)
				l.End(one, claimed)
			}
		})
	}
	wg.Wait()
	if got := granted.Load(); got != 100 {
		t.Errorf("%d exchanges were granted, expected 100", got)
	}
	if uploads, bytes := l.Spooled(); uploads != 0 || bytes != 0 {
		t.Errorf("%d uploads and %d bytes are left", uploads, bytes)
	}
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]string{
		"1200/1m": "1200/1m", "1/1s": "1/1s", "5/24h": "5/24h", "10/90s": "10/1m30s", "7/1h30m": "7/1h30m", "3/500ms": "3/500ms",
		"": "", "1200": "", "/1m": "", "1200/": "", "0/1m": "", "-1/1m": "", "1/0s": "", "1/-1s": "", "1/25h": "", "1.5/1m": "", "1/1m/1m": "",
		"2000000000/1m": "", "1 / 1m": "",
	} {
		r, err := ParseRate(text)
		if want == "" {
			if err == nil {
				t.Errorf("%q was read as %s, expected an error", text, r)
			}
			continue
		}
		if err != nil || r.String() != want {
			t.Errorf("%q was read as %s, %v, expected %s", text, r, err, want)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	for _, text := range []string{"1200/1m", "1/1s", "10/1h30m0s", "0/0", "9/1ns"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRate(text)
		if err != nil {
			return
		}
		again, err := ParseRate(r.String())
		if err != nil || again != r {
			t.Fatalf("%q is %+v, which is written %s and read as %+v, %v", text, r, r, again, err)
		}
		now := time.Now()
		var b budget
		if wait := b.take(r, now); wait != 0 {
			t.Fatalf("%q: the first has to wait %s", text, wait)
		}
	})
}

// BenchmarkAttempt is what every token of ours pays.
func BenchmarkAttempt(b *testing.B) {
	for name, fail := range map[string]bool{"nobody at fault": false, "somebody at fault": true} {
		b.Run(name, func(b *testing.B) {
			l := New(Options{})
			l.Use(Settings{FailuresPerClient: per(1, 24*time.Hour)})
			if fail {
				l.Disbelieved("192.0.2.66")
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if l.Attempt("192.0.2.1") != nil {
						b.Fail()
					}
				}
			})
		})
	}
}

// TestRefusalsOfNobody: the audit has so many of an address and of all, then one a minute, which says how many are missing.
func TestRefusalsOfNobody(t *testing.T) {
	type line struct {
		Quiet  bool
		Missed int64
	}
	l, c, counted := opened(Settings{RefusalsPerClient: per(2, time.Hour), Refusals: per(4, 24*time.Hour)})
	refused := func(what, address string, want line) {
		t.Helper()
		quiet, missed := l.Refused(address)
		if diff := cmp.Diff(want, line{quiet, missed}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	refused("the first", "192.0.2.1", line{})
	refused("the second", "192.0.2.1", line{})
	refused("one above the budget of the address, which says so", "192.0.2.1", line{})
	for range 5 {
		refused("the next ones", "192.0.2.1", line{Quiet: true})
	}
	refused("another address, in the same network and not", "192.0.2.2", line{Missed: 5})
	refused("its second is above the budget of all, which says so", "192.0.2.2", line{})
	refused("a third address", "192.0.2.3", line{Quiet: true})
	c.pass(quietFor)
	refused("a minute later", "192.0.2.3", line{Missed: 1})
	refused("but not every address", "192.0.2.4", line{Quiet: true})
	l.Use(Settings{})
	refused("without limits", "192.0.2.4", line{Missed: 1})
	if diff := cmp.Diff(map[Name]int{RefusalsPerClient: 5, Refusals: 2}, counted); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

// TestFloodsFillNoDisk: however many addresses a flood comes from, what the audit has of a day is bounded.
func TestFloodsFillNoDisk(t *testing.T) {
	l, c, _ := opened(Settings{RefusalsPerClient: per(600, time.Hour), Refusals: per(6000, time.Hour)})
	lines, all, known := 0, 0, int64(0)
	for minute := range 24 * 60 {
		for n := range 200 {
			quiet, missed := l.Refused(fmt.Sprintf("2001:db8:%x:%x::1", minute%100, n))
			all++
			if !quiet {
				lines++
				known += missed + 1
			}
			c.pass(time.Minute / 200)
		}
	}
	if most := 6000*25 + 24*60 + 1; lines > most {
		t.Errorf("the audit has %d lines of %d refusals, expected %d at most", lines, all, most)
	}
	c.pass(time.Minute)
	if _, missed := l.Refused("192.0.2.1"); known+missed != int64(all) {
		t.Errorf("the lines tell of %d refusals, expected all %d", known+missed, all)
	}
}

// TestSharesOutliveSettings: what a client has counts from the start, also where its share was not limited then; and nothing is kept of one that has
// nothing.
func TestSharesOutliveSettings(t *testing.T) {
	l, _, _ := opened(Settings{})
	for range 3 {
		expect(t, "without limits", l.Begin(one), outcome{})
	}
	expect(t, "in the same network", l.Begin("2001:db8::1"), outcome{})
	l.Use(Settings{Spools: 4, SpoolShare: 25})
	l.End(one, 0)
	full := outcome{model.CodeSpoolFull, "uploads of one client that are spooled", "fewer", roomIn, false}
	expect(t, "with a share", l.Begin(one), full)
	expect(t, "another address of the network", l.Begin("2001:db8::2"), full)
	for range 2 {
		l.End(one, 0)
	}
	l.End("2001:db8::3", 0)
	if uploads, bytes := l.Spooled(); uploads != 0 || bytes != 0 || len(l.holders) != 0 {
		t.Errorf("%d uploads, %d bytes and %d clients are left", uploads, bytes, len(l.holders))
	}
}
