package store

import (
	"errors"
	"fmt"
	"time"
)

// ErrClosed is returned by every method of a store that was closed.
var ErrClosed = errors.New("the store is closed")

// ErrUnavailable is in the errors of a store that is away: it may answer later, and until then nothing is known.
var ErrUnavailable = errors.New("the store cannot be reached")

// Limits of what a caller may ask a store to keep. They are far above what the gateway needs, and the same in every store,
// so that none accepts what another refuses.
const (
	// MaxKey bounds claim keys and revoked ids, in bytes.
	MaxKey = 1 << 10
	// MaxHolder bounds holders, in bytes.
	MaxHolder = 4 << 10
)

// CheckClaim is what every store asks of a claim before it does anything. A claim that has ended already would protect
// nothing, so it is an error rather than a success.
func CheckClaim(key, holder string, until, now time.Time) error {
	if err := checkKey("key", key); err != nil {
		return err
	}
	if holder == "" || len(holder) > MaxHolder {
		return fmt.Errorf("claim: holder has %d bytes, expected 1 to %d", len(holder), MaxHolder)
	}
	if !until.After(now) {
		return fmt.Errorf("claim: until is %s, expected a time after now (%s): compare the clocks of the store and the gateway",
			until.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// CheckLease is what every store asks of a lease before it does anything.
func CheckLease(key, holder string, life time.Duration) error {
	if err := checkKey("key", key); err != nil {
		return err
	}
	if holder == "" || len(holder) > MaxHolder {
		return fmt.Errorf("lease: holder has %d bytes, expected 1 to %d", len(holder), MaxHolder)
	}
	if life < time.Millisecond {
		return fmt.Errorf("lease: life is %s, expected 1ms or more", life)
	}
	return nil
}

// CheckRevoke is what every store asks of a revocation. A time that has passed is no error: the token it was for has expired.
func CheckRevoke(id string) error { return checkKey("id", id) }

func checkKey(field, key string) error {
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("store: %s has %d bytes, expected 1 to %d", field, len(key), MaxKey)
	}
	return nil
}
