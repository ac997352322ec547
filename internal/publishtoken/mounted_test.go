package publishtoken

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// secretAt writes a secret and gives its placeholder.
func secretAt(t testing.TB, path, text string) model.Secret {
	t.Helper()
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return model.Secret("{file." + path + "}")
}

var (
	secretA = strings.Repeat("a1", 16)
	secretB = strings.Repeat("b2", 16)
)

// mounting is a node with mounted keys and no storage that would work.
func mounting(t testing.TB, c *clock, secrets ...model.Secret) *Minter {
	t.Helper()
	away := newMemory()
	away.setAway(true)
	return node(t, away, c, func(o *Options) { o.Mounted = secrets })
}

// TestMountedKeysAreShared: nodes that have nothing but the secret in common accept each other's tokens, over the end of days and with
// clocks that differ, and nobody else's.
func TestMountedKeysAreShared(t *testing.T) {
	dir := t.TempDir()
	a, b := secretAt(t, filepath.Join(dir, "a"), secretA), secretAt(t, filepath.Join(dir, "b"), secretB)
	c, late := newClock(), newClock() // 20:00 UTC
	late.Add(-leeway)
	one, two, stranger := mounting(t, c, a), mounting(t, late, a), mounting(t, c, b)
	move := func(d time.Duration) { c.Add(d); late.Add(d) }
	for range 60 { // a quarter of an hour each: over midnight and into the next day
		raw := mint(t, one)
		if _, err := two.Verify(t.Context(), raw, audience); err != nil {
			t.Fatalf("at %s, on a node whose clock says %s: %v", c.Now(), late.Now(), err)
		}
		back := mint(t, two)
		if _, err := one.Verify(t.Context(), back, audience); err != nil {
			t.Fatalf("at %s, the way back: %v", c.Now(), err)
		}
		if got := codeOf(t, second(stranger.Verify(t.Context(), raw, audience))); got != model.CodeInvalidToken {
			t.Fatalf("a node with another secret: %q, expected invalid_token", got)
		}
		move(DefaultLifetime - time.Minute)
		if _, err := two.Verify(t.Context(), raw, audience); err != nil {
			t.Fatalf("at %s, near its end: %v", c.Now(), err)
		}
		move(time.Minute)
	}
}

// TestMountedKeysEnd: a key that has leaked signs for a day, and verifies no longer than its last token lives.
func TestMountedKeysEnd(t *testing.T) {
	a := secretAt(t, filepath.Join(t.TempDir(), "a"), secretA)
	c := newClock()
	m := mounting(t, c, a)
	_, k, err := m.signer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Add(30 * time.Hour)
	if _, _, err := m.verifier(t.Context(), k.id); err == nil {
		t.Errorf("a key of the day before yesterday still verifies, at %s", c.Now())
	}
}

// TestMountedKeysRotate walks two nodes through a rotation, one step behind each other: no token is refused.
func TestMountedKeysRotate(t *testing.T) {
	dir := t.TempDir()
	a, b := secretAt(t, filepath.Join(dir, "a"), secretA), secretAt(t, filepath.Join(dir, "b"), secretB)
	c := newClock()
	stages := [][]model.Secret{{a}, {a, b}, {b, a}, {b}}
	var before []string
	for i := range len(stages) - 1 {
		ahead, behind := mounting(t, c, stages[i+1]...), mounting(t, c, stages[i]...)
		if i == len(stages)-2 { // the last step is for after the old tokens' end
			c.Add(DefaultLifetime)
			before = nil
		}
		tokens := append(before, mint(t, ahead), mint(t, behind))
		for _, raw := range tokens {
			for name, m := range map[string]*Minter{"ahead": ahead, "behind": behind} {
				if _, err := m.Verify(t.Context(), raw, audience); err != nil {
					t.Errorf("stage %d, the node that is %s: %v", i, name, err)
				}
			}
		}
		before = tokens
	}
}

// TestMountedFileIsReadAgain: a file that is replaced acts within seconds, and one that is gone keeps what it was.
func TestMountedFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	c := newClock()
	secret := secretAt(t, path, secretA)
	m := mounting(t, c, secret)
	old := mint(t, m)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	c.Add(reread)
	if _, err := m.Verify(t.Context(), old, audience); err != nil {
		t.Errorf("without the file: %v", err)
	}
	secretAt(t, path, secretB)
	fresh := mint(t, mounting(t, c, secret))
	c.Add(time.Second)
	if _, err := m.Verify(t.Context(), fresh, audience); err != nil {
		t.Errorf("a token of the new file: %v", err)
	}
	if got := codeOf(t, second(m.Verify(t.Context(), old, audience))); got != model.CodeInvalidToken {
		t.Errorf("a token of the old file: %q, expected invalid_token", got)
	}
}

// TestMountedRefuses: what can't be used is told with the placeholder, never with what is in it.
func TestMountedRefuses(t *testing.T) {
	dir := t.TempDir()
	short := secretAt(t, filepath.Join(dir, "short"), "hunter2")
	for name, tc := range map[string]struct {
		secret model.Secret
		want   string
	}{
		"short":  {short, "got 7 bytes, expected at least 32"},
		"absent": {"{file./nowhere/key}", "secret {file./nowhere/key}"},
	} {
		t.Run(name, func(t *testing.T) {
			m := mounting(t, newClock(), tc.secret)
			_, err := m.Mint(t.Context(), exampleGrant(), []string{audience})
			if got := codeOf(t, err); got != model.CodeSigningKeyUnavailable {
				t.Fatalf("Mint: %q, expected %s", got, model.CodeSigningKeyUnavailable)
			}
			_, _, err = m.signer(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the cause is %v, want %q", err, tc.want)
			}
		})
	}
	for name, change := range map[string]func(*Options){
		"a literal":       func(o *Options) { o.Mounted = []model.Secret{"hunter2"} },
		"sealed as well":  func(o *Options) { o.Mounted, o.KeyFile = []model.Secret{short}, short },
		"a request's own": func(o *Options) { o.Mounted = []model.Secret{"{http.request.header.x}"} },
	} {
		o := Options{Storage: newMemory(), Logger: quiet()}
		change(&o)
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: New: %v, want an error without the secret", name, err)
		}
	}
}
