package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"

	"github.com/trustpub/trustpub/internal/model"
)

// SchemaVersion is the "v" of every line. Adding a field keeps it; changing or removing one raises it. docs/audit.md is the
// schema.
const SchemaVersion = 1

// MaxLine bounds one line, in bytes.
const MaxLine = 256 << 10

// Kinds of event that the audit itself writes, beside those of model.
const (
	// EventLost says how many events could not be kept while the sink failed or the queue was full.
	EventLost model.EventKind = "lost"
	// EventRecovery says what a sink found and repaired: a line that a crash had cut short, a file that was truncated.
	EventRecovery model.EventKind = "recovery"
)

// hash is the SHA-256 of a whole line without its line break; the zero hash stands before the first line.
type hash [sha256.Size]byte

func (h hash) String() string { return hex.EncodeToString(h[:]) }

// link is the part of a line that makes the chain.
type link struct {
	Version int    `json:"v"`
	Seq     uint64 `json:"seq"`
	Prev    string `json:"prev"`
}

// chain is where the next line of a sink attaches.
type chain struct {
	// seq is the newest line's number, 0 before the first; head its hash.
	seq  uint64
	head hash
}

// resume reads the chain's end from a sink's newest line.
func resume(last []byte) (chain, error) {
	if len(last) == 0 {
		return chain{}, nil
	}
	l, err := parseLink(last)
	if err != nil {
		return chain{}, fmt.Errorf("the newest line is not an audit line of this version (%w): move the file away, so that a new one begins", err)
	}
	return chain{seq: l.Seq, head: sha256.Sum256(last)}, nil
}

func parseLink(line []byte) (link, error) {
	var l link
	if err := json.Unmarshal(line, &l); err != nil {
		return l, fmt.Errorf("not a JSON object: %w", err)
	}
	switch {
	case l.Version != SchemaVersion:
		return l, fmt.Errorf("v is %d, expected %d", l.Version, SchemaVersion)
	case l.Seq == 0:
		return l, fmt.Errorf("seq is absent, expected a number from 1")
	case len(l.Prev) != 2*sha256.Size:
		return l, fmt.Errorf("prev has %d characters, expected %d", len(l.Prev), 2*sha256.Size)
	}
	return l, nil
}

// attach appends the next line of the chain, made of an encoded event, to b.
func (c *chain) attach(b, event []byte) (all, line []byte) {
	from := len(b)
	b = append(b, `{"v":`...)
	b = strconv.AppendInt(b, SchemaVersion, 10)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, c.seq+1, 10)
	b = append(b, `,"prev":"`...)
	b = hex.AppendEncode(b, c.head[:])
	b = append(b, `",`...)
	b = append(b, event[1:]...)
	line = b[from:len(b):len(b)]
	c.seq, c.head = c.seq+1, sha256.Sum256(line)
	return b, line
}

// encode appends an event to b as a JSON object on one line, without anything that looks like a token.
func encode(b []byte, event *model.Event) ([]byte, error) {
	out, suspect, err := appendEvent(b, event)
	if err != nil {
		return nil, fmt.Errorf("audit: event %s: %w", event.ID, err)
	}
	if suspect {
		out = redact(out)
	}
	if len(out) > MaxLine-256 {
		return nil, fmt.Errorf("audit: event %s has %d bytes, expected at most %d", event.ID, len(out), MaxLine-256)
	}
	return out, nil
}

// secretShapes are what tokens and credentials look like. No event has a field for one; but an event quotes what a client
// sent in the wrong place ("got"), and that may be the token itself.
var secretShapes = []struct {
	// mark is looked for first, since it is cheap. JSON escapes none of its characters, nor has them between texts.
	mark    string
	pattern *regexp.Regexp
}{
	{"tpub_", regexp.MustCompile(`tpub_[A-Za-z0-9_=-]{8,}(\.[A-Za-z0-9_=-]*)*`)},
	{"eyJ", regexp.MustCompile(`eyJ[A-Za-z0-9_=-]{8,}\.[A-Za-z0-9_=-]+(\.[A-Za-z0-9_=-]*)*`)},
	{"pypi-", regexp.MustCompile(`pypi-[A-Za-z0-9_=-]{40,}`)},
	{"devpi-", regexp.MustCompile(`devpi-[A-Za-z0-9_=-]{40,}`)},
	{"asic ", regexp.MustCompile(`[Bb]asic +[A-Za-z0-9+/=_-]{8,}`)},
	{"earer ", regexp.MustCompile(`[Bb]earer +[A-Za-z0-9+/=_.~-]{8,}`)},
}

func redact(line []byte) []byte {
	for _, s := range secretShapes {
		if bytes.Contains(line, []byte(s.mark)) {
			line = s.pattern.ReplaceAll(line, []byte("[redacted]"))
		}
	}
	return line
}
