package redisserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trustpub/trustpub/integration/gateway"
	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/toolbox"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store"
	"github.com/trustpub/trustpub/internal/store/redis"
)

const password = "canary-redis-password-7Kd3"

// commands are what docs/operations.md tells operators to allow.
const commands = "+hello +auth +ping +select +info +time +set +get +exists +pexpireat +hset +hsetnx +hget +hdel +hgetall +watch +unwatch +multi +exec"

// secretFile writes a secret and gives its placeholder.
func secretFile(t *testing.T, text string) model.Secret {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return model.Secret("{file." + path + "}")
}

// everything uses each operation of the store once.
func everything(t *testing.T, s *redis.Store) {
	t.Helper()
	ctx := t.Context()
	freeze := model.Switch{Kind: model.SwitchPackage, Value: "r/p", Reason: "test"}
	for _, holder := range []string{"first", "second", "first"} {
		if got := claim(ctx, s, "k", holder); got != "first" {
			t.Errorf("Claim by %s = %q, want first", holder, got)
		}
	}
	revokeErr := s.Revoke(ctx, "id", until())
	revoked, revokedErr := s.Revoked(ctx, "other", "id")
	setErr := s.SetSwitch(ctx, freeze)
	all, listErr := s.Switches(ctx)
	found, removeErr := s.RemoveSwitch(ctx, freeze.ID())
	leased, leaseErr := s.Lease(ctx, "l", "first", time.Minute)
	again, againErr := s.Lease(ctx, "l", "first", time.Minute)
	if err := errors.Join(leaseErr, againErr, s.Release(ctx, "l", "first")); err != nil || leased != "first" || again != "first" {
		t.Errorf("Lease = %q and %q, %v, want first", leased, again, err)
	}
	if err := errors.Join(revokeErr, revokedErr, setErr, listErr, removeErr); err != nil || !revoked || len(all) != 1 || !found {
		t.Errorf("revoked %t, %d switches, removed %t, %v", revoked, len(all), found, err)
	}
}

// TestUser logs in as a user that may do what the documents say and no more.
func TestUser(t *testing.T) {
	each(t, func(t *testing.T, program string) {
		server := start(t, Options{Program: program, Args: strings.Fields("--user default off --user trustpub on >" + password + " ~trustpub:* " + commands)})
		config := redis.Config{Addresses: []string{server.Addr()}, Username: "trustpub", Password: secretFile(t, password)}
		everything(t, open(t, config, redis.Options{}))
		// The doctor needs no right beside them.
		if found, err := config.Check(t.Context(), store.Env{}); err != nil {
			t.Errorf("Check: %q, %v", found, err)
		}
	})
}

// TestLeasesWithAnotherClock: a lease lasts although the server's clock is minutes ahead of the gateway's, as far as the two may be apart.
func TestLeasesWithAnotherClock(t *testing.T) {
	server := start(t, Options{Clock: time.Now().Add(4 * time.Minute)})
	s := open(t, redis.Config{Addresses: []string{server.Addr()}}, redis.Options{})
	for _, holder := range []string{"first", "second", "first"} {
		if got, err := s.Lease(t.Context(), "k", holder, 30*time.Second); err != nil || got != "first" {
			t.Errorf("Lease by %s = %q, %v, want first", holder, got, err)
		}
	}
}

// TestDefaultUser logs in with a password alone.
func TestDefaultUser(t *testing.T) {
	server := start(t, Options{Args: []string{"--requirepass", password}})
	everything(t, open(t, redis.Config{Addresses: []string{server.Addr()}, Password: secretFile(t, password)}, redis.Options{}))
}

// TestTLS talks to a server with a private authority, which asks for a certificate of the gateway's.
func TestTLS(t *testing.T) {
	pki, err := gateway.NewPKI(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server := start(t, Options{Args: []string{
		"--tls-cert-file", pki.ChainFile, "--tls-key-file", pki.KeyFile, "--tls-ca-cert-file", pki.CAFile, "--tls-auth-clients", "yes",
	}, TLS: true})
	everything(t, open(t, redis.Config{Addresses: []string{server.Addr()}, CA: pki.CAFile, Certificate: pki.ChainFile, KeyFile: pki.KeyFile}, redis.Options{}))
	_, err = redis.Open(t.Context(), redis.Config{Addresses: []string{server.Addr()}, TLS: true}, redis.Options{})
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with the system's authorities: %v, want an error of the certificate", err)
	}
}

