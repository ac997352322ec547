package gateway

import (
	"crypto/sha256"
	"io"
	"net/http"
	"slices"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// incoming is the body of an unsafe request, named and ready to be forwarded.
type incoming struct {
	// targets are what body and URL name; there is always one.
	targets []model.Target
	// stream is set for a body that is judged while it flows.
	stream *upload.Stream
	body   io.ReadCloser
	length int64
	// settle passes the verdict on a body that is wholly here already; a stream's falls at its end.
	settle func() error
	// same is true for a body that is just this one; nil where that is not known before it is forwarded.
	same  func(there []byte) bool
	close func()
}

// receive reads as much of the body as naming the target takes, asks permit about the targets (a spool only goes on then), and
// arranges for verdict to be asked before the last bytes leave.
func (t *transaction) receive(
	permit func([]model.Target) error, verdict func([]model.Target, *model.Artifact) error,
) (*incoming, error) {
	admit := func(targets []model.Target) error {
		if len(targets) == 0 {
			return model.Deny(model.CodeUnsupportedOperation).Differ("operation", t.op.Name, "one that names what it acts on")
		}
		t.event.Target = &targets[0]
		return permit(targets)
	}
	var in *incoming
	var err error
	switch {
	case t.checksum != "":
		in = t.receiveChecksum(verdict)
	case t.op.Body == model.BodyNone:
		in, err = t.receiveNothing(verdict)
	case t.op.Body == model.BodySpool, t.reg.Body == BodySpooled:
		return t.receiveSpooled(admit, verdict)
	default:
		in, err = t.receiveStream(verdict)
	}
	if err != nil {
		return nil, err
	}
	if err = admit(in.targets); err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

func (t *transaction) receiveNothing(verdict func([]model.Target, *model.Artifact) error) (*incoming, error) {
	if t.r.ContentLength != 0 {
		return nil, model.Deny(model.CodeUnsupportedFraming).Differ("body", "present", "none")
	}
	return &incoming{
		targets: t.op.Targets, body: http.NoBody,
		settle: func() error { return verdict(t.op.Targets, nil) },
		close:  func() {},
	}, nil
}

func (t *transaction) receiveStream(verdict func([]model.Target, *model.Artifact) error) (*incoming, error) {
	scanner, err := t.dialect.Open(t.op, t.r.Header)
	if err != nil {
		return nil, err
	}
	in := &incoming{length: -1, settle: func() error { return nil }}
	if t.reg.Body == BodyAsSent {
		in.length = t.r.ContentLength
	}
	if t.r.ContentLength == 0 {
		return t.receiveEmpty(in, scanner, verdict)
	}
	in.stream = upload.NewStream(t.body, scanner, func() error {
		artifact := scanner.Artifact()
		return verdict(in.targets, &artifact)
	})
	if t.r.ContentLength > 0 && t.r.ContentLength <= upload.SmallBody {
		in.stream.Gather()
	}
	in.body = in.stream
	in.close = func() { t.stop(in.stream) }
	named, err := in.stream.Head(upload.DefaultHeadLimit)
	if err != nil {
		t.seen(named)
		in.close()
		return nil, err
	}
	in.targets = t.targets(named)
	return in, nil
}

// receiveEmpty is for a body without a byte, which no reader on the way would ask for.
func (t *transaction) receiveEmpty(
	in *incoming, scanner upload.Scanner, verdict func([]model.Target, *model.Artifact) error,
) (*incoming, error) {
	named, ok := scanner.Target()
	if err := scanner.Finish(); err != nil {
		return nil, err
	}
	if !ok {
		return nil, model.Deny(model.CodeMissingField).Differ("target", "", "a package and a version")
	}
	in.targets, in.stream, in.body, in.length, in.close = t.targets(named), nil, http.NoBody, 0, func() {}
	in.settle = func() error {
		artifact := scanner.Artifact()
		return verdict(in.targets, &artifact)
	}
	return in, nil
}

func (t *transaction) receiveSpooled(
	admit func([]model.Target) error, verdict func([]model.Target, *model.Artifact) error,
) (*incoming, error) {
	scanner, err := t.dialect.Open(t.op, t.r.Header)
	if err != nil {
		return nil, err
	}
	spooled, named, err := t.disk().Spool(t.body, scanner, t.reg.SpoolLimit, func(named model.Target) error {
		return admit(t.targets(named))
	})
	if err != nil {
		return nil, err
	}
	if t.op.Body == model.BodySpool {
		if err := t.dialect.Inspect(t.op, t.r.Header, named, spooled, spooled.Size()); err != nil {
			_ = spooled.Close()
			return nil, err
		}
	}
	in := &incoming{targets: t.targets(named), body: spooled.Body(), length: spooled.Size(), close: func() { _ = spooled.Close() }}
	in.settle = func() error {
		artifact := scanner.Artifact()
		return verdict(in.targets, &artifact)
	}
	in.same = func(there []byte) bool { return scanner.Artifact().SHA256 == sha256.Sum256(there) }
	return in, nil
}

// seen notes a target for the audit, even where the upload is refused.
func (t *transaction) seen(target model.Target) {
	if target.Package != "" {
		t.event.Target = &target
	}
}

// targets joins what the body names and what the URL names. Where the URL names it all, a scanner says the same once more.
func (t *transaction) targets(named model.Target) []model.Target {
	if slices.Contains(t.op.Targets, named) {
		return t.op.Targets
	}
	return append([]model.Target{named}, t.op.Targets...)
}

// into puts the body into a forwarded request.
func (in *incoming) into(out *http.Request) *http.Request {
	// The answer is searched for the credential, which compression would hide.
	out.Header.Set("Accept-Encoding", "identity")
	out.Header.Del("Content-Length")
	out.Body, out.ContentLength, out.GetBody = in.body, in.length, nil
	return out
}
