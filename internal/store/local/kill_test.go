package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The environment of a child that makes claims until it is killed.
const (
	childFile  = "TRUSTPUB_TEST_STORE_CHILD"
	childRound = "TRUSTPUB_TEST_STORE_ROUND"
)

// child makes claims and revocations from many goroutines and prints each once the store has answered: what is printed may have
// let an upload through.
func child(path, round string) error {
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		return err
	}
	var mu sync.Mutex // one line at a time
	until := time.Now().Add(time.Hour)
	failed := make(chan error, 1)
	for worker := range 16 {
		go func() {
			for n := 0; ; n++ {
				key := fmt.Sprintf("%s-%d-%d", round, worker, n)
				held, err := s.Claim(context.Background(), key, "child", until)
				if err == nil && n%8 == 0 {
					err = s.Revoke(context.Background(), key, until)
				}
				if err != nil || held != "child" {
					failed <- fmt.Errorf("claim %s is held by %q: %w", key, held, err)
					return
				}
				mu.Lock()
				fmt.Println(key)
				mu.Unlock()
			}
		}()
	}
	return <-failed
}

// TestInvariantNoReplayAfterKill kills a process in the middle of its claims, again and again on one file: each claim that it
// was told of is known to the next one.
func TestInvariantNoReplayAfterKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 12
	var told []string
	for round := range rounds {
		cmd := exec.CommandContext(t.Context(), program, "-test.run=^$")
		cmd.Env = append(os.Environ(), childFile+"="+path, fmt.Sprint(childRound, "=", round))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The kill comes after some claims, wherever the writer is then; what was printed until then still counts.
		before, after := len(told), 1+rand.IntN(400) // any moment will do
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			told = append(told, lines.Text())
			if len(told)-before == after {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || len(told)-before < after {
			t.Fatalf("the child ended by itself (%v) after %d claims, expected it to be killed after %d", err, len(told)-before, after)
		}
		known(t, path, told)
	}
	t.Logf("%d claims, %d kills", len(told), rounds)
}

// known fails the test where the file does not know all claims, and their revocations.
func known(t *testing.T, path string, told []string) {
	t.Helper()
	s := openAt(t, path, Options{})
	defer closeStore(t, s)
	var mu sync.Mutex
	var errs []error
	var group sync.WaitGroup
	for part := range 16 {
		group.Go(func() {
			for i := part; i < len(told); i += 16 {
				held, err := s.Claim(t.Context(), told[i], "thief", time.Now().Add(time.Hour))
				revoked, revokedErr := s.Revoked(t.Context(), told[i])
				if wants := revokes(told[i]); err != nil || revokedErr != nil || held != "child" || revoked != wants {
					mu.Lock()
					errs = append(errs, fmt.Errorf("claim %s is held by %q, revoked %t (want child, %t): %w", told[i], held, revoked, wants, errors.Join(err, revokedErr)))
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("after a kill: %v", err)
	}
}

// revokes is true for the claims that the child also revokes.
func revokes(key string) bool {
	var n int
	_, _ = fmt.Sscan(key[strings.LastIndexByte(key, '-')+1:], &n)
	return n%8 == 0
}
