package integration

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trustpub/trustpub/integration/redisserver"
	"github.com/trustpub/trustpub/internal/model"
)

// half sends the first half of an upload, and gives what sends the rest.
func half(t *testing.T, r *rig) (rest func() answer) {
	t.Helper()
	body := bigWheel(t, "acme-widget", "2.0", 400<<10).form().Bytes()
	conn := r.dial(t)
	conn.begin(r, byLength, bearer(r.identity(nil)), len(body))
	conn.send(body[:len(body)/2])
	return func() answer {
		t.Helper()
		conn.send(body[len(body)/2:])
		conn.end()
		return conn.answer()
	}
}

// tapped is a gateway whose registry's side is seen, so that a test knows that an upload is under way.
func tapped(t *testing.T, options ...option) (r *rig, underWay func() (rest func() answer)) {
	t.Helper()
	reg := sink(t)
	p := newTap(t, reg.Addr)
	r = startRig(t, reg, append(options, withUpstream(p.Addr()))...)
	return r, func() func() answer {
		sent := p.Sent()
		rest := half(t, r)
		flowing(t, p, sent+100<<10)
		return rest
	}
}

// TestBrokenReload: a configuration that can't be loaded changes nothing, for uploads under way and new ones; one at a cold start with a
// broken policy keeps the gateway from starting, and says where the mistake is.
func TestBrokenReload(t *testing.T) {
	t.Parallel()
	r, underWay := tapped(t)
	rest := underWay()
	for name, line := range map[string]string{
		"a bad setting": "token_lifetime 99h", "a store that can't be opened": "store local " + filepath.Join(r.gw.Dir, "Caddyfile", "x.db"),
	} {
		config := r.config
		config.Global = []string{line}
		if err := r.gw.Reload(t.Context(), config); err == nil {
			t.Errorf("%s: the configuration was loaded", name)
		}
	}
	ok(t, rest())
	ok(t, r.upload(t, bearer(r.identity(nil)), newWheel(t, "acme-widget", "2.1").form()))

	cold := prepareRig(t, sink(t), withPolicy("broken.yaml", "policies:\n  - name: x\n    packges: [a]\n"))
	if err := cold.gw.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "broken.yaml:3") {
		t.Errorf("a cold start with a broken policy: %v, expected an error with file and line", err)
	}
}

