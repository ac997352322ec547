package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

const (
	// drainBytes and drainTime bound what is read of a refused upload before the refusal is written, where it must be written as
	// any other answer.
	drainBytes = 8 << 20
	drainTime  = 2 * time.Second
	// lingerBytes, lingerTime and lingerIdle bound what is read after it, at most as long as the client sends: some read no
	// answer before they have sent everything, and an end of the connection would take the answer with it.
	lingerBytes = 1 << 30
	lingerTime  = time.Minute
	lingerIdle  = 5 * time.Second
)

// deny writes a denial in the client's dialect, and into the audit.
func (t *transaction) deny(d *model.Denial) {
	d.Event = t.named()
	t.body.pace.stop() // what is read from here on has limits of its own
	if d.Code == model.CodeTooSlow {
		t.g.Meter.Limited(t.body.pace.passed())
	}
	t.silent = t.quiet(d)
	t.doubt(d.Code == model.CodeNoMatchingPolicy)
	t.event.Decision, t.event.Code, t.event.Message = "deny", d.Code, d.Message
	t.event.Policy, t.event.Field, t.event.Got, t.event.Want = d.Policy, d.Field, d.Got, d.Want
	if d.Cause != nil {
		level := t.g.Logger.Info
		if d.Status >= http.StatusInternalServerError {
			level = t.g.Logger.Warn
		}
		level("request refused", "event", d.Event, "code", d.Code, "error", d.Cause)
	}
	if !t.recorded && !t.silent {
		t.describe()
		t.event.Kind = model.EventDecision
		t.event.Time = t.g.Now().UTC()
		t.g.Auditor.Note(t.event)
		t.recorded, t.event.Detail = true, nil
	}
	if t.left() {
		return // nobody is there to read it
	}
	told := *d
	if !told.Reveal {
		told.Policy, told.Field, told.Got, told.Want = "", "", "", ""
	}
	var reply model.Reply
	switch {
	case t.plainly:
		reply = neutralDenial(&told)
	case t.dialect != nil:
		reply = t.dialect.Render(t.op, &told)
	default:
		reply = plain(&told)
	}
	if d.RetryAfter > 0 {
		if reply.Header == nil {
			reply.Header = http.Header{}
		}
		reply.Header.Set("Retry-After", strconv.Itoa(int((d.RetryAfter+time.Second-1)/time.Second)))
	}
	t.reply(reply)
}

// plain is the answer where no ecosystem is known.
func plain(d *model.Denial) model.Reply {
	return model.Reply{
		Status: d.Status,
		Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}},
		Body:   []byte(d.Sentence() + "\n"),
		Reason: d.Sentence(),
	}
}

// reply writes a whole answer. An error with a reason phrase is written by hand on HTTP/1.x, since net/http has no way to
// say one and some clients show nothing else.
func (t *transaction) reply(reply model.Reply) {
	h := t.w.Header()
	for name, values := range reply.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	if reply.Status >= 400 || reply.Header.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(reply.Body)))
	if reply.Status >= 400 && reply.Reason != "" && t.r.ProtoMajor == 1 && t.hijack(reply) {
		return
	}
	expecting := strings.EqualFold(t.r.Header.Get("Expect"), "100-continue") && !t.body.touched
	multiplexed := t.r.ProtoMajor > 1
	if !expecting && !multiplexed && reply.Status >= 400 {
		t.drain()
	}
	// What is left of the body, or a deadline, would spoil the next request; and for a client that waits for a word first, Caddy
	// would read the whole body. In HTTP/2 these are a matter of one stream, and an end of the connection would cut this one.
	if !multiplexed && (expecting || t.woken || reply.Status >= 400 && t.r.ContentLength != 0 && !t.body.ended) {
		h.Set("Connection", "close")
	}
	t.w.WriteHeader(reply.Status)
	if t.r.Method != http.MethodHead {
		_, _ = t.w.Write(reply.Body)
	}
	if !expecting && multiplexed && reply.Status >= 400 && !t.body.ended {
		// A stream whose upload was not read to its end is reset when the handler returns, and clients that are still sending
		// then drop what they have not read of the answer.
		control := http.NewResponseController(t.w)
		_ = control.Flush()
		linger(t.body, control.SetReadDeadline, t.patience())
	}
}

// drain reads what the client still sends, within bounds: one that is busy writing would see a reset instead of the answer.
func (t *transaction) drain() {
	if t.r.Body == nil || t.r.Body == http.NoBody || t.body.ended || t.event.Code == model.CodeTooSlow {
		return
	}
	_ = http.NewResponseController(t.w).SetReadDeadline(time.Now().Add(drainTime))
	_, _ = io.CopyN(io.Discard, t.body, drainBytes)
}

// hijack writes the answer with its reason phrase and ends the connection. False where the connection can't be had.
func (t *transaction) hijack(reply model.Reply) bool {
	conn, rw, err := http.NewResponseController(t.w).Hijack()
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(drainTime))
	fmt.Fprintf(rw, "HTTP/%d.%d %03d %s\r\n", t.r.ProtoMajor, t.r.ProtoMinor, reply.Status, model.OneLine(reply.Reason, 1200))
	h := t.w.Header().Clone()
	h.Set("Connection", "close")
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	_ = h.Write(rw)
	_, _ = rw.WriteString("\r\n")
	if t.r.Method != http.MethodHead {
		_, _ = rw.Write(reply.Body)
	}
	_ = rw.Flush()
	if !t.body.ended && t.r.ContentLength != 0 {
		// Bytes that arrive after a full close would reset the connection and take the answer with them. Caddy's own connection
		// can't be half closed; there the client ends it, as the answer says.
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		linger(conn, conn.SetReadDeadline, t.patience())
	}
	// Tells the recorders above, which count by the status that they saw.
	t.w.WriteHeader(reply.Status)
	return true
}

// patience is how long to linger; not for long with a client that was refused because it is slow.
func (t *transaction) patience() time.Duration {
	if t.event.Code == model.CodeTooSlow {
		return drainTime
	}
	return lingerTime
}

// linger reads on until the client has sent everything or goes away, is silent, or has sent more, or for longer, than anybody wants to
// wait for.
func linger(from io.Reader, deadline func(time.Time) error, patience time.Duration) {
	end := time.Now().Add(patience)
	piece := make([]byte, 32<<10)
	for left := lingerBytes; left > 0; {
		next := time.Now().Add(lingerIdle)
		if next.After(end) {
			next = end
		}
		_ = deadline(next)
		n, err := from.Read(piece)
		if err != nil {
			return
		}
		left -= n
	}
}

// touchedBody remembers whether the body was read at all and whether it was read to its end, and watches its pace.
type touchedBody struct {
	io.ReadCloser
	touched, ended bool
	pace           *pace
}

// Read notes the first read and the end.
func (b *touchedBody) Read(p []byte) (int, error) {
	b.touched = true
	b.pace.begin()
	n, err := b.ReadCloser.Read(p)
	b.pace.end(n)
	switch {
	case errors.Is(err, io.EOF):
		b.ended = true
	case err != nil:
		err = b.pace.tooSlow(err)
	}
	return n, err
}

// statusWriter remembers the status that a client got.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the final status.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write notes the implied status.
func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the server's own writer.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