// TestRefusals: what waiting doesn't cure is told when the store is opened, without a secret.
func TestRefusals(t *testing.T) {
	plain := start(t, Options{Args: []string{"--requirepass", password}})
	evicting := start(t, Options{Args: []string{"--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"}})
	ahead := start(t, Options{Clock: time.Now().Add(time.Hour + 30*time.Second)})
	forgetful := start(t, Options{})
	program, err := toolbox.OldRedis.Program(t.Context(), "redis-server")
	if err != nil {
		t.Fatal(err)
	}
	old := start(t, Options{Program: program})
	poor := start(t, Options{Args: strings.Fields("--user default on nopass ~* " + strings.Replace(commands, "+info ", "", 1))})
	for _, c := range []struct {
		name   string
		config redis.Config
		want   string
	}{
		{"no password", redis.Config{Addresses: []string{plain.Addr()}}, "NOAUTH"},
		{"another password", redis.Config{Addresses: []string{plain.Addr()}, Password: secretFile(t, password+"x")}, "WRONGPASS"},
		{"a secret that is gone", redis.Config{Addresses: []string{plain.Addr()}, Password: "{file./nowhere/secret}"}, "secret {file./nowhere/secret}"},
		{"Redis 6", redis.Config{Addresses: []string{old.Addr()}}, `the server says it is Redis "6.2.14", expected 7.0 or later, or Valkey`},
		{"a server that evicts", redis.Config{Addresses: []string{evicting.Addr()}}, "maxmemory-policy is volatile-lru, expected noeviction"},
		{"a clock that is ahead", redis.Config{Addresses: []string{ahead.Addr()}}, "the server's clock is 1h0m"},
		{"durable, and it is not", redis.Config{Addresses: []string{forgetful.Addr()}, Durable: true}, "appendonly no and appendfsync everysec, expected yes and always"},
		{"a user that may not ask", redis.Config{Addresses: []string{poor.Addr()}}, "INFO"},
		{"a file that is no certificate", redis.Config{Addresses: []string{plain.Addr()}, CA: "/dev/null"}, "/dev/null holds no certificate"},
		{"no such file", redis.Config{Addresses: []string{plain.Addr()}, CA: "/nowhere/ca.pem"}, "ca: open /nowhere/ca.pem"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_ = c.config.Timeout.UnmarshalText([]byte("2s"))
			s, err := redis.Open(t.Context(), c.config, redis.Options{})
			if err == nil {
				_ = s.Close()
				t.Fatal("Open: want an error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("Open: %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), password) {
				t.Error("the error has the password")
			}
		})
	}
}

// TestCluster spreads claims over three primaries.
func TestCluster(t *testing.T) {
	var nodes []*Server
	var addresses []string
	var buses []int // their own ports between nodes, since the default of 10,000 above may not be free
	for n := range 3 {
		bus, err := process.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		node := start(t, Options{Args: []string{
			"--cluster-enabled", "yes", "--cluster-config-file", fmt.Sprint("nodes", n, ".conf"), "--cluster-node-timeout", "2000", "--cluster-port", fmt.Sprint(bus),
		}})
		nodes, addresses, buses = append(nodes, node), append(addresses, node.Addr()), append(buses, bus)
	}
	for n, node := range nodes {
		c := raw(t, node)
		if err := c.ClusterAddSlotsRange(t.Context(), n*16384/3, (n+1)*16384/3-1).Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.Do(t.Context(), "CLUSTER", "MEET", "127.0.0.1", nodes[0].Port(), buses[0]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	await(t, func(ctx context.Context) error {
		for _, node := range nodes {
			info, err := raw(t, node).ClusterInfo(ctx).Result()
			if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return fmt.Errorf("%w: %s", err, info)
			}
		}
		return nil
	})
	opened := time.Now()
	s := open(t, redis.Config{Addresses: addresses[:2], Cluster: true}, redis.Options{})
	other := open(t, redis.Config{Addresses: addresses[2:], Cluster: true}, redis.Options{})
	everything(t, s)
	for n := range 60 {
		key := fmt.Sprint("key", n)
		if got := claim(t.Context(), s, key, "first") + claim(t.Context(), other, key, "second"); got != "firstfirst" {
			t.Fatalf("%s: %s", key, got)
		}
	}
	for _, node := range nodes {
		if n, err := raw(t, node).DBSize(t.Context()).Result(); err != nil || n < 5 {
			t.Errorf("a node has %d keys, %v, expected its share", n, err)
		}
	}
	if !s.Since().After(opened) {
		t.Errorf("Since = %s, expected the start of this gateway: what a cluster forgot before is unknown", s.Since())
	}
}

// TestSentinel: sentinels name the primary, and a replica that takes over is noticed: it may lack the last claims.
func TestSentinel(t *testing.T) {
	primary := start(t, Options{})
	replica := start(t, Options{Args: []string{"--replicaof", fmt.Sprint("127.0.0.1 ", primary.Port())}})
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor main 127.0.0.1 %d 1\nsentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n", primary.Port())
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := start(t, Options{Sentinel: conf})
	s := open(t, redis.Config{Addresses: []string{sentinel.Addr()}, Sentinel: "main"}, redis.Options{})
	everything(t, s)
	first := s.Since()
	// The sentinel has to know the replica, and the replica the data, before the primary may go.
	await(t, func(ctx context.Context) error {
		info, err := raw(t, sentinel).Info(ctx, "sentinel").Result()
		if err != nil || !strings.Contains(info, "slaves=1") {
			return fmt.Errorf("%w: %s", err, info)
		}
		return raw(t, replica).Get(ctx, "trustpub:claim:k").Err()
	})
	primary.Kill()
	killed := time.Now()
	await(t, func(ctx context.Context) error {
		_, err := s.Revoked(ctx, "nothing")
		return err
	})
	if got := claim(t.Context(), s, "k", "second"); got != "first" {
		t.Errorf("the claim is held by %q at the replica, want first", got)
	}
	if !s.Since().After(killed) || !first.Before(killed) {
		t.Errorf("Since went from %s to %s, expected it after the kill at %s", first, s.Since(), killed)
	}
}
