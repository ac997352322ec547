package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/store"
)

// checkFor is how long the claim of a Check lives.
const checkFor = 10 * time.Second

var _ store.Checker = (*Config)(nil)

// Check connects as a gateway does and makes a claim of its own, which ends by itself: that the server answers says nothing about
// whether the user may write, and a replica does not.
func (c *Config) Check(ctx context.Context, env store.Env) (found string, err error) {
	s, err := Open(ctx, *c, Options{Logger: env.Logger})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	key := "doctor/" + rand.Text()
	for _, holder := range []string{"first", "second"} {
		held, err := s.Claim(ctx, key, holder, s.now().Add(checkFor))
		if err != nil {
			return "", fmt.Errorf("server %s: %w", strings.Join(c.Addresses, ", "), err)
		}
		if held != "first" {
			return "", fmt.Errorf("server %s: a claim went to %q, expected the first who made it: is something else writing below the prefix %q?", strings.Join(c.Addresses, ", "), held, s.prefix)
		}
	}
	if _, err := s.Switches(ctx); err != nil {
		return "", fmt.Errorf("server %s: switches: %w", strings.Join(c.Addresses, ", "), err)
	}
	return fmt.Sprintf("%s answers, keeps a claim and gives it to nobody else", strings.Join(c.Addresses, ", ")), nil
}
