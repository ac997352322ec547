package migration

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/policies"
)

// outcome is the outcome of a publish on a day after start.
func outcome(day int, change ...func(*model.Event)) model.Event {
	e := model.Event{
		Time: start.AddDate(0, 0, day), ID: fmt.Sprint("e", day), Kind: model.EventOutcome, Result: "stored", Status: 200, Mode: "observe",
		Target: &model.Target{Ecosystem: "pypi", Registry: "internal-pypi", Package: "acme-widget", Version: "1", Action: model.ActionPublish},
	}
	for _, c := range change {
		c(&e)
	}
	return e
}

func byPassword(user, print string) func(*model.Event) {
	return func(e *model.Event) {
		e.Credential, e.ForeignUser, e.ForeignFingerprint = "foreign", user, print
		e.Decision, e.Code = "would_deny", model.CodeTrustedPublishingOnly
	}
}

func byToken(e *model.Event) {
	e.Credential, e.Decision, e.Policy, e.Issuer = "publish_token", "allow", "widget-release", "github"
}

func beside(decision string) func(*model.Event) {
	return func(e *model.Event) {
		byPassword("ci", "p1")(e)
		e.Decision, e.Code, e.Issuer, e.Policy = decision, "", "github", "widget-release"
		if decision == "would_deny" {
			e.Code, e.Field, e.Got, e.Want = model.CodeNoMatchingPolicy, "environment", "dev", "release"
		}
	}
}

func refused(code model.Code) func(*model.Event) {
	return func(e *model.Event) {
		e.Decision, e.Code, e.Result, e.Status = "deny", code, "refused", code.Info().Status
	}
}

func TestStates(t *testing.T) {
	p1 := byPassword("ci", "p1")
	for _, tc := range []struct {
		name   string
		events []model.Event
		state  State
		next   string
	}{
		{"only a password", []model.Event{outcome(0, p1)}, StatePassword, "no run was judged: let the job send its identity token in X-Trustpub-Identity, or publish with it"},
		{"only a refused password", []model.Event{outcome(0, p1, refused(model.CodeTrustedPublishingOnly))}, StatePassword, "only refused passwords were seen: let the job send its identity token in X-Trustpub-Identity, or publish with it"},
		{"judged and refused", []model.Event{outcome(0, beside("would_deny"))}, StateDenied, `the newest judged run is not allowed (environment is "dev", expected release): correct the policy, or the job`},
		{"a refused token", []model.Event{outcome(0, p1), outcome(1, byToken, refused(model.CodeNoMatchingPolicy))}, StateDenied, "the newest judged run is not allowed (no policy is near): correct the policy, or the job"},
		{"a token for another package", []model.Event{outcome(1, byToken, refused(model.CodeOutOfScope))}, StateDenied, "the newest judged run is not allowed (out_of_scope): correct the policy, or the job"},
		{"a refused token with an absent claim", []model.Event{outcome(1, byToken, refused(model.CodeNoMatchingPolicy), func(e *model.Event) { e.Field, e.Want = "environment", "release" })}, StateDenied, "the newest judged run is not allowed (environment is absent, expected release): correct the policy, or the job"},
		{"a switch", []model.Event{outcome(1, byToken, refused(model.CodeDeniedByOperator))}, StateDenied, "the newest judged run is not allowed (denied_by_operator): remove the switch when it has done its work (trustpub deny list)"},
		{"judged and allowed", []model.Event{outcome(0, beside("would_deny")), outcome(1, beside("would_allow"))}, StateJudged, "policy widget-release allows the job: let it publish with its token, and take the password out of it"},
		{"refused again", []model.Event{outcome(0, byToken), outcome(1, beside("would_deny"))}, StateDenied, `the newest judged run is not allowed (environment is "dev", expected release): correct the policy, or the job`},
		{"both", []model.Event{outcome(0, byToken), outcome(1, p1)}, StateBoth, "a password (ci p1) published after the last token: find the job that still has it"},
		{"ready", []model.Event{outcome(0, p1), outcome(1, byToken)}, StateReady, "make its policy exclusive: remove exclusive: false"},
		{"ready, in another order", []model.Event{outcome(1, byToken), outcome(0, p1)}, StateReady, "make its policy exclusive: remove exclusive: false"},
		{"ready, whatever refused passwords come", []model.Event{outcome(0, byToken), outcome(1, p1, refused(model.CodeTrustedPublishingOnly))}, StateReady, "make its policy exclusive: remove exclusive: false"},
		{"ready, whatever else went wrong", []model.Event{outcome(0, byToken), outcome(1, byToken, refused(model.CodeReplayed)), outcome(2, byToken, refused(model.CodeMalformedUpload))}, StateReady, "make its policy exclusive: remove exclusive: false"},
		{"the registry refused the password", []model.Event{outcome(0, byToken), outcome(1, p1, func(e *model.Event) { e.Result, e.Status = "refused", 401 })}, StateReady, "make its policy exclusive: remove exclusive: false"},
		{"in claimed mode", []model.Event{outcome(0, p1, func(e *model.Event) { e.Decision, e.Code = "allow", "" })}, StatePassword, "no run was judged: let the job send its identity token in X-Trustpub-Identity, or publish with it"},
		{"anonymous", []model.Event{outcome(0, byToken), outcome(1, func(e *model.Event) { e.Credential, e.Decision = "none", "would_deny" })}, StateBoth, "a password (unnamed) published after the last token: find the job that still has it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tally := NewTally(StatusOptions{})
			for _, e := range tc.events {
				tally.Add(e)
			}
			got := tally.Status()
			if len(got.Packages) != 1 {
				t.Fatalf("%+v", got)
			}
			p := got.Packages[0]
			if p.State != tc.state || p.Next != tc.next || p.Ready != (tc.state == StateReady) {
				t.Errorf("got %s, ready %t: %s\nwant %s: %s", p.State, p.Ready, p.Next, tc.state, tc.next)
			}
		})
	}
}

