package integration

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/redisserver"
	"github.com/trustpub/trustpub/internal/model"
)

// startGenericNodes starts gateways in front of one store of files, which replaces whatever it has.
func startGenericNodes(t *testing.T, n int, store *redisserver.Server) []*rig {
	t.Helper()
	balancer, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	reg, storage := newRegistry(t, "webdav"), t.TempDir()
	global := []string{fmt.Sprint("nodes ", n), patient(store.Addr())}
	var nodes []*rig
	for i := range n {
		node := startRig(t, reg, withEcosystem("generic"), withLines("layout /{package}/{version}/{file}"), withNode(balancer, storage, global...))
		node.eventually(t, "the store takes tokens", func() bool {
			path := fmt.Sprintf("/acme-widget/0.%d/%s", i, random(8))
			return node.send(t, http.MethodPut, path, bearer(node.identity(nil)), []byte("first")).Status/100 == 2
		})
		nodes = append(nodes, node)
	}
	return nodes
}

// TestOnceAmongNodes publishes several files of one name at once, at two gateways in front of a store that would replace the first by the
// second: one is published, and it is what stays.
func TestOnceAmongNodes(t *testing.T) {
	t.Parallel()
	nodes := startGenericNodes(t, 2, newRedis(t, redisserver.Options{}))
	const rounds, uploads = 60, 4
	for round := range rounds {
		path := fmt.Sprintf("acme-widget/1.%d/file.tar.gz", round)
		var won [uploads]bool
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range uploads {
			node := nodes[i%len(nodes)]
			header := bearer(node.identity(nil))
			all.Go(func() {
				<-start
				a := node.send(t, http.MethodPut, "/"+path, header, fmt.Append(nil, "the file of upload ", i))
				won[i] = a.Status/100 == 2
				if !won[i] && a.code() != string(model.CodeAlreadyExists) {
					t.Errorf("upload %d: %d %s", i, a.Status, a.Body)
				}
			})
		}
		close(start)
		all.Wait()
		stored, winners := nodes[0].files()[path], 0
		for i, one := range won {
			if !one {
				continue
			}
			winners++
			if sum := sha256.Sum256(fmt.Append(nil, "the file of upload ", i)); stored != hex.EncodeToString(sum[:]) {
				t.Errorf("round %d: upload %d was told that it was published, and the store has another", round, i)
			}
		}
		if winners != 1 {
			t.Errorf("round %d: %d uploads were told that they were published, expected 1", round, winners)
		}
	}
}

// TestOnceWhenANodeDies: a file that a gateway was publishing when it died may be published at another one, within the half minute that its turn
// lasts, and not before.
func TestOnceWhenANodeDies(t *testing.T) {
	t.Parallel()
	store := newRedis(t, redisserver.Options{})
	nodes := startGenericNodes(t, 2, store)
	server := goredis.NewClient(&goredis.Options{Addr: store.Addr()})
	defer server.Close()
	one, two := nodes[0], nodes[1]
	const path = "/acme-widget/1.0/file.tar.gz"
	publish := func() answer { return two.send(t, http.MethodPut, path, bearer(two.identity(nil)), []byte("whole")) }
	conn, err := tls.Dial("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(one.site.Port)), &tls.Config{RootCAs: shared.pki.Pool, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\nhalf", path, one.site.Host(), one.identity(nil)); err != nil {
		t.Fatal(err)
	}
	var turns []string
	two.eventually(t, "the first upload has its turn", func() bool {
		var err error
		turns, err = server.Keys(t.Context(), "*:lease:*").Result()
		return err == nil && len(turns) == 1
	})
	one.gw.Kill()
	if left, err := server.PTTL(t.Context(), turns[0]).Result(); err != nil || left > 30*time.Second {
		t.Errorf("the turn of the one that died lasts %s (%v), expected half a minute at most", left, err)
	}
	if a := publish(); a.code() != string(model.CodeAlreadyExists) {
		t.Errorf("right after the death: %d %s, expected %s", a.Status, a.Body, model.CodeAlreadyExists)
	}
	err = process.Poll(t.Context(), 2*time.Minute, nil, func(context.Context) error {
		if a := publish(); a.Status/100 != 2 {
			return fmt.Errorf("%d %s", a.Status, a.Body)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("the file is not published at the other gateway: %v", err)
	}
}
