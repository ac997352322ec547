package devpi

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gopkg.in/macaroon.v2"
)

// tokenPrefix is how devpi-tokens writes its tokens.
const tokenPrefix = "devpi-"

// maxParent bounds a parent token in bytes; one as devpi makes it has about a hundred.
const maxParent = 4 << 10

// parent is the long-lived token that the gateway keeps. It is only ever attenuated, never sent.
type parent struct {
	macaroon *macaroon.Macaroon
	// expires is the earliest expiry among its caveats; zero: never.
	expires time.Time
	// notBefore is the latest start among its caveats.
	notBefore time.Time
	// indexes, projects and allowed are what its caveats restrict it to, one list per caveat; each of them must hold.
	indexes, projects, allowed [][]string
}

// parseParent accepts a token in the one spelling that devpi-tokens gives it. Errors hold nothing of the token.
func parseParent(raw string) (*parent, error) {
	if len(raw) > maxParent {
		return nil, fmt.Errorf("it has %d bytes, expected at most %d", len(raw), maxParent)
	}
	text := strings.TrimPrefix(raw, tokenPrefix)
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("it is not devpi- and base64url without padding")
	}
	m := new(macaroon.Macaroon)
	if err := m.UnmarshalBinary(b); err != nil {
		return nil, errors.New("it is not a macaroon")
	}
	if m.Version() != macaroon.V2 {
		return nil, errors.New("it is not a macaroon of version 2")
	}
	if again, err := m.MarshalBinary(); err != nil || !bytes.Equal(again, withoutEmptyLocation(b)) {
		return nil, errors.New("it is a macaroon with other data around it")
	}
	if len(m.Id()) == 0 {
		return nil, errors.New("it is a macaroon without an id")
	}
	p := &parent{macaroon: m}
	for i, c := range m.Caveats() {
		if len(c.VerificationId) > 0 || c.Location != "" {
			return nil, fmt.Errorf("its caveat %d is of a third party, which devpi can't check", i+1)
		}
		if err := p.caveat(string(c.Id)); err != nil {
			return nil, fmt.Errorf("its caveat %d: %w", i+1, err)
		}
	}
	return p, nil
}

// withoutEmptyLocation drops the empty location that devpi writes into each token and our library leaves out. The signature
// does not cover it.
func withoutEmptyLocation(b []byte) []byte {
	const version, location = 2, 1
	if len(b) > 3 && b[0] == version && b[1] == location && b[2] == 0 {
		return append([]byte{version}, b[3:]...)
	}
	return b
}

// caveat understands what devpi-tokens understands. It refuses the rest: devpi would refuse the child.
func (p *parent) caveat(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return errors.New("it is not KEY=VALUE; tokens in the style of other indexes can't be attenuated")
	}
	switch name {
	case "expires", "not_before":
		if value == "never" && name == "expires" {
			return nil
		}
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds < 0 || seconds > 1<<40 {
			return fmt.Errorf("%s is not a number of seconds", name)
		}
		at := time.Unix(seconds, 0)
		if name == "not_before" {
			if at.After(p.notBefore) {
				p.notBefore = at
			}
		} else if p.expires.IsZero() || at.Before(p.expires) {
			p.expires = at
		}
	case "indexes":
		p.indexes = append(p.indexes, list(value))
	case "projects":
		names := list(value)
		for i := range names {
			names[i] = normalise(names[i])
		}
		p.projects = append(p.projects, names)
	case "allowed":
		p.allowed = append(p.allowed, list(value))
	default:
		return errors.New("its key is none of expires, not_before, indexes, projects and allowed")
	}
	return nil
}

func list(value string) []string {
	var out []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

var separators = regexp.MustCompile(`[-_.]+`)

// normalise is PEP 503, as devpi compares projects.
func normalise(name string) string { return strings.ToLower(separators.ReplaceAllString(name, "-")) }

// allows is nil where every restriction of one kind holds the value.
func allows(kind string, restrictions [][]string, value string) error {
	for _, r := range restrictions {
		found := false
		for _, have := range r {
			found = found || have == value
		}
		if !found {
			return fmt.Errorf("the parent token is restricted to %s %s, expected one that allows %s", kind, strings.Join(r, ", "), value)
		}
	}
	return nil
}

// attenuate makes the child: the parent with all caveats on top. Each can only narrow.
func (p *parent) attenuate(caveats ...string) (string, error) {
	m := p.macaroon.Clone()
	for _, c := range caveats {
		if err := m.AddFirstPartyCaveat([]byte(c)); err != nil {
			return "", fmt.Errorf("attenuate the parent token: %w", err)
		}
	}
	b, err := m.MarshalBinary()
	if err != nil {
		return "", fmt.Errorf("attenuate the parent token: %w", err)
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b), nil
}
