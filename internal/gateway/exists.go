package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/trustpub/trustpub/internal/model"
)

const (
	// maxProbeAnswer bounds what is read of a registry's answer, in bytes.
	maxProbeAnswer = 16 << 20
	// knownPackages and knownFor bound what is remembered: only that a package exists, never that it doesn't.
	knownPackages = 10_000
	knownFor      = 10 * time.Minute
)

// newKnown makes the memory of packages that exist, by registry and name, and until when that is believed. The library's own
// expiring cache keeps a goroutine that nothing ends, one more with each reload.
func newKnown() *lru.Cache[string, time.Time] {
	cache, err := lru.New[string, time.Time](knownPackages)
	if err != nil {
		panic(err) // of a size that is not positive
	}
	return cache
}

// knows is true where the registry was found to have the package, not long ago.
func (g *Gateway) knows(target model.Target) bool {
	until, found := g.known.Get(packageKey(target))
	return found && g.Now().Before(until)
}

func packageKey(target model.Target) string { return target.Registry + "/" + target.Package }

// exists refuses a first publish: where the policy covers the package by a pattern only, the registry must have it already. It
// asks before the upload is forwarded, since one request's chain can't run twice at a time.
func (t *transaction) exists(target model.Target) error {
	if t.g.knows(target) {
		return nil
	}
	if t.reg.Probe == nil {
		return model.Deny(model.CodeNewPackage).Differ("package", target.Package, "one that the policy names").
			Because(errors.New("the registry cannot be asked: its credential source knows no way, and no \"exists\" is configured"))
	}
	probe := t.reg.Probe(target.Package)
	// A request of its own: none of the client's headers is for this question.
	header := http.Header{}
	if probe.Accept != "" {
		header.Set("Accept", probe.Accept)
	}
	u, err := url.Parse(probe.Path)
	if err != nil {
		return model.Deny(model.CodeInternal).Because(err)
	}
	u.RawQuery = probe.Query
	answer, err := t.ask(http.MethodGet, u, header)
	if err != nil {
		return unreachable(fmt.Errorf("whether the package exists: %w", err))
	}
	if answer.tooLong {
		return model.Deny(model.CodeNewPackage).Because(fmt.Errorf("the registry's answer has more than %d bytes", maxProbeAnswer))
	}
	has, err := probe.Has(answer.status, answer.body.Bytes())
	switch {
	case err != nil:
		return model.Deny(model.CodeNewPackage).Differ("package", target.Package, "one that the policy names").Because(err)
	case !has:
		return model.Deny(model.CodeNewPackage).Differ("package", target.Package, "one that the registry has, or that the policy names")
	}
	t.g.known.Add(packageKey(target), t.g.Now().Add(knownFor))
	return nil
}

// ask puts a question of the gateway's own to the registry, with no header but these and no body. What is too long is not read to its end.
func (t *transaction) ask(method string, u *url.URL, header http.Header) (*probeWriter, error) {
	out := t.g.forwarded(t.r)
	header.Set("Accept-Encoding", "identity")
	header.Set("User-Agent", "trustpub")
	out.Header = header
	out.Method, out.URL, out.RequestURI = method, u, u.RequestURI()
	out.Body, out.ContentLength, out.Form, out.MultipartForm = http.NoBody, 0, nil, nil
	ctx, cancel := context.WithTimeout(t.r.Context(), stepTimeout)
	defer cancel()
	answer := &probeWriter{header: http.Header{}, enough: cancel}
	err := t.through(answer, out.WithContext(ctx))
	switch late := ctx.Err(); {
	case answer.tooLong:
		err = nil // it was ended by us
	case err != nil && errors.Is(late, context.DeadlineExceeded):
		err = late
	}
	return answer, err
}

// absent refuses to replace what is there, where the registry would let it. Two uploads of one file at a time are refused too,
// since each would find nothing there. The caller calls done when the upload has ended.
func (t *transaction) absent(in *incoming, cred model.Credential) (done func(), err error) {
	if !t.op.Once {
		return func() {}, nil
	}
	target := in.targets[0]
	u := &url.URL{Path: t.r.URL.Path, RawPath: t.r.URL.RawPath}
	if t.turn, err = t.takeTurn(t.reg.Public.Scheme+"://"+t.reg.Public.Host+u.EscapedPath(), target.File); err != nil {
		return nil, err
	}
	if err = t.vacant(in, u, cred); err != nil {
		t.turn.stop()
		return nil, err
	}
	return t.turn.stop, nil
}

// vacant asks whether something is at a URL. Where something is, the upload becomes an overwrite, which a policy must grant.
func (t *transaction) vacant(in *incoming, u *url.URL, cred model.Credential) error {
	header := http.Header{}
	for name, values := range cred.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	if t.op.Accept != "" {
		header.Set("Accept", t.op.Accept)
	}
	answer, err := t.ask(http.MethodHead, u, header)
	switch {
	case err != nil:
		return unreachable(fmt.Errorf("whether the file exists: %w", err))
	case answer.status == http.StatusNotFound || answer.status == http.StatusGone:
		return nil
	case answer.status/100 != 2 && (!t.op.Moved || answer.status != http.StatusFound):
		cause := fmt.Errorf("whether the file exists: %w", statusError(answer.status))
		if len(cred.Header) > 0 && (answer.status == http.StatusUnauthorized || answer.status == http.StatusForbidden) {
			if cred.Refused != nil {
				cred.Refused()
			}
			return model.Deny(model.CodeUpstreamRefusedCredential).Because(cause)
		}
		return model.Deny(model.CodeUpstreamUnavailable).Because(cause)
	}
	if t.op.Same && in.same != nil {
		// The same question for the bytes: an error, or an answer that has none, is no sameness.
		if answer, err := t.ask(http.MethodGet, u, header); err == nil && answer.status == http.StatusOK && !answer.tooLong && in.same(answer.body.Bytes()) {
			return nil
		}
	}
	target := in.targets[0]
	target.Action = model.ActionOverwrite
	if d := t.g.Policies.Evaluate(t.id, target); !d.Allow {
		return model.Deny(model.CodeAlreadyExists).Differ("file", target.File, "one that the registry does not have")
	}
	in.targets = append([]model.Target{target}, in.targets[1:]...)
	t.event.Target = &in.targets[0]
	return nil
}

// probeWriter keeps a registry's answer, up to a limit.
type probeWriter struct {
	enough  func() // ends an answer that is too long
	header  http.Header
	status  int
	body    bytes.Buffer
	tooLong bool
}

// Header is the answer's header, which nobody looks at.
func (p *probeWriter) Header() http.Header { return p.header }

// WriteHeader keeps the status; informational answers are not it.
func (p *probeWriter) WriteHeader(status int) {
	if p.status == 0 && status >= 200 {
		p.status = status
	}
}

// Write keeps the body, and ends one that is too long.
func (p *probeWriter) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	if p.tooLong = p.tooLong || p.body.Len()+len(b) > maxProbeAnswer; p.tooLong {
		p.enough()
		return len(b), nil
	}
	return p.body.Write(b)
}

var _ http.ResponseWriter = (*probeWriter)(nil)
