package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store"
)

// turnLife is how long a gateway that has died keeps the others from the file that it was publishing; one that lives asks again
// each third of it.
const turnLife = 30 * time.Second

// busy are the addresses of files that are being published, where the registry would replace what it has. They outlive a
// configuration: an upload that began under the old one goes on beside those of the new.
var busy sync.Map

// turn is the right to publish to one address, which one upload has at a time: two would each find nothing there.
type turn struct {
	// key names the address, and holder the upload, to other gateways; leaser is nil where there are none.
	key, holder string
	leaser      store.Leaser
	stop        func()
}

// takeTurn takes the turn of an address, of this gateway and then of all that share its store.
func (t *transaction) takeTurn(address, file string) (*turn, error) {
	// Some registries take two cases for one file.
	address = strings.ToLower(address)
	if _, taken := busy.LoadOrStore(address, true); taken {
		return nil, underWay(file)
	}
	digest := sha256.Sum256([]byte(address))
	mine := &turn{key: "address/" + hex.EncodeToString(digest[:]), holder: t.named(), stop: func() { busy.Delete(address) }}
	leaser, ok := t.g.Store.(store.Leaser)
	if !ok {
		return mine, nil
	}
	mine.leaser = leaser
	if err := mine.confirm(t.step(), file); err != nil {
		mine.stop()
		return nil, err
	}
	// It outlives the request's context: a client that went away does not end what the registry does.
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.r.Context()))
	var keeper sync.WaitGroup
	keeper.Go(func() { mine.keep(ctx) })
	mine.stop = func() {
		cancel()
		keeper.Wait()
		busy.Delete(address)
		if err := leaser.Release(t.step(), mine.key, mine.holder); err != nil {
			t.g.Logger.Debug("the turn of a file ends by itself", "event", mine.holder, "error", err)
		}
	}
	return mine, nil
}

// underWay is the refusal of a second upload.
func underWay(file string) error {
	return model.Deny(model.CodeAlreadyExists).Differ("upload of "+file, "under way already", "one at a time")
}

// confirm asks whether the turn is still this upload's, and makes it last. It is asked before the last bytes leave too: while the store was
// away, another upload may have got it.
func (m *turn) confirm(ctx context.Context, file string) error {
	if m == nil || m.leaser == nil {
		return nil
	}
	held, err := m.leaser.Lease(ctx, m.key, m.holder, turnLife)
	if err != nil {
		return model.Deny(model.CodeStoreUnavailable).Because(fmt.Errorf("whether the file is being published: %w", err))
	}
	if held != m.holder {
		return underWay(file)
	}
	return nil
}

// keep makes the turn last while the upload does. A failure is no end: the verdict asks again.
func (m *turn) keep(ctx context.Context) {
	again := time.NewTicker(turnLife / 3)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			asking, cancel := context.WithTimeout(ctx, stepTimeout)
			_, _ = m.leaser.Lease(asking, m.key, m.holder, turnLife)
			cancel()
		}
	}
}
