package integration

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/trustpub/trustpub/integration/redisserver"
	"github.com/trustpub/trustpub/internal/model"
)

// TestGatewayClockJumps: a gateway whose own clock jumps ahead by less than an hour and is set back, or the other way round, lets in no token that was used
// and none that was revoked, neither meanwhile nor afterwards, and then goes on as before.
func TestGatewayClockJumps(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) []*rig{
		"local":  func(t *testing.T) []*rig { return []*rig{startRig(t, sink(t))} },
		"memory": func(t *testing.T) []*rig { return startNodes(t, 1, sink(t), "store memory") },
		"redis, and one of two gateways": func(t *testing.T) []*rig {
			return startNodes(t, 2, sink(t), patient(newRedis(t, redisserver.Options{}).Addr()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := start(t)
			jumping := nodes[0]
			number := 0
			publish := func(node *rig, token string) answer {
				number++
				return node.upload(t, bearer(token), newWheel(t, "acme-widget", fmt.Sprint("1.", number)).form())
			}
			used, exchanged, revoked := jumping.identity(nil), jumping.identity(nil), jumping.mint(t, nil)
			ok(t, publish(jumping, used))
			minted, a := jumping.exchange(t, exchanged)
			if minted == "" {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			jumping.burn(t, revoked)
			for _, jump := range []time.Duration{0, 59 * time.Minute, 0, -59 * time.Minute, 0, 59 * time.Minute, -59 * time.Minute, 0} {
				if err := jumping.gw.ShiftClock(jump); err != nil {
					t.Fatal(err)
				}
				for i, node := range nodes {
					for what, token := range map[string]string{"used": used, "exchanged": exchanged, "revoked": revoked} {
						if a := publish(node, token); a.Status == http.StatusOK {
							t.Errorf("with a clock that is off by %s, gateway %d let in a token that was %s", jump, i, what)
						}
					}
					if got, _ := node.exchange(t, used); got != "" {
						t.Errorf("with a clock that is off by %s, gateway %d exchanged a token that was used", jump, i)
					}
				}
				fresh := publish(jumping, jumping.identity(nil))
				want := map[bool]model.Code{true: model.CodeExpired, false: model.CodeNotYetValid}[jump > 0]
				if jump != 0 && fresh.code() != string(want) {
					t.Errorf("with a clock that is off by %s, a new token got %d %s, expected %s: the clock was not shifted", jump, fresh.Status, fresh.code(), want)
				}
			}
			for _, node := range nodes {
				ok(t, publish(node, node.identity(nil)))
				ok(t, publish(node, minted))
			}
			refused(t, publish(jumping, revoked), http.StatusUnauthorized, model.CodeRevoked)
			replayed(t, publish(jumping, used))
		})
	}
}
