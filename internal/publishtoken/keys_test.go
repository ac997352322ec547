package publishtoken

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// Two nodes that share a storage accept each other's tokens at once, also right after either has rotated.
func TestTwoNodes(t *testing.T) {
	s, c := newMemory(), newClock()
	a, b := node(t, s, c), node(t, s, c)
	if _, err := b.Verify(t.Context(), mint(t, a), audience); err != nil {
		t.Fatalf("a token of the other node: %v", err)
	}
	if _, err := a.Verify(t.Context(), mint(t, b), audience); err != nil {
		t.Fatalf("the way back: %v", err)
	}
	c.Add(rotateAfter)
	old := mint2(t, b, c, -time.Second)
	raw := mint(t, a)
	for name, m := range map[string]*Minter{"minting node": a, "other node": b} {
		if _, err := m.Verify(t.Context(), raw, audience); err != nil {
			t.Errorf("%s after a rotation: %v", name, err)
		}
		if _, err := m.Verify(t.Context(), old, audience); err != nil {
			t.Errorf("%s, token of the key before: %v", name, err)
		}
	}
	if got := len(a.ring.Load().keys); got != 2 {
		t.Errorf("got %d keys after one rotation, expected 2", got)
	}
}

// mint2 mints at another time.
func mint2(t *testing.T, m *Minter, c *clock, d time.Duration) string {
	t.Helper()
	c.Add(d)
	defer c.Add(-d)
	return mint(t, m)
}

func TestUnknownKeyRereadsAtMostEveryTenSeconds(t *testing.T) {
	s, c := newMemory(), newClock()
	m := node(t, s, c)
	mint(t, m)
	forged := mint(t, node(t, newMemory(), c))
	c.Add(reread)
	before, _ := s.counts()
	if got := codeOf(t, second(m.Verify(t.Context(), forged, audience))); got != model.CodeInvalidToken {
		t.Errorf("got %q after a fresh read, expected invalid_token", got)
	}
	for range 20 {
		if got := codeOf(t, second(m.Verify(t.Context(), forged, audience))); got != model.CodeUnknownKey {
			t.Errorf("got %q while the read is held off, expected unknown_key", got)
		}
	}
	if after, _ := s.counts(); after != before+1 {
		t.Errorf("got %d reads, expected 1", after-before)
	}
	c.Add(reread)
	if got := codeOf(t, second(m.Verify(t.Context(), forged, audience))); got != model.CodeInvalidToken {
		t.Errorf("got %q after ten seconds, expected invalid_token", got)
	}
	if after, _ := s.counts(); after != before+2 {
		t.Errorf("got %d reads, expected 2", after-before)
	}
}

// Tokens that come before any key exists cost a read each ten seconds too.
func TestNoKeysYet(t *testing.T) {
	s, c := newMemory(), newClock()
	m := node(t, s, c)
	forged := mint(t, node(t, newMemory(), c))
	for range 20 {
		_ = second(m.Verify(t.Context(), forged, audience))
	}
	if loads, stores := s.counts(); loads != 1 || stores != 0 {
		t.Errorf("got %d reads and %d writes, expected one read", loads, stores)
	}
	mint(t, m)
}

func TestRotation(t *testing.T) {
	s, c := newMemory(), newClock()
	m := node(t, s, c, func(o *Options) { o.Lifetime = MaxLifetime })
	kids := map[string]bool{}
	for range 5 {
		raw := mint(t, m)
		c.Add(MaxLifetime - time.Second)
		if _, err := m.Verify(t.Context(), raw, audience); err != nil {
			t.Fatal(err)
		}
		k, _ := m.ring.Load().newest()
		kids[k.id] = true
		c.Add(rotateAfter - MaxLifetime + time.Second)
	}
	if len(kids) != 5 {
		t.Errorf("got %d keys in five days, expected 5", len(kids))
	}
	if got := len(m.ring.Load().keys); got > 3 {
		t.Errorf("got %d keys kept, expected at most 3", got)
	}
}

// A token of the last moment verifies until it expires, although two rotations are due.
func TestOverlap(t *testing.T) {
	s, c := newMemory(), newClock()
	m := node(t, s, c, func(o *Options) { o.Lifetime = MaxLifetime })
	mint(t, m)
	c.Add(rotateAfter + overlap - time.Second)
	s.setAway(true)
	raw := mint(t, m) // the storage is away: the old key goes on
	s.setAway(false)
	c.Add(reread)
	mint(t, m) // rotated
	c.Add(MaxLifetime - reread - time.Second)
	if _, err := m.Verify(t.Context(), raw, audience); err != nil {
		t.Error(err)
	}
}

func TestStorageAway(t *testing.T) {
	s, c := newMemory(), newClock()
	m := node(t, s, c)
	s.setAway(true)
	if got := codeOf(t, second2(m.Mint(t.Context(), exampleGrant(), []string{audience}))); got != model.CodeSigningKeyUnavailable {
		t.Errorf("mint: got %q, expected signing_key_unavailable", got)
	}
	other := mint(t, node(t, newMemory(), c))
	if got := codeOf(t, second(m.Verify(t.Context(), other, audience))); got != model.CodeSigningKeyUnavailable {
		t.Errorf("verify: got %q, expected signing_key_unavailable", got)
	}
	s.setAway(false)
	raw := mint(t, m)
	s.setAway(true)
	c.Add(10 * time.Minute)
	if _, err := m.Verify(t.Context(), raw, audience); err != nil {
		t.Errorf("keys in use serve on: %v", err)
	}
	c.Add(rotateAfter + overlap)
	if got := codeOf(t, second2(m.Mint(t.Context(), exampleGrant(), []string{audience}))); got != model.CodeSigningKeyUnavailable {
		t.Errorf("got %q, expected that a key past its overlap signs nothing", got)
	}
}

