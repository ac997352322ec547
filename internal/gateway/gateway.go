package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
)

// Leeway is added to a token's expiry when a replay claim or a revocation is kept: the clock skew that verification grants,
// and a margin for a clock that jumps ahead, which ends claims, and is set back, which makes their tokens good again.
const Leeway = time.Hour

// stepTimeout bounds each question to the store, the audit and a credential source.
const stepTimeout = 10 * time.Second

// registry is a Registry with what is derived from it.
type registry struct {
	Registry
	prefix   string   // the escaped public path, ending in a slash
	carriers []string // of its ecosystem
	roots    []string // paths answered at the host root
	quoted   *atomic.Pointer[quotable]
}

// Gateway judges requests and forwards what it lets through. It is safe for concurrent use.
type Gateway struct {
	Config
	registries []registry
	// carriers are the headers of all ecosystems that carry a credential, Authorization and Cookie among them.
	carriers []string
	// reserved are further headers in which a source puts a credential, as a user that a registry believes: no client sends them.
	reserved []string
	// known are packages that exist, for policies that grant no first publish.
	known *lru.Cache[string, time.Time]
}

// New checks a configuration and makes its gateway.
func New(cfg Config) (*Gateway, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.ClientIP == nil {
		cfg.ClientIP = clientIP
	}
	if cfg.Limits == nil {
		cfg.Limits = unlimited{}
	}
	if cfg.SpoolDir == "" {
		cfg.SpoolDir = os.TempDir()
	}
	g := &Gateway{Config: cfg, carriers: slices.Clone(credentialHeaders), known: newKnown()}
	names := map[string]bool{}
	for _, reg := range cfg.Registries {
		if reg.Name == "" || names[reg.Name] {
			return nil, fmt.Errorf("registry %q: every registry needs a name of its own", reg.Name)
		}
		names[reg.Name] = true
		if reg.Public == nil || !strings.HasSuffix(reg.Public.EscapedPath(), "/") {
			return nil, fmt.Errorf("registry %q: the public URL must have a path that ends in a slash", reg.Name)
		}
		if reg.Ecosystem == nil || reg.Source == nil {
			return nil, fmt.Errorf("registry %q: an ecosystem and a credential source are needed", reg.Name)
		}
		for _, aud := range reg.Audiences {
			if err := CheckAudience(aud); err != nil {
				return nil, fmt.Errorf("registry %q: %w", reg.Name, err)
			}
		}
		if reg.SpoolLimit == 0 {
			reg.SpoolLimit = DefaultSpoolLimit
		}
		if reg.Mode == "" {
			reg.Mode = ModeEnforce
		}
		if reg.Body == "" {
			reg.Body = BodyMode(reg.Ecosystem.DefaultBody())
		}
		if c, ok := reg.Source.(credential.Carrier); ok {
			for _, name := range c.Carries() {
				g.reserved = append(g.reserved, http.CanonicalHeaderKey(name))
			}
		}
		g.registries = append(g.registries, registry{
			Registry: reg, prefix: reg.Public.EscapedPath(),
			carriers: reg.Ecosystem.Carriers(), roots: reg.Ecosystem.RootPaths(), quoted: new(atomic.Pointer[quotable]),
		})
	}
	for _, reg := range g.registries {
		for _, name := range reg.carriers {
			if name = http.CanonicalHeaderKey(name); !slices.Contains(g.carriers, name) {
				g.carriers = append(g.carriers, name)
			}
		}
	}
	// What registries take from clients too passes with a read of their own.
	g.reserved = slices.DeleteFunc(g.reserved, func(name string) bool { return slices.Contains(g.carriers, name) })
	return g, nil
}

// transaction is one request on its way.
type transaction struct {
	g     *Gateway
	w     http.ResponseWriter
	r     *http.Request
	next  Next
	query url.Values
	body  *touchedBody
	// What w and body point to, so that a request costs one piece of memory less each.
	recorder statusWriter
	touched  touchedBody

	started time.Time
	event   model.Event
	// recorded is true once the decision is durable; the outcome follows under the same id.
	recorded bool
	// silent requests are counted but not written to the audit: reads that were let through.
	silent bool
	status int
	// woken is true once a read of the body was ended by a deadline; gone is then what was known of the client before.
	woken, gone bool

	// asking bounds the questions to neighbours that were asked since it was made; first is where the first of them is, and answer
	// the guard of the registry's answer, for the same reason as recorder.
	asking *patience
	first  patience
	answer guard

	route route
	reg   *registry
	// dialect renders denials; nil before an ecosystem is known. plainly: the endpoint is of no ecosystem, and neither are they.
	dialect   ecosystem.Ecosystem
	plainly   bool
	op        model.Operation
	presented presented
	many      bool
	id        *model.Identity
	key       string // of the identity, for replay
	grant     *model.Grant
	// turn is the right to publish where the registry would replace what it has; nil: not asked for.
	turn *turn
	// doubted is true once a token was refused that its issuer may never have made, or that no policy knows.
	doubted bool
	// checksum is set for an upload without bytes, props are what stood behind the name of the file.
	checksum, props string
}

