package audit

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeStorage is a storage in memory that notes what is asked of it.
type fakeStorage struct {
	values map[string]string
	fail   map[string]error
	calls  []string
	// onLock runs while another node would hold the lock.
	onLock func()
}

func (s *fakeStorage) step(op, key string) error {
	s.calls = append(s.calls, op+" "+key)
	return s.fail[op]
}

func (s *fakeStorage) Load(_ context.Context, key string) ([]byte, error) {
	if err := s.step("load", key); err != nil {
		return nil, err
	}
	v, ok := s.values[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(v), nil
}

func (s *fakeStorage) Store(_ context.Context, key string, value []byte) error {
	if err := s.step("store", key); err != nil {
		return err
	}
	s.values[key] = string(value)
	return nil
}

func (s *fakeStorage) Lock(_ context.Context, name string) error {
	if s.onLock != nil {
		s.onLock()
	}
	return s.step("lock", name)
}

func (s *fakeStorage) Unlock(_ context.Context, name string) error { return s.step("unlock", name) }

func openPrints(t *testing.T, s *fakeStorage) *Fingerprinter {
	t.Helper()
	f, err := OpenFingerprinter(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFingerprint(t *testing.T) {
	s := &fakeStorage{values: map[string]string{}}
	first := openPrints(t, s)
	again := openPrints(t, s) // after a restart, and on another node
	other := openPrints(t, &fakeStorage{values: map[string]string{}})
	const secret = "hunter2"
	got := first.Fingerprint(secret)
	switch {
	case !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(got):
		t.Errorf("got %q, want 16 hex digits", got)
	case again.Fingerprint(secret) != got:
		t.Error("the fingerprint changes over a restart")
	case other.Fingerprint(secret) == got:
		t.Error("another deployment has the same fingerprint")
	case first.Fingerprint("hunter3") == got:
		t.Error("another secret has the same fingerprint")
	case first.Fingerprint("") != "" || (*Fingerprinter)(nil).Fingerprint(secret) != "":
		t.Error("a fingerprint of nothing")
	}
	want := []string{
		"load " + FingerprintKeyAt, "lock " + FingerprintLock, "load " + FingerprintKeyAt, "store " + FingerprintKeyAt,
		"unlock " + FingerprintLock, "load " + FingerprintKeyAt,
	}
	if diff := cmp.Diff(want, s.calls); diff != "" {
		t.Errorf("what the storage is asked (-want +got):\n%s", diff)
	}
}

func TestFingerprintKeyOfAnotherNode(t *testing.T) {
	s := &fakeStorage{values: map[string]string{}}
	key := strings.Repeat("ab", fingerprintKey)
	s.onLock = func() { s.values[FingerprintKeyAt] = key + "\n" }
	got := openPrints(t, s)
	s.onLock = nil
	if s.values[FingerprintKeyAt] != key+"\n" || got.Fingerprint("x") != openPrints(t, s).Fingerprint("x") {
		t.Error("the key that another node made meanwhile is not used")
	}
}

func TestFingerprintErrors(t *testing.T) {
	away := errors.New("away")
	key := strings.Repeat("ab", fingerprintKey)
	tests := []struct {
		name   string
		stored string
		fail   string
		want   string
	}{
		{"load", "", "load", "read " + FingerprintKeyAt + " from the storage: away"},
		{"lock", "", "lock", "lock the audit's fingerprint key: away"},
		{"store", "", "store", "write " + FingerprintKeyAt + " to the storage: away"},
		{"unlock", "", "unlock", "away"},
		{"no hex", "canary" + key[6:], "", FingerprintKeyAt + " in the storage holds no key of 32 bytes in hex: delete it, and the next start makes a new one"},
		{"too short", key[2:], "", FingerprintKeyAt + " in the storage holds no key of 32 bytes in hex: delete it, and the next start makes a new one"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &fakeStorage{values: map[string]string{}, fail: map[string]error{test.fail: away}}
			if test.stored != "" {
				s.values[FingerprintKeyAt] = test.stored
			}
			_, err := OpenFingerprinter(t.Context(), s)
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