func second2(_ string, err error) error { return err }

func TestDeletedKeysEndAllTokens(t *testing.T) {
	s, c := newMemory(), newClock()
	m := node(t, s, c)
	raw := mint(t, m)
	delete(s.values, KeysAt)
	c.Add(refresh)
	if got := codeOf(t, second(m.Verify(t.Context(), raw, audience))); got != model.CodeInvalidToken {
		t.Errorf("got %q, expected invalid_token", got)
	}
	again := mint(t, m)
	if _, err := m.Verify(t.Context(), again, audience); err != nil {
		t.Error(err)
	}
}

// keyFile writes a mounted key and returns its placeholder.
func keyFile(t *testing.T, content string) model.Secret {
	t.Helper()
	path := filepath.Join(t.TempDir(), "seal")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return model.Secret("{file." + path + "}")
}

func TestSealed(t *testing.T) {
	s, c := newMemory(), newClock()
	secret := keyFile(t, strings.Repeat("0123456789abcdef", 4)+"\n")
	with := func(f model.Secret) func(*Options) { return func(o *Options) { o.KeyFile = f } }
	a := node(t, s, c, with(secret))
	raw := mint(t, a)
	if seed := a.ring.Load().keys[0].private.Seed(); bytes.Contains(s.values[KeysAt], []byte(jsonString(t, seed))) {
		t.Error("the seed lies in storage in clear")
	}
	if _, err := node(t, s, c, with(secret)).Verify(t.Context(), raw, audience); err != nil {
		t.Errorf("another node with the key file: %v", err)
	}
	for name, tc := range map[string]struct {
		file model.Secret
		want string
	}{
		"no key file":      {"", "sealed"},
		"another key file": {keyFile(t, strings.Repeat("x", 64)), "does not open"},
		"short key file":   {keyFile(t, "short"), "at least 32"},
		"missing key file": {"{file./nowhere/seal}", "{file./nowhere/seal}"},
	} {
		t.Run(name, func(t *testing.T) {
			before := string(s.values[KeysAt])
			m := node(t, s, c, with(tc.file))
			for _, err := range []error{second(m.Verify(t.Context(), raw, audience)), second2(m.Mint(t.Context(), exampleGrant(), []string{audience}))} {
				var d *model.Denial
				if !errors.As(err, &d) || d.Code != model.CodeSigningKeyUnavailable {
					t.Fatalf("got %v, expected signing_key_unavailable", err)
				}
				if cause := d.Cause.Error(); !strings.Contains(cause, tc.want) {
					t.Errorf("got cause %q, expected %q in it", cause, tc.want)
				}
			}
			if string(s.values[KeysAt]) != before {
				t.Error("keys that could not be opened were overwritten")
			}
		})
	}
}

func jsonString(t *testing.T, b []byte) string {
	t.Helper()
	out, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Whoever can write to the storage must not be able to plant a key of his own where keys are sealed.
func TestPlantedPlainKeys(t *testing.T) {
	s, c := newMemory(), newClock()
	planted := mint(t, node(t, s, c))
	m := node(t, s, c, func(o *Options) { o.KeyFile = keyFile(t, strings.Repeat("k", 32)) })
	if got := codeOf(t, second(m.Verify(t.Context(), planted, audience))); got != model.CodeInvalidToken {
		t.Errorf("got %q, expected invalid_token", got)
	}
	raw := mint(t, m)
	if _, err := m.Verify(t.Context(), raw, audience); err != nil {
		t.Error(err)
	}
	if !bytes.Contains(s.values[KeysAt], []byte(`"sealed":true`)) {
		t.Error("the new keys are not sealed")
	}
}

func TestStoredRingIsStrict(t *testing.T) {
	s, c := newMemory(), newClock()
	raw := mint(t, node(t, s, c))
	good := string(s.values[KeysAt])
	for name, stored := range map[string]string{
		"empty":          "",
		"not JSON":       "x",
		"other version":  strings.Replace(good, `"version":1`, `"version":2`, 1),
		"unknown member": strings.Replace(good, `"version":1`, `"version":1,"x":1`, 1),
		"no id":          strings.Replace(good, `"id":"trustpub:`, `"id":"","sealed":false,"id":"`, 1)[:20],
		"short seed":     strings.Replace(good, `"seed":"`, `"seed":"AAAA`, 1),
		"trailing":       good + good,
	} {
		t.Run(name, func(t *testing.T) {
			s.values[KeysAt] = []byte(stored)
			m := node(t, s, c)
			if got := codeOf(t, second(m.Verify(t.Context(), raw, audience))); got != model.CodeSigningKeyUnavailable {
				t.Errorf("got %q, expected signing_key_unavailable", got)
			}
			if got := codeOf(t, second2(m.Mint(t.Context(), exampleGrant(), []string{audience}))); got != model.CodeSigningKeyUnavailable {
				t.Errorf("got %q, expected signing_key_unavailable", got)
			}
			if string(s.values[KeysAt]) != stored {
				t.Error("an unreadable document was overwritten")
			}
		})
	}
}
