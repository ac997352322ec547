package migration

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/policies"
)

// State is how far a package has come.
type State string

// The states, from the beginning to the end of the way.
const (
	// StatePassword: nothing but passwords was seen.
	StatePassword State = "password"
	// StateDenied: the newest judged run was, or would be, refused.
	StateDenied State = "denied"
	// StateJudged: a policy allows the run, which still publishes with a password beside it.
	StateJudged State = "judged"
	// StateBoth: trusted publishes were seen, and a password since the last of them.
	StateBoth State = "both"
	// StateReady: the newest publish was a trusted one.
	StateReady State = "ready"
)

// Seen is how often something was seen, and when last.
type Seen struct {
	Count int        `json:"count"`
	Last  *time.Time `json:"last,omitempty"`
}

func (s *Seen) add(at time.Time) bool {
	s.Count++
	if s.Last != nil && at.Before(*s.Last) {
		return false
	}
	at = at.UTC()
	s.Last = &at
	return true
}

func (s *Seen) after(others ...*Seen) bool {
	if s.Last == nil {
		return false
	}
	for _, o := range others {
		if o.Last != nil && !s.Last.After(*o.Last) {
			return false
		}
	}
	return true
}

// Password is a credential of the registry, as far as the audit names it.
type Password struct {
	// User is empty where the credential has no harmless user name, Fingerprint where the gateway had no key.
	User        string `json:"user,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Seen
	// Packages are what it published, as REGISTRY/PACKAGE.
	Packages []string `json:"packages,omitempty"`
}

// String names the credential in a few words.
func (p *Password) String() string {
	return cmp.Or(strings.TrimSpace(p.User+" "+p.Fingerprint), "unnamed")
}

// Denial is the newest refusal of a judged run.
type Denial struct {
	Seen
	Code   model.Code `json:"code,omitempty"`
	Policy string     `json:"policy,omitempty"`
	Field  string     `json:"field,omitempty"`
	Got    string     `json:"got,omitempty"`
	Want   string     `json:"expected,omitempty"`
}

// Trusted are publishes that a policy allowed, or would have.
type Trusted struct {
	Seen
	// Policy is the one that allowed the newest.
	Policy string `json:"policy,omitempty"`
}

// PackageStatus is what the audit says of one package.
type PackageStatus struct {
	Registry string `json:"registry"`
	Package  string `json:"package"`
	State    State  `json:"state"`
	// Ready is true where an exclusive policy would take nothing away.
	Ready bool `json:"ready"`
	// Exclusive is true where a policy claims the package already; only known where policies were given.
	Exclusive bool `json:"exclusive"`
	// Next says what to do.
	Next string `json:"next"`
	// Password is the newest password that published; Passwords are all, the newest first.
	Password  *Password   `json:"-"`
	Passwords []*Password `json:"passwords,omitempty"`
	// Refused counts passwords that were refused, Trusted publishes with tokens, WouldAllow passwords beside an identity that a
	// policy allows, Denied judged runs that no policy allows.
	Refused    Seen    `json:"refused_passwords"`
	Trusted    Trusted `json:"trusted"`
	WouldAllow Trusted `json:"would_allow"`
	Denied     Denial  `json:"denied"`
}

// Status is where a migration stands.
type Status struct {
	Packages []*PackageStatus `json:"packages"`
	// Ready counts the packages that are.
	Ready int `json:"ready"`
	// Passwords are all credentials of the registries that published, the newest first.
	Passwords []*Password `json:"passwords"`
	// Unnamed counts requests with a password that were let through and named no package.
	Unnamed int `json:"unnamed"`
}

// StatusOptions bound what counts.
type StatusOptions struct {
	// Since leaves out what is older; Registries, where set, are those that count.
	Since      time.Time
	Registries []string
	// Present are the policies of now, if they are known.
	Present *policies.Set
}

// Tally collects events for a status.
type Tally struct {
	opts      StatusOptions
	packages  map[string]*PackageStatus
	passwords map[string]*Password
	unnamed   int
}

// NewTally makes one.
func NewTally(opts StatusOptions) *Tally {
	return &Tally{opts: opts, packages: map[string]*PackageStatus{}, passwords: map[string]*Password{}}
}

// Add takes an event. Only outcomes count: they say whether the registry stored the upload.
func (t *Tally) Add(e model.Event) {
	if e.Kind != model.EventOutcome || e.Time.Before(t.opts.Since) {
		return
	}
	foreign := e.Credential == "foreign" || e.Credential == "none"
	stored := e.Result == "stored"
	if e.Target == nil || e.Target.Package == "" || e.Target.Registry == "" {
		if foreign && stored && e.Credential == "foreign" {
			t.unnamed++
		}
		return
	}
	if !slices.Contains(changes, e.Target.Action) || len(t.opts.Registries) > 0 && !slices.Contains(t.opts.Registries, e.Target.Registry) {
		return
	}
	switch {
	case foreign && e.Decision == "deny":
		t.at(e).Refused.add(e.Time)
	case foreign && stored:
		t.password(e)
	case foreign:
		// The registry itself refused it.
	case e.Decision == "allow" && stored:
		if p := t.at(e); p.Trusted.add(e.Time) {
			p.Trusted.Policy = e.Policy
		}
	case e.Decision == "deny" && e.Issuer != "" && e.Code.Info().Status == http.StatusForbidden:
		t.denied(e)
	}
}

// at is the status of an event's package.
func (t *Tally) at(e model.Event) *PackageStatus {
	key := e.Target.Registry + "/" + e.Target.Package
	if t.packages[key] == nil {
		t.packages[key] = &PackageStatus{Registry: e.Target.Registry, Package: e.Target.Package}
	}
	return t.packages[key]
}

// password counts a publish with a password, and what the policies said of an identity beside it.
func (t *Tally) password(e model.Event) {
	p := t.at(e)
	name := e.ForeignUser + "\x00" + e.ForeignFingerprint
	i := slices.IndexFunc(p.Passwords, func(w *Password) bool { return w.User == e.ForeignUser && w.Fingerprint == e.ForeignFingerprint })
	if i < 0 {
		i = len(p.Passwords)
		p.Passwords = append(p.Passwords, &Password{User: e.ForeignUser, Fingerprint: e.ForeignFingerprint})
	}
	p.Passwords[i].add(e.Time)
	if t.passwords[name] == nil {
		t.passwords[name] = &Password{User: e.ForeignUser, Fingerprint: e.ForeignFingerprint}
	}
	w := t.passwords[name]
	w.add(e.Time)
	w.Packages = append(w.Packages, p.Registry+"/"+p.Package)
	switch {
	case e.Issuer == "":
	case e.Decision == "would_allow":
		if p.WouldAllow.add(e.Time) {
			p.WouldAllow.Policy = e.Policy
		}
	case e.Decision == "would_deny":
		t.denied(e)
	}
}

func (t *Tally) denied(e model.Event) {
	if p := t.at(e); p.Denied.add(e.Time) {
		p.Denied.Code, p.Denied.Policy, p.Denied.Field, p.Denied.Got, p.Denied.Want = e.Code, e.Policy, e.Field, e.Got, e.Want
	}
}

// Status is where things stand after all events.
func (t *Tally) Status() *Status {
	out := &Status{
		Unnamed: t.unnamed, Packages: []*PackageStatus{},
		Passwords: newest(slices.AppendSeq([]*Password{}, maps.Values(t.passwords))),
	}
	for _, w := range out.Passwords {
		w.Packages = sorted(w.Packages)
	}
	for _, key := range slices.Sorted(maps.Keys(t.packages)) {
		p := t.packages[key]
		p.Passwords = newest(p.Passwords)
		if len(p.Passwords) > 0 {
			p.Password = p.Passwords[0]
		}
		if t.opts.Present != nil {
			p.Exclusive = t.opts.Present.Protected(p.Registry, p.Package)
		}
		p.judge()
		if p.Ready {
			out.Ready++
		}
		out.Packages = append(out.Packages, p)
	}
	return out
}

// newest orders passwords by when they were seen last.
func newest(list []*Password) []*Password {
	slices.SortFunc(list, func(a, b *Password) int {
		return cmp.Or(b.Last.Compare(*a.Last), cmp.Compare(a.String(), b.String()))
	})
	return list
}

// judge says how far the package has come, and what is next.
func (p *PackageStatus) judge() {
	var password Seen
	if p.Password != nil {
		password = p.Password.Seen
	}
	switch {
	case p.Denied.after(&p.Trusted.Seen, &p.WouldAllow.Seen):
		p.State = StateDenied
		p.Next = "the newest judged run is not allowed" + p.Denied.why() + ": " + p.Denied.remedy()
	case p.Trusted.Last != nil && password.after(&p.Trusted.Seen):
		p.State = StateBoth
		p.Next = fmt.Sprintf("a password (%s) published after the last token: find the job that still has it", p.Password)
	case p.Trusted.Last != nil:
		p.State, p.Ready = StateReady, true
		p.Next = "make its policy exclusive: remove exclusive: false"
		if p.Exclusive {
			p.Next = "nothing: its policy is exclusive"
		}
	case p.WouldAllow.Last != nil:
		p.State = StateJudged
		p.Next = "policy " + p.WouldAllow.Policy + " allows the job: let it publish with its token, and take the password out of it"
	default:
		p.State = StatePassword
		p.Next = "no run was judged: let the job send its identity token in X-Trustpub-Identity, or publish with it"
		if p.Password == nil {
			p.Next = "only refused passwords were seen: " + strings.TrimPrefix(p.Next, "no run was judged: ")
		}
	}
}

// why words the first thing that differs.
func (d *Denial) why() string {
	if d.Field == "" {
		if d.Code == model.CodeNoMatchingPolicy {
			return " (no policy is near)"
		}
		return fmt.Sprintf(" (%s)", d.Code)
	}
	got := "absent"
	if d.Got != "" {
		got = fmt.Sprintf("%q", d.Got)
	}
	return fmt.Sprintf(" (%s is %s, expected %s)", d.Field, got, d.Want)
}

// remedy is what to do about it: a switch is no matter of policies.
func (d *Denial) remedy() string {
	if d.Code == model.CodeDeniedByOperator {
		return "remove the switch when it has done its work (trustpub deny list)"
	}
	return "correct the policy, or the job"
}
