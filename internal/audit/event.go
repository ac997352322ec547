package audit

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// object writes the members of a JSON object. It is what encoding/json does with the tags of model.Event, byte for byte, without
// reflection: each publish waits for an event.
type object struct {
	b []byte
	// suspect is true once a text was seen that may hold what redact looks for.
	suspect bool
}

// usualEvent is the room for the line of a publish, in bytes.
const usualEvent = 1536

// appendEvent writes an event as JSON; suspect is true where it may hold what redact looks for.
func appendEvent(b []byte, e *model.Event) (out []byte, suspect bool, err error) {
	o := object{b: append(b, `{"time":"`...)}
	if o.b, err = e.Time.AppendText(o.b); err != nil {
		return nil, false, err
	}
	o.b = append(o.b, `","event":`...)
	o.quote(e.ID)
	o.b = append(o.b, `,"kind":`...)
	o.quote(string(e.Kind))
	o.text("decision", e.Decision)
	o.text("code", string(e.Code))
	o.text("message", e.Message)
	o.text("policy", e.Policy)
	o.text("field", e.Field)
	o.text("got", e.Got)
	o.text("expected", e.Want)
	o.text("mode", e.Mode)
	o.text("operation", e.Operation)
	o.target(e.Target)
	o.text("credential", e.Credential)
	o.text("foreign_user", e.ForeignUser)
	o.text("foreign_fingerprint", e.ForeignFingerprint)
	o.text("publish_token", e.PublishToken)
	o.list("registries", e.Registries)
	o.text("issuer", e.Issuer)
	o.text("provider", e.Provider)
	o.text("identity_sha256", e.IdentitySHA256)
	if e.BreakGlass {
		o.name("break_glass")
		o.b = append(o.b, "true"...)
	}
	o.text("jti", e.JTI)
	o.texts("run", e.Run)
	o.number("size", e.Size)
	o.text("sha256", e.SHA256)
	o.text("client_ip", e.ClientIP)
	o.number("upstream_status", int64(e.UpstreamStatus))
	o.number("status", int64(e.Status))
	o.number("duration_ms", e.DurationMS)
	o.text("result", e.Result)
	o.texts("detail", e.Detail)
	return append(o.b, '}'), o.suspect, nil
}

func (o *object) name(name string) {
	o.b = append(append(append(o.b, `,"`...), name...), `":`...)
}

// text writes a member, as number does; those that are empty are left out.
func (o *object) text(name, value string) {
	if value != "" {
		o.name(name)
		o.quote(value)
	}
}

func (o *object) number(name string, value int64) {
	if value != 0 {
		o.name(name)
		o.b = strconv.AppendInt(o.b, value, 10)
	}
}

func (o *object) list(name string, values []string) {
	if len(values) == 0 {
		return
	}
	o.name(name)
	for i, v := range values {
		o.b = append(o.b, "[,"[min(i, 1)])
		o.quote(v)
	}
	o.b = append(o.b, ']')
}

// member is a key of a map, with its value.
type member struct{ key, value string }

// texts writes a map in the order of its keys.
func (o *object) texts(name string, values map[string]string) {
	if len(values) == 0 {
		return
	}
	var room [32]member
	members := room[:0]
	for key, value := range values {
		members = append(members, member{key, value})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.key, b.key) })
	o.name(name)
	for i := range members {
		o.b = append(o.b, "{,"[min(i, 1)])
		o.quote(members[i].key)
		o.b = append(o.b, ':')
		o.quote(members[i].value)
	}
	o.b = append(o.b, '}')
}

func (o *object) target(t *model.Target) {
	if t == nil {
		return
	}
	o.name("target")
	o.b = append(o.b, `{"ecosystem":`...)
	o.quote(t.Ecosystem)
	o.b = append(o.b, `,"registry":`...)
	o.quote(t.Registry)
	o.text("package", t.Package)
	o.text("version", t.Version)
	o.text("file", t.File)
	o.b = append(o.b, `,"action":`...)
	o.quote(string(t.Action))
	o.b = append(o.b, '}')
}

// What a byte of a text means to quote.
const (
	plain   = iota
	escaped // the standard library writes the text
	marking // it may end one of secretShapes' marks
)

// meaning is that of each byte. Nearly all texts are printable ASCII with nothing to escape.
var meaning = func() (all [256]uint8) {
	for c := range all {
		if c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			all[c] = escaped
		}
	}
	for _, s := range secretShapes {
		all[s.mark[len(s.mark)-1]] = marking
	}
	return all
}()

// quote writes a text as JSON.
func (o *object) quote(s string) {
	for i := range len(s) {
		switch meaning[s[i]] {
		case plain:
		case marking:
			o.suspect = o.suspect || endsMark(s[:i+1])
		default:
			o.suspect = true // what an escape stands beside is not looked at here
			o.b = appendEscaped(o.b, s)
			return
		}
	}
	o.b = append(append(append(o.b, '"'), s...), '"')
}

// endsMark is true where one of the marks ends the text.
func endsMark(s string) bool {
	for i := range secretShapes {
		if strings.HasSuffix(s, secretShapes[i].mark) {
			return true
		}
	}
	return false
}

func appendEscaped(b []byte, s string) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // of a string, which can always be written
	}
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}
