package gateway_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/migration"
	"github.com/trustpub/trustpub/internal/model"
)

// after are the events of that many requests; outcomes are written after the answer.
func (n *notebook) after(t *testing.T, requests int) []model.Event {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		n.mu.Lock()
		events, outcomes := slices.Clone(n.events), 0
		n.mu.Unlock()
		for _, e := range events {
			if e.Kind == model.EventOutcome {
				outcomes++
			}
		}
		if outcomes >= requests {
			return events
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatalf("fewer than %d outcomes in %s", requests, n.text())
	return nil
}

// state is what a migration's status says of the only package after that many requests.
func (h *house) state(requests int) (migration.State, migration.Seen) {
	h.t.Helper()
	tally := migration.NewTally(migration.StatusOptions{})
	for _, e := range h.audit.after(h.t, requests) {
		tally.Add(e)
	}
	s := tally.Status()
	if len(s.Packages) != 1 {
		h.t.Fatalf("%+v", s)
	}
	return s.Packages[0].State, s.Packages[0].Refused
}

// TestMovingOver: the way of docs/migration.md with a real gateway. What its audit says of a password, and of an identity beside
// it or before it, gives the policy with which the same job publishes with its token.
func TestMovingOver(t *testing.T) {
	for _, first := range []string{"beside the password", "the token first"} {
		t.Run(first, func(t *testing.T) {
			h := open(t, mode(gateway.ModeObserve), withPrints)
			h.policies.set("policies: []\n")
			password, requests := upload{token: "hunter2", name: freePackage, version: "1"}, 1
			if first == "beside the password" {
				password.header = http.Header{"X-Trustpub-Identity": {h.identity()}}
			} else {
				requests++
				h.refused(h.publish(upload{token: h.identity(), name: freePackage, version: "1"}), 403, model.CodeNoMatchingPolicy)
			}
			if a := h.publish(password); a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if state, _ := h.state(requests); state != migration.StateDenied {
				t.Errorf("state %s, expected %s", state, migration.StateDenied)
			}
			s := migration.NewSuggester(migration.SuggestOptions{Shared: true})
			for _, e := range h.audit.after(t, requests) {
				s.Add(e)
			}
			suggestion, err := s.Suggest()
			if err != nil || len(suggestion.Files) != 1 {
				t.Fatalf("%v %+v", err, suggestion)
			}
			policy := suggestion.Files[0]
			h.policies.set(policy.Text())
			if a := h.publish(upload{token: h.identity(), name: freePackage, version: "1"}); a.status != 200 {
				t.Errorf("%d %s\n%s", a.status, a.body, policy.Text())
			}
			// Another job of the same repository, and another package, are no more welcome than before.
			stored := len(h.upstream.stored())
			for _, other := range []upload{
				{token: h.identity(map[string]any{"environment": "dev"}), name: freePackage, version: "1"},
				{token: h.identity(), name: "other-project", version: "1"},
			} {
				if a := h.publish(other); a.status != 403 {
					t.Errorf("%d %s\n%s", a.status, a.body, policy.Text())
				}
			}
			if got := len(h.upstream.stored()); got != stored {
				t.Errorf("the registry stored %d uploads more", got-stored)
			}
			h.secretFree(answer{})
		})
	}
}

// TestStatesOfAGateway: the status follows what the gateway really writes.
func TestStatesOfAGateway(t *testing.T) {
	h := open(t, mode(gateway.ModeObserve), withPrints)
	password := upload{token: "hunter2"}
	requests := 0
	want := func(state migration.State) {
		t.Helper()
		requests++
		if got, _ := h.state(requests); got != state {
			t.Errorf("state %s, expected %s", got, state)
		}
	}
	h.publish(password)
	want(migration.StatePassword)
	h.publish(upload{token: "hunter2", header: http.Header{"X-Trustpub-Identity": {h.identity()}}})
	want(migration.StateJudged)
	h.publish(upload{token: h.identity()})
	want(migration.StateReady)
	h.publish(password)
	want(migration.StateBoth)
	minted, _ := h.exchange(h.identity())
	want(migration.StateBoth)
	h.publish(upload{token: minted})
	want(migration.StateReady)

	claimed := open(t, mode(gateway.ModeClaimed), withPrints)
	claimed.publish(password)
	if state, refused := claimed.state(1); state != migration.StatePassword || refused.Count != 1 {
		t.Errorf("%s, %d refused passwords", state, refused.Count)
	}
	claimed.publish(upload{token: claimed.identity()})
	if state, _ := claimed.state(2); state != migration.StateReady {
		t.Errorf("state %s after a trusted publish", state)
	}
}
