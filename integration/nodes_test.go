package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/redisserver"
	"github.com/trustpub/trustpub/integration/registry"
	"github.com/trustpub/trustpub/internal/model"
)

// newRedis runs a server for one test.
func newRedis(t *testing.T, opts redisserver.Options) *redisserver.Server {
	t.Helper()
	opts.Dir = t.TempDir()
	server, err := redisserver.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Stop()
		if t.Failed() {
			t.Logf("redis-server printed:\n%s", tail(server.Log(), 40))
		}
	})
	return server
}

// sink is a registry that takes everything and keeps nothing, for tests that are about the gateway's answers.
func sink(t testing.TB) *registry.Registry {
	t.Helper()
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		var buf [4096]byte
		for err := error(nil); err == nil; _, err = r.Body.Read(buf[:]) {
		}
	}))
	t.Cleanup(server.Close)
	secret := filepath.Join(t.TempDir(), "sink-password")
	if err := os.WriteFile(secret, []byte("canary-sink-password-4Rw8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &registry.Registry{
		Kind: "sink", Addr: strings.TrimPrefix(server.URL, "http://"), Path: "/acme/prod/",
		Credential: "credential static {\n\tbasic publisher {file." + secret + "}\n}", Secrets: []string{"canary-sink-password-4Rw8"},
		Log: func() string { return "" },
	}
}

// startNodes starts gateways behind one name, each on a port of its own, with a common storage of Caddy's.
func startNodes(t *testing.T, n int, reg *registry.Registry, lines ...string) []*rig {
	t.Helper()
	nodes := prepareNodes(t, n, reg, lines...)
	for _, node := range nodes {
		if err := node.gw.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range nodes { // a store that is new refuses tokens of the second in which it began
		node.eventually(t, "the store takes tokens", func() bool {
			minted, _ := node.exchange(t, quick(node))
			return minted != ""
		})
	}
	return nodes
}

// prepareNodes does all but the start.
func prepareNodes(t *testing.T, n int, reg *registry.Registry, lines ...string) []*rig {
	t.Helper()
	balancer, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	storage := t.TempDir()
	// Thousands of exchanges in a minute come from the one address of a test.
	lines = append([]string{"limits {\n\texchanges_per_client off\n\texchanges_per_issuer off\n}"}, lines...)
	var nodes []*rig
	for range n {
		nodes = append(nodes, prepareRig(t, reg, withNode(balancer, storage, append([]string{fmt.Sprint("nodes ", n)}, lines...)...)))
	}
	return nodes
}

// fire sends one identity token to all nodes at once and says how many exchanged it; what else they answer is a replay, or one
// of the codes.
func fire(t *testing.T, nodes []*rig, token string, codes ...model.Code) (wins int32) {
	t.Helper()
	var won atomic.Int32
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, node := range nodes {
		wg.Go(func() {
			<-start
			minted, a := node.exchange(t, token)
			if minted != "" {
				won.Add(1)
				return
			}
			for _, code := range append(codes, model.CodeReplayed) {
				if strings.Contains(a.Body, string(code)) {
					return
				}
			}
			t.Errorf("a node answered %d, expected one of %v\n%s", a.Status, codes, a.Body)
		})
	}
	close(start)
	wg.Wait()
	return won.Load()
}

// many runs rounds on some workers; each gets its number.
func many(rounds int, round func(n int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(rounds); n = next.Add(1) {
				round(int(n))
			}
		})
	}
	wg.Wait()
}

// quick is an identity token that costs little to make.
func quick(r *rig) string { return shared.issuer.TokenAlg("ES256", r.site.Host(), nil) }

// TestInvariantNoReplayAcrossNodes fires each token at two or three gateways at once, 10,000 tokens in all, also while their
// store is killed and started again.
func TestInvariantNoReplayAcrossNodes(t *testing.T) {
	t.Run("two", func(t *testing.T) { oneWinner(t, 2, 4000) })
	t.Run("three", func(t *testing.T) { oneWinner(t, 3, 2500) })
	t.Run("two, and a store that is killed and forgets", func(t *testing.T) { noneOrOne(t, 2, 2000, false) })
	t.Run("three, and a store that is killed and forgets nothing", func(t *testing.T) { noneOrOne(t, 3, 1500, true) })
}

func oneWinner(t *testing.T, n, tokens int) {
	store := newRedis(t, redisserver.Options{})
	nodes := startNodes(t, n, sink(t), patient(store.Addr()))
	began := time.Now()
	many(tokens, func(int) {
		if wins := fire(t, nodes, quick(nodes[0])); wins != 1 {
			t.Errorf("%d nodes exchanged one token, expected 1", wins)
		}
	})
	t.Logf("%d tokens at %d nodes in %s", tokens, n, time.Since(began).Round(time.Millisecond))
}

// patient is a store whose time limit a busy test machine keeps.
func patient(addr string, lines ...string) string {
	return "store redis " + addr + " {\n\ttimeout 5s\n" + strings.Join(lines, "\n") + "\n}"
}

