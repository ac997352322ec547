package audit

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/trustpub/trustpub/internal/model"
)

// object writes the members of a JSON object. It is what encoding/json does with the tags of model.Event, byte for byte, without
// reflection: each publish waits for an event.
type object struct{ b []byte }

// usualEvent is the room for the line of a publish, in bytes.
const usualEvent = 1536

// appendEvent writes an event as JSON.
func appendEvent(b []byte, e *model.Event) ([]byte, error) {
	o := object{append(b, `{"time":"`...)}
	var err error
	if o.b, err = e.Time.AppendText(o.b); err != nil {
		return nil, err
	}
	o.b = append(o.b, `","event":`...)
	o.b = appendText(o.b, e.ID)
	o.b = append(o.b, `,"kind":`...)
	o.b = appendText(o.b, string(e.Kind))
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
	return append(o.b, '}'), nil
}

func (o *object) name(name string) {
	o.b = append(append(append(o.b, `,"`...), name...), `":`...)
}

// text writes a member, as number does; those that are empty are left out.
func (o *object) text(name, value string) {
	if value != "" {
		o.name(name)
		o.b = appendText(o.b, value)
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
		o.b = appendText(o.b, v)
	}
	o.b = append(o.b, ']')
}

// texts writes a map in the order of its keys.
func (o *object) texts(name string, values map[string]string) {
	if len(values) == 0 {
		return
	}
	var room [32]string
	keys := room[:0]
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	o.name(name)
	for i, key := range keys {
		o.b = append(o.b, "{,"[min(i, 1)])
		o.b = appendText(o.b, key)
		o.b = append(o.b, ':')
		o.b = appendText(o.b, values[key])
	}
	o.b = append(o.b, '}')
}

func (o *object) target(t *model.Target) {
	if t == nil {
		return
	}
	o.name("target")
	o.b = append(o.b, `{"ecosystem":`...)
	o.b = appendText(o.b, t.Ecosystem)
	o.b = append(o.b, `,"registry":`...)
	o.b = appendText(o.b, t.Registry)
	o.text("package", t.Package)
	o.text("version", t.Version)
	o.text("file", t.File)
	o.b = append(o.b, `,"action":`...)
	o.b = appendText(o.b, string(t.Action))
	o.b = append(o.b, '}')
}

// appendText quotes a text. Nearly all are printable ASCII with nothing to escape; the standard library writes the others.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return appendEscaped(b, s)
		}
	}
	return append(append(append(b, '"'), s...), '"')
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