func TestStatusNumbers(t *testing.T) {
	other := func(e *model.Event) { e.Target.Package = "acme-gadget" }
	staging := func(e *model.Event) { e.Target.Registry = "staging-pypi" }
	tally := NewTally(StatusOptions{Since: start.AddDate(0, 0, 1), Registries: []string{"internal-pypi"}})
	for _, e := range []model.Event{
		outcome(0, byPassword("too-old", "p0")),
		outcome(1, byPassword("ci", "p1")),
		outcome(2, byPassword("ci", "p2")),
		outcome(3, byPassword("ci", "p1"), other),
		outcome(4, byToken),
		outcome(5, byPassword("ci", "p1"), staging),
		outcome(6, byPassword("ci", "p1"), refused(model.CodeTrustedPublishingOnly)),
		outcome(7, byPassword("ci", "p1"), func(e *model.Event) { e.Target.Action = model.ActionRead }),
		outcome(8, byPassword("ci", "p1"), func(e *model.Event) { e.Target = nil }),
		outcome(9, byToken, func(e *model.Event) { e.Target = nil }),
		outcome(10, byToken, func(e *model.Event) { e.Kind = model.EventDecision }),
	} {
		tally.Add(e)
	}
	day := func(n int) Seen { at := start.AddDate(0, 0, n); return Seen{Count: 1, Last: &at} }
	twice := day(3)
	twice.Count = 2
	want := &Status{
		Ready: 1, Unnamed: 1,
		Packages: []*PackageStatus{
			{
				Registry: "internal-pypi", Package: "acme-gadget", State: StatePassword,
				Next:      "no run was judged: let the job send its identity token in X-Trustpub-Identity, or publish with it",
				Password:  &Password{User: "ci", Fingerprint: "p1", Seen: day(3)},
				Passwords: []*Password{{User: "ci", Fingerprint: "p1", Seen: day(3)}},
			},
			{
				Registry: "internal-pypi", Package: "acme-widget", State: StateReady, Ready: true,
				Next:      "make its policy exclusive: remove exclusive: false",
				Password:  &Password{User: "ci", Fingerprint: "p2", Seen: day(2)},
				Passwords: []*Password{{User: "ci", Fingerprint: "p2", Seen: day(2)}, {User: "ci", Fingerprint: "p1", Seen: day(1)}},
				Refused:   day(6), Trusted: Trusted{Seen: day(4), Policy: "widget-release"},
			},
		},
		Passwords: []*Password{
			{User: "ci", Fingerprint: "p1", Seen: twice, Packages: []string{"internal-pypi/acme-gadget", "internal-pypi/acme-widget"}},
			{User: "ci", Fingerprint: "p2", Seen: day(2), Packages: []string{"internal-pypi/acme-widget"}},
		},
	}
	if diff := cmp.Diff(want, tally.Status()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStatusWithPolicies(t *testing.T) {
	for _, tc := range []struct {
		line, next string
		exclusive  bool
	}{
		{"", "nothing: its policy is exclusive", true},
		{"    exclusive: false\n", "make its policy exclusive: remove exclusive: false", false},
	} {
		set, err := policies.Parse(map[string]string{"a.yaml": `policies:
  - name: widget-release
    registry: internal-pypi
    packages: [acme-widget]
    publisher: {github: {repository: acme/widget, repository_owner_id: "222"}}
` + tc.line}, policies.Env{AnyRegistry: "pypi", AnyIssuer: true})
		if err != nil {
			t.Fatal(err)
		}
		tally := NewTally(StatusOptions{Present: set})
		tally.Add(outcome(0, byToken))
		if p := tally.Status().Packages[0]; p.Next != tc.next || p.Exclusive != tc.exclusive {
			t.Errorf("%q: %+v", tc.line, p)
		}
	}
}

func TestPasswordText(t *testing.T) {
	for want, p := range map[string]Password{
		"ci 0011": {User: "ci", Fingerprint: "0011"}, "ci": {User: "ci"}, "0011": {Fingerprint: "0011"}, "unnamed": {},
	} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	var s Seen
	if s.after() || (&Seen{Last: &time.Time{}}).after(&Seen{Last: &time.Time{}}) {
		t.Error("nothing is after nothing, nor a moment after itself")
	}
}