func noneOrOne(t *testing.T, n, tokens int, durable bool) {
	store := newRedis(t, redisserver.Options{Persist: durable})
	line := "store redis " + store.Addr()
	if durable {
		line += " {\n\tdurable\n}"
	}
	nodes := startNodes(t, n, sink(t), line)
	const kills = 6
	var mu sync.Mutex
	var used []string
	var none, one, killed atomic.Int32
	many(tokens, func(round int) {
		if round%(tokens/kills) == tokens/kills/2 {
			store.Kill()
			killed.Add(1)
			if err := store.Restart(t.Context()); err != nil {
				t.Error(err)
			}
			// The rounds go on while the nodes find out.
		}
		token := quick(nodes[0])
		switch wins := fire(t, nodes, token, model.CodeStoreUnavailable, model.CodeIssuedBeforeStart); wins {
		case 0:
			none.Add(1)
		case 1:
			one.Add(1)
			mu.Lock()
			used = append(used, token)
			mu.Unlock()
		default:
			t.Errorf("%d nodes exchanged one token, expected none or one", wins)
		}
	})
	t.Logf("%d tokens, %d kills: %d were exchanged once, %d never", tokens, killed.Load(), one.Load(), none.Load())
	if one.Load() < int32(tokens/20) || killed.Load() != kills {
		t.Errorf("%d tokens were exchanged and the store was killed %d times, expected more: nothing was shown", one.Load(), killed.Load())
	}
	for _, node := range nodes {
		node.eventually(t, "the store is back", func() bool {
			minted, _ := node.exchange(t, quick(node))
			return minted != ""
		})
	}
	// What was used before any of the kills is not good again.
	many(len(used), func(i int) {
		if wins := fire(t, nodes, used[i-1], model.CodeIssuedBeforeStart, model.CodeStoreUnavailable); wins != 0 {
			t.Errorf("%d nodes took a token that was used before, expected 0", wins)
		}
	})
}

// TestNodesAreOneGateway: a token that one node minted publishes at the other, ends at both when it is revoked at one, and a release that
// one node took with an identity token is taken at the other.
func TestNodesAreOneGateway(t *testing.T) {
	t.Parallel()
	store := newRedis(t, redisserver.Options{})
	reg := newRegistry(t, "pypiserver")
	nodes := startNodes(t, 2, reg, patient(store.Addr()))
	one, two := nodes[0], nodes[1]
	first, second := newWheel(t, "acme-widget", "1.0"), newWheel(t, "acme-widget", "1.1")
	minted := one.mint(t, nil)
	ok(t, two.upload(t, bearer(minted), first.form()))
	two.burn(t, minted)
	refused(t, one.upload(t, bearer(minted), second.form()), http.StatusUnauthorized, model.CodeRevoked)

	direct := one.identity(nil)
	ok(t, one.upload(t, bearer(direct), second.form()))
	replayed(t, two.upload(t, bearer(direct), newWheel(t, "acme-widget", "1.2").form()))
	_, a := two.exchange(t, direct)
	replayed(t, a)
	one.holds(t, first, second)
}

// TestSwitchesReachOtherNodes: what an operator stops at one node is stopped at the other without another word, on tokens that are out, and
// goes on there when it is removed. How soon, internal/switches shows with a clock of its own.
func TestSwitchesReachOtherNodes(t *testing.T) {
	t.Parallel()
	store := newRedis(t, redisserver.Options{})
	nodes := startNodes(t, 2, sink(t), patient(store.Addr()))
	one, two := nodes[0], nodes[1]
	minted := two.mint(t, nil)
	deny := func(args ...string) {
		t.Helper()
		if out, err := one.gw.Command(t.Context(), append([]string{"trustpub", "deny"}, append(args, "--address", one.gw.AdminAddr())...)...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	publish := func() answer { return two.upload(t, bearer(minted), newWheel(t, "acme-widget", "1.0").form()) }
	ok(t, publish())
	deny("add", "repository_id", "111", "--reason", "incident 12")
	two.eventually(t, "the switch acts at the other node", func() bool { return publish().code() == string(model.CodeDeniedByOperator) })
	_, a := two.exchange(t, two.identity(nil))
	if !strings.Contains(a.Body, string(model.CodeDeniedByOperator)) {
		t.Errorf("an exchange at the other node: %d %s", a.Status, a.Body)
	}
	store.Kill() // and with it all that it knew
	if err := store.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	two.eventually(t, "the switch is in the store again", func() bool {
		out, err := two.gw.Command(t.Context(), "trustpub", "deny", "list", "--address", two.gw.AdminAddr())
		return err == nil && strings.Contains(out, "incident 12")
	})
	deny("remove", "repository_id", "111")
	two.eventually(t, "the switch is gone at the other node", func() bool {
		fresh, _ := two.exchange(t, two.identity(nil))
		return fresh != ""
	})
}

// TestNodesNeedASharedStore: more than one node with a store that one alone can see is refused, with what to do.
func TestNodesNeedASharedStore(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"store memory", "store local"} {
		node := prepareNodes(t, 2, sink(t), store)[0]
		err := node.gw.Start(t.Context())
		if err == nil {
			t.Fatalf("%s: the gateway started", store)
		}
		for _, want := range []string{"nodes is 2", store + " is seen by one gateway only", `store redis HOST:PORT`} {
			if !strings.Contains(err.Error(), strings.ReplaceAll(want, `"`, `\"`)) {
				t.Errorf("%s: the error lacks %q\n%v", store, want, err)
			}
		}
	}
}
