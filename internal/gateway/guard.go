package gateway

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// smallBody is how much of an answer is held back to look for our credential in it, in bytes.
const smallBody = 64 << 10

// minSecret is the shortest secret that is looked for: shorter ones stand in any text by chance.
const minSecret = 6

// Which headers of an answer are looked at one by one.
const (
	headerChallenge    = "Www-Authenticate"
	headerCacheControl = "Cache-Control"
)

// answerHeaders never come back from a registry to an unsafe request, or to one that carried our credential.
var answerHeaders = func() map[string]struct{} {
	all := map[string]struct{}{}
	for _, name := range []string{
		"Set-Cookie", "Set-Cookie2", headerChallenge, "Proxy-Authenticate", "Authentication-Info", "Authorization", "X-Devpi-Auth",
		"X-Auth-Token", "X-Jfrog-Art-Api", "X-Nuget-Apikey", "Private-Token", "Refresh", "Clear-Site-Data", "Proxy-Authentication-Info",
		// These send the client, or a proxy before us, somewhere else.
		"Alt-Svc", "X-Accel-Redirect", "X-Sendfile",
	} {
		all[http.CanonicalHeaderKey(name)] = struct{}{}
	}
	return all
}()

// guard stands between the registry's answer and the client. It holds the answer of a judged request to what a client may
// see, and never lets a status pass before the verdict. It deliberately has no Unwrap and no Hijack: nothing tunnels.
type guard struct {
	t       *transaction
	target  http.ResponseWriter
	header  http.Header
	stream  *upload.Stream
	secrets []string
	// refused tells the credential's source that the registry refused it; nil where it keeps nothing.
	refused func()
	unsafe  bool
	// foreign: the request carried the client's own credential, so its refusal is the client's business.
	foreign bool

	wrote  bool // the registry's status was seen
	sent   bool // it went to the client
	status int
	held   []byte
	holds  bool
	denial *model.Denial
}

// Header is the registry's answer's header, kept apart until it is judged. What is added after the status, as trailers are, is
// dropped.
func (g *guard) Header() http.Header {
	if g.wrote {
		return http.Header{}
	}
	return g.header
}

// WriteHeader judges the registry's status.
func (g *guard) WriteHeader(status int) {
	if g.wrote || status < 200 {
		return // informational answers tell nothing that may pass before the verdict
	}
	g.wrote, g.status = true, status
	g.header.Del("Trailer")
	if g.denial = g.judge(status); g.denial != nil {
		return
	}
	if g.quotedInHeader() {
		g.denial = model.Deny(model.CodeUpstreamQuotedCredential).Because(statusError(status))
		return
	}
	if len(g.secrets) > 0 && g.mayQuote() {
		g.holds = true
		return
	}
	g.release()
}

// judge finds a reason to withhold the answer.
func (g *guard) judge(status int) *model.Denial {
	if g.stream != nil {
		switch g.stream.State() {
		case upload.Failed:
			return streamDenial(g.stream)
		case upload.Pending:
			if status < 300 {
				return model.Deny(model.CodeUpstreamAnsweredEarly)
			}
		}
	}
	switch {
	case (status == http.StatusUnauthorized || status == http.StatusForbidden) && len(g.secrets) > 0:
		if g.refused != nil {
			g.refused()
		}
		return model.Deny(model.CodeUpstreamRefusedCredential).Because(statusError(status))
	case g.unsafe && status >= 300 && status < 400:
		return model.Deny(model.CodeUpstreamRedirected).Because(statusError(status))
	}
	return nil
}

// statusError is a registry's status as the cause of a denial.
type statusError int

func (s statusError) Error() string { return "the registry answered " + strconv.Itoa(int(s)) }

// mayQuote is true for an answer small enough to be looked at, or of unknown size.
func (g *guard) mayQuote() bool {
	n, err := strconv.ParseInt(g.header.Get("Content-Length"), 10, 64)
	return err != nil || n <= smallBody
}

// Write passes the answer on, or holds a small one back.
func (g *guard) Write(p []byte) (int, error) {
	if !g.wrote {
		g.WriteHeader(http.StatusOK)
	}
	switch {
	case g.denial != nil:
		return len(p), nil // replaced; the registry may finish its sentence
	case !g.holds:
		return g.target.Write(p)
	}
	g.held = append(g.held, p...)
	if len(g.held) > smallBody {
		g.settle()
	}
	return len(p), nil
}

// FlushError is what http.ResponseController calls; a held answer stays held.
func (g *guard) FlushError() error {
	if g.holds || g.denial != nil || !g.sent {
		return nil
	}
	return http.NewResponseController(g.target).Flush()
}

// Flush is FlushError for older callers.
func (g *guard) Flush() { _ = g.FlushError() }

// EnableFullDuplex passes through to the server.
func (g *guard) EnableFullDuplex() error {
	return http.NewResponseController(g.target).EnableFullDuplex()
}

// SetReadDeadline passes through to the server.
func (g *guard) SetReadDeadline(at time.Time) error {
	return http.NewResponseController(g.target).SetReadDeadline(at)
}

// SetWriteDeadline passes through to the server.
func (g *guard) SetWriteDeadline(at time.Time) error {
	return http.NewResponseController(g.target).SetWriteDeadline(at)
}

// settle decides about a held answer: withheld where it quotes the credential, else sent.
func (g *guard) settle() {
	g.holds = false
	text, err := plainText(g.held, g.header.Values("Content-Encoding"))
	if err == nil && slices.ContainsFunc(g.secrets, func(secret string) bool { return bytes.Contains(text, []byte(secret)) }) {
		err = statusError(g.status)
	}
	if err != nil {
		g.denial = model.Deny(model.CodeUpstreamQuotedCredential).Because(err)
		g.held = nil
		return
	}
	g.release()
	if len(g.held) > 0 {
		_, _ = g.target.Write(g.held)
		g.held = nil
	}
}

// finish settles what is still held when the registry's answer has ended.
func (g *guard) finish() error {
	if g.holds {
		g.settle()
	}
	if g.denial != nil {
		return g.denial
	}
	return nil
}

// withheld is true for a header that does not come back, in whatever case a handler has written it.
func (g *guard) withheld(name string) bool {
	if _, never := answerHeaders[name]; !never {
		if _, never = answerHeaders[http.CanonicalHeaderKey(name)]; !never {
			return false
		}
	}
	return !g.foreign || !strings.EqualFold(name, headerChallenge)
}

// release sends status and the headers that may pass.
func (g *guard) release() {
	judged := g.unsafe || len(g.secrets) > 0
	if judged {
		g.header[headerCacheControl] = []string{"no-store"}
		g.addresses()
	}
	dst := g.target.Header()
	for name, values := range g.header {
		if judged && g.withheld(name) {
			continue
		}
		dst[name] = values
	}
	g.sent = true
	g.target.WriteHeader(g.status)
}

var (
	_ http.ResponseWriter = (*guard)(nil)
	_ http.Flusher        = (*guard)(nil)
)