// ServeHTTP judges one request and forwards it through next. original is the URL as the client sent it, nil where the caller
// cannot tell. An error is one of next's own, for a request that carried none of our tokens.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request, original *url.URL, next Next) error {
	t := &transaction{g: g, r: r, next: next, started: g.Now()}
	rec := &t.recorder
	rec.ResponseWriter, t.w = w, rec
	t.touched.ReadCloser, t.body = r.Body, &t.touched
	if r.ContentLength != 0 {
		t.touched.pace = newPace(g.BodyIdle, g.BodyRate, func() { _ = http.NewResponseController(rec).SetReadDeadline(time.Now()) })
	}
	ended := false
	defer func() {
		t.endStep()
		t.body.pace.stop() // a deadline that is set after the end would be one of the next request
		if !ended {        // a panic, most often http.ErrAbortHandler of a broken response: the audit must still hear of it
			t.status = rec.status
			t.end("aborted")
		}
	}()
	err := t.serve(original)
	var denial *model.Denial
	if errors.As(err, &denial) {
		t.deny(denial)
		err = nil
	}
	t.status = rec.status
	ended = true
	t.end("")
	return err
}

// serve is the order of the rooms.
func (t *transaction) serve(original *url.URL) error {
	if err := t.find(original); err != nil {
		return err
	}
	if handled, err := t.neutral(); handled || err != nil {
		return err
	}
	if handled, err := t.root(); handled || err != nil {
		return err
	}
	if t.route.registry == nil {
		return t.outside()
	}
	op, classifyErr := t.dialect.Classify(t.r.Method, t.route.path, t.query, t.r.Header)
	t.op = op
	if err := t.credential(); err != nil {
		return err
	}
	if classifyErr != nil {
		return t.unknown(classifyErr)
	}
	switch op.Kind {
	case model.OperationRead:
		return t.read()
	case model.OperationPublish, model.OperationManage:
		return t.change()
	case model.OperationExchange, model.OperationRevoke, model.OperationDiscover:
		if op.Shared && !t.presented.ours() {
			return t.foreignExchange()
		}
		return t.exchange([]*registry{t.reg}, t.dialect)
	}
	return model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, "")
}

// find checks the request's own form and finds its registry.
func (t *transaction) find(original *url.URL) error {
	t.event.ClientIP = t.g.ClientIP(t.r)
	rt, err := t.g.route(t.r.Host, t.r.URL.EscapedPath())
	if rt.candidates != nil {
		// From here on a denial speaks a client's dialect, even where the path is refused.
		t.dialect = rt.candidates[0].Ecosystem
		if rt.registry != nil {
			t.dialect = rt.registry.Ecosystem
		}
	}
	t.query, _ = url.ParseQuery(t.r.URL.RawQuery) // checkPath refuses a malformed one
	// First, since the other denials quote what was sent.
	if tokenErr := t.g.misplaced(t.r, t.query); tokenErr != nil {
		return tokenErr
	}
	if formErr := t.properties(rt.registry); formErr != nil {
		return formErr
	}
	if t.props != "" {
		rt, err = t.g.route(t.r.Host, t.r.URL.EscapedPath())
	}
	if formErr := checkMethod(t.r); formErr != nil {
		return formErr
	}
	if formErr := checkPath(t.r, t.withoutProperties(original)); formErr != nil {
		return formErr
	}
	if err != nil {
		return err
	}
	t.route, t.reg = rt, rt.registry
	if t.reg != nil {
		t.event.Mode = string(t.reg.Mode)
	}
	return nil
}

// credential finds the credential, once the ecosystem's carriers are known.
func (t *transaction) credential() (err error) {
	t.presented, t.many, err = t.g.presented(t.r.Header, t.query)
	t.event.Credential = string(t.presented.kind)
	return err
}

func clientIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// named gives the event its id, for whatever tells of it. Most reads are let through, and nothing does.
func (t *transaction) named() string {
	if t.event.ID == "" {
		t.event.ID = eventID()
	}
	return t.event.ID
}

// eventID is 80 random bits in hex.
func eventID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	var digits [2 * len(b)]byte
	hex.Encode(digits[:], b[:])
	return string(digits[:])
}
