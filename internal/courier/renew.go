package courier

import (
	"context"
	"slices"
	"time"

	"github.com/trustpub/trustpub/internal/handover"
)

// retryEvery is how often a renewal that failed is tried again, and soonest the shortest time between two that succeed, however short
// the life of the tokens is said to be.
const (
	retryEvery = 15 * time.Second
	soonest    = 5 * time.Second
)

// renew puts a new token into the child's files when a third of the old one's life is left, as long as the child runs. It does nothing
// where the child could not see it, or where the job has no other identity token.
func (b *baggage) renew(ctx context.Context) {
	t := b.trip
	if t.Shadow || !b.source.Fresh || !slices.ContainsFunc(b.clients, func(c handover.Client) bool { return c.Renews }) {
		return
	}
	for {
		b.mu.Lock()
		end := b.tokens[len(b.tokens)-1].Expiry
		b.mu.Unlock()
		wait := max(end.Sub(t.Now())*2/3, soonest)
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.After(wait):
			}
			err := b.again(ctx)
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				break
			}
			t.say("the token could not be renewed: %v", err)
			if !t.Now().Add(retryEvery).Before(end) {
				return
			}
			wait = retryEvery
		}
	}
}

// again mints another token and writes it where the child reads the first.
func (b *baggage) again(ctx context.Context) error {
	t := b.trip
	identity, err := b.source.Token(ctx, b.reg.Audience)
	if err != nil {
		return err
	}
	token, err := t.Gateway.Exchange(ctx, b.reg, identity)
	if err != nil {
		return explain(err, b.reg, b.source)
	}
	t.mask(token.Value)
	b.mu.Lock()
	b.tokens = append(b.tokens, token) // also where writing fails: it is revoked at the end
	b.secret = token.Value
	b.mu.Unlock()
	h, err := b.hand()
	if err != nil {
		return err
	}
	return b.write(h.Files)
}
