package store

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// LiveSwitches lists the switches that have not ended, ordered by ID; for stores.
func LiveSwitches(all iter.Seq[model.Switch], now time.Time) []model.Switch {
	live := []model.Switch{}
	for s := range all {
		if !s.Ended(now) {
			live = append(live, s)
		}
	}
	slices.SortFunc(live, func(a, b model.Switch) int { return strings.Compare(a.ID(), b.ID()) })
	return live
}
