package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store"
)

// freeze and stolen are switches that have no end.
var (
	freeze = model.Switch{Kind: model.SwitchPackage, Value: "internal-pypi/acme-widget", Reason: "incident 12", By: "alice", Since: NewClock().Now()}
	stolen = model.Switch{Kind: model.SwitchKey, Value: "k1", Issuer: "github", Reason: "key leaked", Since: NewClock().Now()}
)

func mustSet(t *testing.T, s store.Store, sw model.Switch) {
	t.Helper()
	if err := s.SetSwitch(t.Context(), sw); err != nil {
		t.Fatalf("SetSwitch(%s): %v", sw, err)
	}
}

func mustRemove(t *testing.T, s store.Store, sw model.Switch, want bool) {
	t.Helper()
	got, err := s.RemoveSwitch(t.Context(), sw.ID())
	if err != nil {
		t.Fatalf("RemoveSwitch(%s): %v", sw, err)
	}
	if got != want {
		t.Fatalf("RemoveSwitch(%s) = %t, want %t", sw, got, want)
	}
}

func wantSwitches(t *testing.T, s store.Store, want ...model.Switch) {
	t.Helper()
	got, err := s.Switches(t.Context())
	if err != nil {
		t.Fatalf("Switches: %v", err)
	}
	if want == nil {
		want = []model.Switch{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("Switches (-want +got):\n%s", diff)
	}
}

// switches: set, replaced, listed in order, removed; one of another issuer is another one.
func switches(t *testing.T, f *fixture) {
	wantSwitches(t, f)
	mustRemove(t, f, freeze, false)
	mustSet(t, f, freeze)
	mustSet(t, f, stolen)
	wantSwitches(t, f, stolen, freeze)
	again := freeze
	again.Reason = "incident 12, still"
	mustSet(t, f, again)
	wantSwitches(t, f, stolen, again)
	other := stolen
	other.Issuer = "gitlab"
	mustRemove(t, f, other, false)
	mustRemove(t, f, stolen, true)
	mustRemove(t, f, stolen, false)
	wantSwitches(t, f, again)
}

func switchEnds(t *testing.T, f *fixture) {
	short := freeze
	short.Until = f.in(time.Minute)
	mustSet(t, f, short)
	wantSwitches(t, f, short)
	f.clock.Advance(time.Minute)
	wantSwitches(t, f)
	mustRemove(t, f, short, false)
	mustSet(t, f, short) // one that has ended already is no error and stops nothing
	wantSwitches(t, f)
}
