package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// print shows everything but the token. Values are quoted, so that no claim can play with the terminal.
func (t *token) print(out io.Writer, now time.Time) {
	kind := "identity token"
	if t.publish {
		kind = "publish token"
	}
	fmt.Fprintf(out, "%s; its signature was NOT checked\n\n", kind)
	fmt.Fprintf(out, "issuer    %s\n", show(t.payload["iss"]))
	fmt.Fprintf(out, "audience  %s\n", show(t.payload["aud"]))
	for _, line := range []struct{ claim, label string }{{"iat", "issued"}, {"nbf", "valid"}, {"exp", "expires"}} {
		if v, ok := t.payload[line.claim]; ok {
			fmt.Fprintf(out, "%-9s %s\n", line.label, when(v, now))
		}
	}
	fmt.Fprint(out, "\nheader\n")
	table(out, t.header)
	fmt.Fprint(out, "\nclaims\n")
	rest := maps.Clone(t.payload)
	for _, shown := range []string{"iss", "aud", "iat", "nbf", "exp"} {
		delete(rest, shown)
	}
	flat := make(object)
	flatten(flat, "", rest)
	table(out, flat)
}

// flatten gives the members of nested objects dotted names, which is how a publish token's own claims are told from those
// of the identity token inside.
func flatten(into object, prefix string, from object) {
	for name, value := range from {
		var inner object
		if value.Kind() == '{' && json.Unmarshal(value, &inner) == nil && len(inner) > 0 {
			flatten(into, prefix+name+".", inner)
			continue
		}
		into[prefix+name] = value
	}
}

// table prints names and values in two columns, in order of names.
func table(out io.Writer, o object) {
	names, width := slices.Sorted(maps.Keys(o)), 0
	for i := range names {
		width = max(width, len(label(names[i])))
	}
	for _, name := range names {
		fmt.Fprintf(out, "  %-*s  %s\n", width, label(name), show(o[name]))
	}
}

// label is a claim's name, quoted if it holds anything beyond the ordinary.
func label(name string) string {
	quoted := strconv.QuoteToASCII(name)
	if name != "" && quoted == `"`+name+`"` && !strings.Contains(name, " ") {
		return name
	}
	return quoted
}

// show is a JSON value on one line of printable ASCII.
func show(v jsontext.Value) string {
	if v == nil {
		return "absent"
	}
	v = slices.Clone(v)
	if err := v.Compact(); err != nil {
		return "not JSON"
	}
	if v.Kind() == '"' {
		var s string
		if err := json.Unmarshal(v, &s); err == nil {
			return strconv.QuoteToASCII(s)
		}
	}
	var b strings.Builder
	for _, r := range string(v) {
		switch {
		case r >= 0x20 && r < 0x7f:
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// when is a numeric date, and how far it is from now.
func when(v jsontext.Value, now time.Time) string {
	seconds, err := strconv.ParseFloat(string(v), 64)
	if v.Kind() != '0' || err != nil || math.Abs(seconds) > 1e11 {
		return show(v) + " (not a date: expected seconds since 1970)"
	}
	whole, fraction := math.Modf(seconds)
	at := time.Unix(int64(whole), int64(fraction*1e9)).UTC()
	return at.Format("2006-01-02 15:04:05 UTC") + ", " + distance(at.Sub(now))
}

func distance(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d > 0:
		return "in " + rough(d)
	case d < 0:
		return rough(-d) + " ago"
	}
	return "now"
}

// rough gives days where hours would be too many to read.
func rough(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 2*day {
		return d.String()
	}
	return fmt.Sprintf("%d days", d/day)
}
