package gateway

import (
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// send runs the chain and turns what came of it into an answer.
func (t *transaction) send(out *http.Request, as guard) error {
	t.answer = as
	g := &t.answer
	g.t, g.target = t, t.w
	g.header = http.Header{}
	err := t.through(g, out)
	if g.stream != nil {
		failed := streamDenial(g.stream) // asked before the stop, which makes a read under way fail
		t.stop(g.stream)                 // from here on nothing else writes to the event
		if failed == nil && t.body.pace.expired() {
			failed = streamDenial(g.stream) // the deadline has ended the request before the read that it was for
		}
		if failed == nil && err != nil && t.left() {
			failed = model.Deny(model.CodeTruncated).Because(err)
		}
		if g.denial == nil && !g.sent {
			g.denial = failed
		}
	}
	t.event.UpstreamStatus = g.status
	switch {
	case g.denial != nil:
		return g.denial
	case g.sent:
		if err != nil {
			t.g.Logger.Debug("the registry's answer broke off", "event", t.named(), "error", err)
			panic(http.ErrAbortHandler) // the client must not take a cut answer for a whole one
		}
	case err != nil:
		return unreachable(err)
	case !g.wrote:
		return model.Deny(model.CodeUpstreamUnavailable).Because(errNoAnswer)
	}
	return g.finish()
}

// through runs the chain. Proxies end their handler by a panic where the registry's answer breaks off, which would take our own answer with it.
func (t *transaction) through(w http.ResponseWriter, out *http.Request) (err error) {
	defer func() {
		switch broken := recover(); broken {
		case nil:
		case http.ErrAbortHandler:
			err = errBrokenOff
		default:
			panic(broken)
		}
	}()
	return t.next(w, out)
}

// errBrokenOff is for an answer of which there is only a beginning.
var errBrokenOff = errors.New("the registry's answer broke off")

// errNoAnswer is for a chain that ends in nothing, which net/http would answer with 200.
var errNoAnswer = errors.New("no handler answered the request: is a reverse_proxy missing?")

// unreachable is the denial of a registry that gave no answer: none in time, or none at all.
func unreachable(err error) *model.Denial {
	var timed net.Error
	if errors.As(err, &timed) && timed.Timeout() {
		return model.Deny(model.CodeUpstreamTimeout).Because(err)
	}
	return model.Deny(model.CodeUpstreamUnavailable).Because(err)
}

// streamDenial is the refusal that a failed stream holds.
func streamDenial(s *upload.Stream) *model.Denial {
	err := s.Err()
	if err == nil {
		return nil
	}
	var denial *model.Denial
	if errors.As(err, &denial) {
		return denial
	}
	return model.Deny(model.CodeInternal).Because(err)
}

// stop takes the client's body back from the registry's side. A read that waits for a silent client is woken by a deadline,
// which also keeps the server from waiting for the rest of a body that nobody will read.
func (t *transaction) stop(s *upload.Stream) {
	pending := s.State() == upload.Pending
	stopped := s.TryStop()
	if pending && (!stopped || !t.body.ended) {
		// The server takes a deadline that has passed for a client that went away and cancels the request, and with it the
		// whole connection: whether the client is there must be asked before, and nothing may follow on the connection.
		t.gone, t.woken = t.left(), true
		_ = http.NewResponseController(t.w).SetReadDeadline(time.Now())
	}
	if !stopped {
		s.Stop()
	}
}

// left is true where the client went away by itself.
func (t *transaction) left() bool {
	if t.woken {
		return t.gone
	}
	// The server ends the request of HTTP/1 at a deadline of ours too.
	return t.r.Context().Err() != nil && !t.body.pace.expired()
}

// read handles a safe operation inside a registry.
func (t *transaction) read() error {
	t.event.Operation = t.op.Name
	t.silent = true
	out := t.g.forwarded(t.r)
	if t.op.Challenge && t.presented.kind == presentedNone && t.reg.Mode == ModeEnforce {
		return model.Deny(model.CodeNoCredential)
	}
	if !t.presented.ours() {
		return t.next(t.w, out)
	}
	if err := t.authenticate(); err != nil {
		return err
	}
	t.g.anonymous(out)
	cred := model.Credential{}
	if len(t.op.Targets) > 0 {
		t.event.Target = &t.op.Targets[0]
		if err := t.judge(t.op.Targets); err != nil {
			return err
		}
		var err error
		if cred, err = t.issue(t.op.Targets); err != nil {
			return err
		}
		defer t.retire(cred)
	}
	for name, values := range cred.Header {
		out.Header[http.CanonicalHeaderKey(name)] = values
		// The answer is searched for the credential, which compression would hide.
		out.Header.Set("Accept-Encoding", "identity")
	}
	return t.send(out, guard{secrets: t.reg.secrets(cred), refused: cred.Refused})
}

// outside handles a path of the host that is in no registry.
func (t *transaction) outside() error {
	t.event.Operation = "outside"
	if err := t.credential(); err != nil {
		return err
	}
	out := t.g.forwarded(t.r)
	switch t.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		t.silent = true
		if !t.presented.ours() {
			return t.next(t.w, out)
		}
		if err := t.authenticateHost(); err != nil {
			return err
		}
		t.g.anonymous(out)
		return t.send(out, guard{})
	}
	if t.presented.ours() || !t.passes() {
		return model.Deny(model.CodeUnsupportedOperation).
			Differ("request", t.r.Method+" "+t.r.URL.EscapedPath(), "an operation inside a registry, or one that passthrough names")
	}
	t.event.Operation = "passthrough"
	t.event.Decision = "allow"
	if err := t.record(); err != nil {
		return err
	}
	if t.r.ContentLength != 0 {
		out.Body = t.body
	}
	return t.next(t.w, out)
}

// passes is true where the operator let an unsafe request outside every registry through.
func (t *transaction) passes() bool {
	path := t.r.URL.EscapedPath()
	for _, p := range t.g.Passthrough {
		if p.Method != t.r.Method {
			continue
		}
		if p.Prefix == path {
			return true
		}
		if _, ok := under(path, p.Prefix); ok && p.Prefix[len(p.Prefix)-1] == '/' {
			return true
		}
	}
	return false
}

// authenticateHost verifies one of our tokens outside every registry: it is good for nothing there, but a bad one is said to
// be bad.
func (t *transaction) authenticateHost() error {
	var last error = model.Deny(model.CodeInvalidToken)
	for _, reg := range t.route.candidates {
		t.reg = reg
		if last = t.authenticate(); last == nil {
			break
		}
	}
	t.reg = nil
	return last
}
