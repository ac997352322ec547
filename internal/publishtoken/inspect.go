package publishtoken

import "context"

// Inspect reads the signing keys as the first request would, and counts them; none is made, rotated or put into use. Zero means that
// none is there yet, or none that may be used.
func (m *Minter) Inspect(ctx context.Context) (keys int, err error) {
	now := m.now()
	r, err := m.inspected(ctx)
	if err != nil || r == nil {
		return 0, err
	}
	for _, k := range r.keys {
		if _, usable := m.live(r, k.id, now); usable {
			keys++
		}
	}
	return keys, nil
}

func (m *Minter) inspected(ctx context.Context) (*ring, error) {
	if m.mounted != nil {
		return m.mounted.keys(m.now(), "")
	}
	return m.read(ctx, m.now())
}