// TestDrain: a gateway that is asked to stop takes no new connection, ends the upload that is under way, and goes.
func TestDrain(t *testing.T) {
	t.Parallel()
	r, underWay := tapped(t)
	rest := underWay()
	stopped := make(chan struct{})
	go func() { defer close(stopped); r.gw.Stop() }()
	r.eventually(t, "new connections are refused", func() bool {
		conn, err := net.Dial("tcp", strings.Replace(r.site.Host(), "localhost", "127.0.0.1", 1))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	ok(t, rest())
	<-stopped
	if out, err := r.gw.Command(t.Context(), "trustpub", "audit", "verify", filepath.Join(r.gw.Dir, "audit.jsonl")); err != nil {
		t.Errorf("the audit after the drain: %v\n%s", err, out)
	}
	events, err := r.gw.Audit()
	if err != nil || len(events) == 0 || events[len(events)-1].Result != "stored" {
		t.Errorf("the audit does not end with the upload's outcome: %v", err)
	}
}

// TestKilled: a gateway that is killed in the middle of uploads leaves an audit whose chain holds, remembers what was used, and is back
// at once.
func TestKilled(t *testing.T) {
	t.Parallel()
	r, underWay := tapped(t)
	used := r.identity(nil)
	ok(t, r.upload(t, bearer(used), newWheel(t, "acme-widget", "1.0").form()))
	minted := r.mint(t, nil)
	for range 3 {
		_ = underWay()
		r.gw.Kill()
		if err := r.gw.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		replayed(t, r.upload(t, bearer(used), newWheel(t, "acme-widget", "1.1").form()))
		ok(t, r.upload(t, bearer(minted), newWheel(t, "acme-widget", "2.1").form()))
	}
	if out, err := r.gw.Command(t.Context(), "trustpub", "audit", "verify", filepath.Join(r.gw.Dir, "audit.jsonl")); err != nil {
		t.Errorf("the audit after the kills: %v\n%s", err, out)
	}
}

// TestAuditDiskFull: where a decision can't be written, nothing is published and no token is burned; reads go on, and so does all once
// there is room.
func TestAuditDiskFull(t *testing.T) {
	t.Parallel()
	r := startRig(t, sink(t), withGlobal("store memory"))
	r.eventually(t, "the store takes tokens", func() bool { minted, _ := r.exchange(t, r.identity(nil)); return minted != "" })
	w := newWheel(t, "acme-widget", "1.0")
	ok(t, r.upload(t, bearer(r.identity(nil)), w.form()))
	audit := filepath.Join(r.gw.Dir, "audit.jsonl")
	info, err := os.Stat(audit)
	if err != nil {
		t.Fatal(err)
	}
	// The file may grow by less than a line; the system cuts the write, as a full disk does.
	var before unix.Rlimit
	full := unix.Rlimit{Cur: uint64(info.Size()) + 100, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(r.gw.PID(), unix.RLIMIT_FSIZE, nil, &before); err != nil {
		t.Fatal(err)
	}
	full.Max = before.Max
	if err := unix.Prlimit(r.gw.PID(), unix.RLIMIT_FSIZE, &full, nil); err != nil {
		t.Fatal(err)
	}
	token := r.identity(nil)
	for range 3 {
		refused(t, r.upload(t, bearer(r.identity(nil)), w.form()), http.StatusServiceUnavailable, model.CodeAuditUnavailable)
	}
	if minted, a := r.exchange(t, token); minted != "" || !strings.Contains(a.Body, string(model.CodeAuditUnavailable)) {
		t.Errorf("an exchange: %d %s", a.Status, a.Body)
	}
	if a := r.send(t, http.MethodGet, "/simple/", nil, nil); a.Status != http.StatusOK {
		t.Errorf("a read: %d %s", a.Status, a.Body)
	}
	if err := unix.Prlimit(r.gw.PID(), unix.RLIMIT_FSIZE, &before, nil); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "there is room again", func() bool {
		return r.upload(t, bearer(r.identity(nil)), w.form()).Status == http.StatusOK
	})
	if minted, a := r.exchange(t, token); minted == "" {
		t.Errorf("the token of the exchange that failed: %d %s, expected it to be good still", a.Status, a.Body)
	}
	if out, err := r.gw.Command(t.Context(), "trustpub", "audit", "verify", audit); err != nil {
		t.Errorf("the audit's chain: %v\n%s", err, out)
	}
}

// TestStoreClockJumps: a store whose clock jumps ahead by less than an hour and back lets no token in twice.
func TestStoreClockJumps(t *testing.T) {
	t.Parallel()
	now := time.Now()
	store := newRedis(t, redisserver.Options{Clock: now})
	nodes := startNodes(t, 2, sink(t), patient(store.Addr()))
	used := nodes[0].identity(nil)
	w := newWheel(t, "acme-widget", "1.0")
	ok(t, nodes[0].upload(t, bearer(used), w.form()))
	for _, jump := range []time.Duration{59 * time.Minute, 0, -time.Hour, 0} {
		if err := store.SetTime(now.Add(jump)); err != nil {
			t.Fatal(err)
		}
		for _, node := range nodes {
			a := node.upload(t, bearer(used), newWheel(t, "acme-widget", "1.1").form())
			if a.Status == http.StatusOK {
				t.Errorf("with the store's clock off by %s a token was used twice", jump)
			}
		}
	}
	replayed(t, nodes[1].upload(t, bearer(used), newWheel(t, "acme-widget", "1.1").form()))
}

// TestStoreLost: without the shared store nothing is published and reads go on; when it is back, so is all else.
func TestStoreLost(t *testing.T) {
	t.Parallel()
	store := newRedis(t, redisserver.Options{Persist: true})
	node := startNodes(t, 1, sink(t), "store redis "+store.Addr()+" {\n\tdurable\n}")[0]
	w := newWheel(t, "acme-widget", "1.0")
	minted := node.mint(t, nil)
	store.Kill()
	fastest := time.Hour // the others may have waited for the machine
	for range 8 {
		began := time.Now()
		a := node.upload(t, bearer(minted), w.form())
		refused(t, a, http.StatusServiceUnavailable, model.CodeStoreUnavailable)
		fastest = min(fastest, time.Since(began))
	}
	if fastest > 2*time.Second {
		t.Errorf("a refusal took %s at least, expected a tenth of a second", fastest)
	}
	if _, a := node.exchange(t, node.identity(nil)); !strings.Contains(a.Body, string(model.CodeStoreUnavailable)) {
		t.Errorf("an exchange: %d %s", a.Status, a.Body)
	}
	for name, header := range map[string]http.Header{"nobody's": nil, "with a token": bearer(minted)} {
		if a := node.send(t, http.MethodGet, node.site.Registry.Path+"+simple/acme-widget/", header, nil); a.Status != http.StatusOK {
			t.Errorf("a read, %s: %d %s", name, a.Status, a.Body)
		}
	}
	if err := store.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	node.eventually(t, "the store is back", func() bool { return node.upload(t, bearer(minted), w.form()).Status == http.StatusOK })
}
