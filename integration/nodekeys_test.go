package integration

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trustpub/trustpub/integration/redisserver"
)

// signedKeys is what lies in Caddy's storage of the signing keys, as far as a test changes it.
type signedKeys struct {
	Version int              `json:"version"`
	ID      string           `json:"id"`
	Sealed  bool             `json:"sealed"`
	Keys    []map[string]any `json:"keys"`
}

// takes fails the test unless every node publishes with every token.
func takes(t *testing.T, when string, nodes []*rig, tokens ...string) {
	t.Helper()
	for n, token := range tokens {
		for i, node := range nodes {
			if a := node.upload(t, bearer(token), newWheel(t, "acme-widget", "1.0").form()); a.Status != 200 {
				t.Errorf("%s, token %d at node %d: %d %s", when, n, i, a.Status, a.Body)
			}
		}
	}
}

// TestRotationAcrossNodes: two nodes share Caddy's storage, a folder; their signing key grows a day old, one of them makes the next one, and
// no token is refused by either.
func TestRotationAcrossNodes(t *testing.T) {
	t.Parallel()
	store := newRedis(t, redisserver.Options{})
	nodes := startNodes(t, 2, sink(t), patient(store.Addr()))
	old := []string{nodes[0].mint(t, nil), nodes[1].mint(t, nil)}
	takes(t, "before", nodes, old...)
	for _, node := range nodes {
		node.gw.Stop()
	}
	path := filepath.Join(nodes[0].config.Storage, "trusted_publishing", "publish_token_keys.json")
	count := age(t, path)
	for _, node := range nodes {
		if err := node.gw.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	takes(t, "with a key that is a day old", nodes, old...)
	fresh := []string{nodes[0].mint(t, nil), nodes[1].mint(t, nil)}
	takes(t, "after the rotation", nodes, append(old, fresh...)...)
	if got := len(readKeys(t, path).Keys); got != count+1 {
		t.Errorf("the storage has %d keys after the rotation, expected %d: two nodes made one each, or none did", got, count+1)
	}
}

func readKeys(t *testing.T, path string) signedKeys {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var keys signedKeys
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	return keys
}

// age makes all stored keys a day older.
func age(t *testing.T, path string) (count int) {
	t.Helper()
	keys := readKeys(t, path)
	for _, k := range keys.Keys {
		created, err := time.Parse(time.RFC3339Nano, k["created"].(string))
		if err != nil {
			t.Fatal(err)
		}
		k["created"] = created.Add(-24 * time.Hour).Format(time.RFC3339Nano)
	}
	b, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return len(keys.Keys)
}

// TestMountedKeyAcrossNodes: two nodes have nothing in common but a mounted secret and the store. The secret is changed in three steps, node
// after node, and no token that is still good is refused by either.
func TestMountedKeyAcrossNodes(t *testing.T) {
	t.Parallel()
	store := newRedis(t, redisserver.Options{})
	dir := t.TempDir()
	secret := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(random(32)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return "{file." + path + "}"
	}
	a, b := secret("a"), secret("b")
	nodes := startNodes(t, 2, sink(t), patient(store.Addr()), "signing_key "+a)
	for _, node := range nodes {
		node.gw.Stop()
		node.config.Storage = t.TempDir() // one of its own
		if err := node.gw.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		reconfigure(t, node, "signing_key "+a)
	}
	tokens := []string{nodes[0].mint(t, nil), nodes[1].mint(t, nil)}
	takes(t, "with one secret", nodes, tokens...)
	for _, line := range []string{"signing_key " + a + " " + b, "signing_key " + b + " " + a} {
		for _, node := range nodes {
			reconfigure(t, node, line)
			tokens = append(tokens, nodes[0].mint(t, nil), nodes[1].mint(t, nil))
			takes(t, line, nodes, tokens...)
		}
	}
	// The tokens of the old secret have ended by then; those of the new one go on.
	tokens = tokens[len(tokens)-2:]
	for _, node := range nodes {
		reconfigure(t, node, "signing_key "+b)
		takes(t, "with the new secret alone", nodes, tokens...)
	}
	for _, node := range nodes {
		if _, err := os.Stat(filepath.Join(node.config.Storage, "trusted_publishing", "publish_token_keys.json")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("keys are stored: %v", err)
		}
	}
}

// reconfigure replaces the last line of a node's global option.
func reconfigure(t *testing.T, node *rig, line string) {
	t.Helper()
	config := node.config
	config.Global = append(append([]string{}, config.Global[:len(config.Global)-1]...), line)
	if err := node.gw.Reload(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	node.config = config
}
