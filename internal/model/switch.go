package model

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// SwitchKind says what a switch stops.
type SwitchKind string

// The kinds of switch.
const (
	// SwitchIssuer stops all tokens of one configured issuer, by its name.
	SwitchIssuer SwitchKind = "issuer"
	// SwitchKey stops the tokens that one key of an issuer has signed, by its kid.
	SwitchKey SwitchKind = "kid"
	// SwitchRepository stops the runs of one repository (project), by its stable id.
	SwitchRepository SwitchKind = "repository_id"
	// SwitchRun stops one run, by its id.
	SwitchRun SwitchKind = "run_id"
	// SwitchPackage freezes one package, as registry/name.
	SwitchPackage SwitchKind = "package"
	// SwitchRegistry freezes a whole registry, by its name.
	SwitchRegistry SwitchKind = "registry"
	// SwitchPolicy stops what one policy would allow, by its name.
	SwitchPolicy SwitchKind = "policy"
)

// SwitchKinds are all kinds, in the order in which documents list them.
func SwitchKinds() []SwitchKind {
	return []SwitchKind{SwitchIssuer, SwitchKey, SwitchRepository, SwitchRun, SwitchPackage, SwitchRegistry, SwitchPolicy}
}

// maxSwitchText bounds each text of a switch, in bytes.
const maxSwitchText = 1024

// Switch is an operator's order that beats every allow.
type Switch struct {
	Kind SwitchKind `json:"kind"`
	// Value is what is stopped; a package is registry/name with the name as its ecosystem spells it.
	Value string `json:"value"`
	// Issuer narrows a kid, repository_id or run_id to one issuer's; empty: those of every issuer.
	Issuer string `json:"issuer,omitempty"`
	// Reason is why, By is who: both for the audit and for whoever finds the switch later.
	Reason string `json:"reason"`
	By     string `json:"by,omitempty"`
	// Since is when it was set, Until when it ends by itself; zero: never.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// ID names the switch: there is one for each kind, issuer and value.
func (s Switch) ID() string { return string(s.Kind) + "\x00" + s.Issuer + "\x00" + s.Value }

// Ended is true once a switch with an end has reached it.
func (s Switch) Ended(now time.Time) bool { return !s.Until.IsZero() && !now.Before(s.Until) }

// String is the switch as operators write it.
func (s Switch) String() string {
	text := string(s.Kind) + " " + s.Value
	if s.Issuer != "" {
		text += " of issuer " + s.Issuer
	}
	return text
}

// Check refuses a switch that could never match or that nobody could understand later.
func (s Switch) Check(now time.Time) error {
	scoped := s.Kind == SwitchKey || s.Kind == SwitchRepository || s.Kind == SwitchRun
	registry, name, hasSlash := strings.Cut(s.Value, "/")
	switch {
	case !slices.Contains(SwitchKinds(), s.Kind):
		return fmt.Errorf("kind is %q, expected one of %v", s.Kind, SwitchKinds())
	case s.Value == "":
		return fmt.Errorf("value is empty, expected what to stop, as in \"%s VALUE\"", s.Kind)
	case s.Kind == SwitchPackage && (!hasSlash || registry == "" || name == ""):
		return fmt.Errorf("value is %q, expected registry/package, as in internal-pypi/acme-widget", s.Value)
	case s.Issuer != "" && !scoped:
		return fmt.Errorf("issuer is %q, expected none with kind %s", s.Issuer, s.Kind)
	case strings.TrimSpace(s.Reason) == "":
		return fmt.Errorf("reason is empty, expected a few words for whoever finds this switch later")
	case s.Ended(now):
		return fmt.Errorf("until is %s, expected a time to come", s.Until.Format(time.RFC3339))
	}
	for field, text := range map[string]string{"value": s.Value, "issuer": s.Issuer, "reason": s.Reason, "by": s.By} {
		if len(text) > maxSwitchText || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("%s is %q, expected at most %d bytes without control characters", field, OneLine(text, 80), maxSwitchText)
		}
	}
	return nil
}
