package model

import (
	"fmt"
	"strings"
	"time"
)

// Decision says whether an identity may act on a target, and why.
type Decision struct {
	// Allow is true where a policy grants the action.
	Allow bool `json:"allow"`
	// Code is a stable code of docs/errors.md; empty when allowed.
	Code Code `json:"code,omitempty"`
	// Policy is the policy that allowed, or the nearest one that did not.
	Policy string `json:"policy,omitempty"`
	// Field, Got and Want are the first thing that differs.
	Field string `json:"field,omitempty"`
	Got   string `json:"got,omitempty"`
	Want  string `json:"want,omitempty"`
	// Hint says what to do.
	Hint string `json:"hint,omitempty"`
	// Exists is true where the registry must hold the package already: the policy covers it by a pattern or a template only
	// and does not allow new packages. Such a decision allows nothing before the registry was asked; where the package is
	// not there, or nobody can tell, the publish is refused with CodeNewPackage.
	Exists bool `json:"-"`
	// Reveal is true where the client may be told Policy, Got and Want: the token is of that policy's issuer and owner.
	// The audit has them always.
	Reveal bool `json:"-"`
}

// Denial is a refusal as an error: the decision, the HTTP status, and when to come back.
type Denial struct {
	Decision
	// Status is the HTTP status; never a 2xx.
	Status int
	// Message is the sentence without field, got and expected; it holds no secret.
	Message string
	// RetryAfter is sent with a 503 or a 429 when positive.
	RetryAfter time.Duration
	// Quiet is true for a refusal of which the audit has the like already, from a moment ago: it is counted, not recorded.
	Quiet bool
	// Event is the id under which the audit has the whole story; the gateway fills it in.
	Event string
	// Cause is the inner error for the log; it is never shown to a client.
	Cause error
}

// Deny makes a denial with the code's own status and message.
func Deny(code Code) *Denial {
	info := code.Info()
	return &Denial{Decision: Decision{Code: code, Hint: info.Hint, Reveal: true}, Status: info.Status, Message: info.Message}
}

// Refuse makes the denial of a decision that does not allow, with the decision's own field, sides and hint.
func Refuse(d Decision) *Denial {
	code := d.Code
	if code == "" {
		code = CodeNoMatchingPolicy
	}
	denial := Deny(code)
	hint := denial.Hint
	denial.Decision = d
	denial.Code = code
	if denial.Hint == "" {
		denial.Hint = hint
	}
	return denial
}

// Differ adds the field, what was got and what was expected, and returns the denial.
func (d *Denial) Differ(field, got, want string) *Denial {
	d.Field, d.Got, d.Want = field, got, want
	return d
}

// Hinted replaces the hint and returns the denial.
func (d *Denial) Hinted(format string, args ...any) *Denial {
	d.Hint = fmt.Sprintf(format, args...)
	return d
}

// Because keeps the inner error for the log and returns the denial.
func (d *Denial) Because(err error) *Denial {
	d.Cause = err
	return d
}

// After sets when to come back and returns the denial.
func (d *Denial) After(wait time.Duration) *Denial {
	d.RetryAfter = wait
	return d
}

// Unwrap gives the inner error.
func (d *Denial) Unwrap() error { return d.Cause }

// Error is the whole sentence with its code, for logs; Sentence is what a client is shown.
func (d *Denial) Error() string { return string(d.Code) + ": " + d.Sentence() }

// Sentence is what a client is told: message, field, got and expected where they may be told, hint and event id. It is
// one line of printable text without control characters; ecosystems put it where their clients look.
func (d *Denial) Sentence() string {
	var b strings.Builder
	b.WriteString(d.Message)
	if d.Reveal && d.Field != "" {
		fmt.Fprintf(&b, ": %s is %s", d.Field, quoteOr(d.Got, "absent"))
		if d.Want != "" {
			fmt.Fprintf(&b, ", expected %s", d.Want)
		}
	}
	if d.Reveal && d.Policy != "" {
		fmt.Fprintf(&b, " (policy %s)", d.Policy)
	}
	if d.Hint != "" {
		b.WriteString("; ")
		b.WriteString(d.Hint)
	}
	fmt.Fprintf(&b, " [%s", d.Code)
	if d.Event != "" {
		b.WriteString(" " + d.Event)
	}
	b.WriteString("]")
	return OneLine(b.String(), 1000)
}

// quoteOr quotes a value, or gives the word for no value.
func quoteOr(s, absent string) string {
	if s == "" {
		return absent
	}
	return fmt.Sprintf("%q", s)
}

// OneLine folds control characters and non-ASCII into '?' and cuts after max bytes, so that the text fits a reason phrase,
// a header and a terminal.
func OneLine(s string, limit int) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() >= limit {
			b.WriteString("...")
			break
		}
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case r < 0x20 || r > 0x7e:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
