package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxSkew is how far the server's clock and the gateway's may be apart. A server that runs ahead would forget a claim too
// early; claims outlive their tokens by more than this.
const maxSkew = 5 * time.Minute

// run identifies what may remember claims: one process as one primary. A restart changes its id, a promotion the id of its history.
type run struct{ id, version string }

// check looks at every new connection before anything is asked on it: whether the server can do what the store needs, and
// whether it is one that remembers. A claim is always answered on a connection that was checked, so that whoever reads Since
// after a claim knows what the claim is worth.
func (s *Store) check(ctx context.Context, conn *redis.Conn) error {
	if err := s.inspect(ctx, conn); err != nil {
		return fmt.Errorf("%w", err) // the library takes one wrapping off
	}
	return nil
}

func (s *Store) inspect(ctx context.Context, conn *redis.Conn) error {
	info, err := conn.Info(ctx).Result()
	if err != nil {
		return fmt.Errorf("ask the server about itself (INFO): %w", err)
	}
	facts := parseInfo(info)
	if facts["redis_mode"] == "sentinel" {
		return nil
	}
	found, err := judge(facts)
	if err != nil {
		return permanent(err)
	}
	if err := s.checkDurable(ctx, conn); err != nil {
		return err
	}
	clock, err := conn.Time(ctx).Result()
	if err != nil {
		return fmt.Errorf("ask the server for its time (TIME): %w", err)
	}
	if skew := clock.Sub(s.now()); skew.Abs() > maxSkew {
		return permanent(fmt.Errorf("the server's clock is %s ahead of the gateway's (negative: behind), expected at most %s apart: run a time service on both", skew.Round(time.Second), maxSkew))
	}
	return s.meet(ctx, conn, found)
}

// judge refuses a server that would not do.
func judge(facts map[string]string) (run, error) {
	version := facts["redis_version"]
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < 7 {
		return run{}, fmt.Errorf("the server says it is Redis %q, expected 7.0 or later, or Valkey: a claim is one SET with NX and GET, which older ones refuse", version)
	}
	if policy := facts["maxmemory_policy"]; policy != "" && policy != "noeviction" && facts["maxmemory"] != "0" {
		return run{}, fmt.Errorf("the server's maxmemory-policy is %s, expected noeviction: a server that is short of memory must refuse a claim, not forget one", policy)
	}
	if facts["run_id"] == "" {
		return run{}, errors.New("the server's INFO has no run_id, by which a restart is noticed")
	}
	return run{id: facts["run_id"] + "/" + facts["master_replid"], version: version}, nil
}

// parseInfo reads the answer of INFO.
func parseInfo(text string) map[string]string {
	facts := map[string]string{}
	for scanner := bufio.NewScanner(strings.NewReader(text)); scanner.Scan(); {
		if name, value, ok := strings.Cut(strings.TrimSpace(scanner.Text()), ":"); ok {
			facts[name] = value
		}
	}
	return facts
}

// checkDurable holds the server to what the operator has promised of it, where it lets itself be asked.
func (s *Store) checkDurable(ctx context.Context, conn *redis.Conn) error {
	if !s.config.Durable {
		return nil
	}
	got, err := conn.ConfigGet(ctx, "append*").Result()
	switch {
	case redis.IsPermissionError(err) || isUnknownCommand(err):
		s.logger.WarnContext(ctx, "the server does not tell how it keeps its data, so that durable is believed", slog.Any("cause", err))
	case err != nil:
		return fmt.Errorf("ask the server how it keeps its data (CONFIG GET): %w", err)
	case got["appendonly"] != "yes" || got["appendfsync"] != "always":
		return permanent(fmt.Errorf("durable is set and the server has appendonly %s and appendfsync %s, expected yes and always: change the server, or leave durable out", got["appendonly"], got["appendfsync"]))
	}
	return nil
}

// isUnknownCommand is true where a service has taken the command away.
func isUnknownCommand(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer) && strings.Contains(strings.ToLower(answer.Error()), "unknown command")
}

// meet finds out since when the server remembers. Each run of it has a key with that time; a run without one is new, or has
// lost its data. In a cluster the key could lie on another node, so there the gateway remembers the runs itself, and trusts
// none from before its own start.
func (s *Store) meet(ctx context.Context, conn *redis.Conn, found run) error {
	now := s.now().UTC()
	if s.config.Cluster {
		if _, known := s.runs.LoadOrStore(found.id, true); !known {
			s.forgotBefore(ctx, now, found)
		}
		return nil
	}
	m := marker{s.runKey(found), now.Format(time.RFC3339Nano)}
	said, err := conn.Do(ctx, "SET", m.key, m.value, "NX", "GET").Text()
	fresh := errors.Is(err, redis.Nil)
	switch {
	case fresh:
	case err != nil:
		return fmt.Errorf("SET %s with NX and GET: %w", m.key, err)
	default:
		if now, err = time.Parse(time.RFC3339Nano, said); err != nil {
			return permanent(fmt.Errorf("key %s does not hold a time, expected what a gateway has written: is prefix %q used by something else?", m.key, s.prefix))
		}
		m.value = said
	}
	s.adopt(ctx, m, now, fresh, found)
	return nil
}

// runKey is the key that a server forgets with its claims. Of a durable one only the loss of its data matters, not a restart.
func (s *Store) runKey(found run) string {
	if s.config.Durable {
		return s.prefix + "durable"
	}
	return s.prefix + "run:" + found.id
}

// forgotBefore takes note of a server that may have forgotten all claims before now.
func (s *Store) forgotBefore(ctx context.Context, now time.Time, found run) {
	first := s.raiseSince(now)
	attrs := []any{slog.String("version", found.version), slog.String("run", found.id), slog.Time("since", now)}
	if first {
		s.logger.InfoContext(ctx, "the store's server is new to us; tokens that were issued before now are refused", attrs...)
		return
	}
	s.logger.WarnContext(ctx, "the store's server was restarted or replaced, or has lost its data; tokens that were issued before now are refused, and switches may be gone", attrs...)
}

// raiseSince moves Since forward, never back; it reports whether it was unset.
func (s *Store) raiseSince(to time.Time) (first bool) {
	for {
		old := s.since.Load()
		if old != nil && !to.After(*old) {
			return false
		}
		if s.since.CompareAndSwap(old, &to) {
			return old == nil
		}
	}
}

// Since is when the server that answers now began to remember; zero before the first connection, when nothing can be claimed.
func (s *Store) Since() time.Time {
	if since := s.since.Load(); since != nil {
		return *since
	}
	return time.Time{}
}
