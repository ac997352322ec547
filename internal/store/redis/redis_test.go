package redis

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store"
)

func TestValidate(t *testing.T) {
	one := []string{"redis.example.com:6379"}
	for _, c := range []struct {
		name   string
		config Config
		want   string // empty: accepted
	}{
		{"one server", Config{Addresses: one}, ""},
		{"an IPv6 address", Config{Addresses: []string{"[::1]:6379"}}, ""},
		{"sentinels", Config{Addresses: []string{"a:1", "b:1"}, Sentinel: "main", SentinelPassword: "{env.X}"}, ""},
		{"a cluster", Config{Addresses: []string{"a:1", "b:1"}, Cluster: true}, ""},
		{"no address", Config{}, "no address is given"},
		{"an address without a port", Config{Addresses: []string{"redis.example.com"}}, `address is "redis.example.com", expected host:port`},
		{"a URL", Config{Addresses: []string{"redis://redis.example.com:6379"}}, "expected host:port"},
		{"a port that is none", Config{Addresses: []string{"a:70000"}}, "expected host:port"},
		{"two servers", Config{Addresses: []string{"a:1", "b:1"}}, "2 addresses are given, expected one"},
		{"sentinel and cluster", Config{Addresses: one, Sentinel: "main", Cluster: true}, "both sentinel and cluster"},
		{"a sentinel's password alone", Config{Addresses: one, SentinelPassword: "{env.X}"}, "without sentinel NAME"},
		{"a user without a password", Config{Addresses: one, Username: "trustpub"}, "there is no password"},
		{"a literal password", Config{Addresses: one, Password: "hunter2"}, "password: a secret must be a placeholder"},
		{"a negative database", Config{Addresses: one, DB: -1}, "db is -1"},
		{"a database of a cluster", Config{Addresses: one, Cluster: true, DB: 1}, "db is 1"},
		{"a certificate without its key", Config{Addresses: one, Certificate: "a.pem"}, "certificate and key belong together"},
		{"durable with sentinels", Config{Addresses: one, Sentinel: "main", Durable: true}, "durable is set with sentinel or cluster"},
		{"a prefix with braces", Config{Addresses: one, Prefix: "{a}:"}, "prefix is"},
		{"a long timeout", Config{Addresses: one, Timeout: model.Duration(time.Minute)}, "timeout is 1m0s, expected 1ms to 5s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.config.Validate()
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("Validate: %v, want %q", err, c.want)
			}
		})
	}
}

// TestKey: another setting is another client, and the key has no secret since the configuration has none.
func TestKey(t *testing.T) {
	a := Config{Addresses: []string{"a:1"}, Password: "{env.A}"}
	b := a
	b.Password = "{env.B}"
	keyA, errA := a.Key(store.Env{})
	keyB, errB := b.Key(store.Env{})
	if errA != nil || errB != nil || keyA == keyB || !strings.HasPrefix(keyA, "redis:") {
		t.Errorf("Key = %q and %q, %v %v, want two that begin with redis:", keyA, keyB, errA, errB)
	}
	if !a.SharedByNodes() {
		t.Error("the store is for several gateways, and says that it isn't")
	}
}

// TestJudge: what a server says of itself decides whether it will do.
func TestJudge(t *testing.T) {
	const valkey = "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\nrun_id:abc\r\n# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n# Replication\r\nmaster_replid:def\r\n"
	for _, c := range []struct{ name, info, want string }{
		{"Valkey", valkey, ""},
		{"Redis 7.0", strings.Replace(valkey, "7.2.4", "7.0.15", 1), ""},
		{"Redis 6", strings.Replace(valkey, "7.2.4", "6.2.14", 1), `Redis "6.2.14", expected 7.0 or later, or Valkey`},
		{"something else", "hello\r\n", `Redis ""`},
		{"one that evicts when it is full", strings.Replace(valkey, "maxmemory:0", "maxmemory:1000", 1), "maxmemory-policy is allkeys-lru, expected noeviction"},
		{"no run id", strings.Replace(valkey, "run_id:abc\r\n", "", 1), "no run_id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := judge(parseInfo(c.info))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("judge: %v, want %q", err, c.want)
				}
				return
			}
			if err != nil || got.id != "abc/def" {
				t.Errorf("judge = %q, %v, want abc/def", got.id, err)
			}
		})
	}
}

// TestAt: the server ends a key after its last millisecond, a claim ends at its very time and never before.
func TestAt(t *testing.T) {
	second := time.Unix(100, 0)
	for _, c := range []struct {
		until time.Time
		want  int64
	}{{second, 99_999}, {second.Add(1), 100_000}, {second.Add(time.Millisecond), 100_000}, {second.Add(time.Millisecond + 1), 100_001}} {
		if diff := cmp.Diff(c.want, at(c.until)); diff != "" {
			t.Errorf("at(%s) (-want +got):\n%s", c.until, diff)
		}
	}
}

// TestSinceNeverGoesBack whatever order runs are met in.
func TestSinceNeverGoesBack(t *testing.T) {
	s := new(Store)
	if !s.Since().IsZero() {
		t.Errorf("Since = %s before anything is known", s.Since())
	}
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	if first := s.raiseSince(late); !first || s.raiseSince(early) || !s.Since().Equal(late) {
		t.Errorf("Since = %s, want %s", s.Since(), late)
	}
}

// TestAnotherServerIsTrustedFromNowOn: whoever meets another server than before trusts no claim from before, however long that server remembers;
// one that comes back is another too.
func TestAnotherServerIsTrustedFromNowOn(t *testing.T) {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now := begin
	s := &Store{now: func() time.Time { return now }, logger: slog.New(slog.DiscardHandler)}
	first, second := marker{"run:1", "one"}, marker{"run:2", "two"}
	for _, met := range []struct {
		name  string
		after time.Duration
		who   marker
		says  time.Duration // since when it remembers, after the beginning
		fresh bool
		want  time.Duration
	}{
		{"the first, which remembers for a day", time.Minute, first, -24 * time.Hour, false, -24 * time.Hour},
		{"the first again", 2 * time.Minute, first, -24 * time.Hour, false, -24 * time.Hour},
		{"another, which remembers for a day too", 3 * time.Minute, second, -23 * time.Hour, false, 3 * time.Minute},
		{"the other again", 4 * time.Minute, second, -23 * time.Hour, false, 3 * time.Minute},
		{"the first once more", 5 * time.Minute, first, -24 * time.Hour, false, 5 * time.Minute},
		{"the first, which has lost its data and was met by another gateway", 6 * time.Minute, marker{"run:1", "anew"}, 5 * time.Minute, false, 6 * time.Minute},
		{"a new one", 7 * time.Minute, marker{"run:3", "three"}, 7*time.Minute - time.Second, true, 7 * time.Minute},
	} {
		now = begin.Add(met.after)
		s.adopt(t.Context(), met.who, begin.Add(met.says), met.fresh, run{})
		if got := s.Since(); !got.Equal(begin.Add(met.want)) || *s.met() != met.who {
			t.Errorf("%s: Since is %s, expected %s", met.name, got.Sub(begin), met.want)
		}
	}
}
