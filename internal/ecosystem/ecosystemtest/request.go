package ecosystemtest

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
)

// settings: half a registry is none.
func (s Suite) settings(t *testing.T) {
	for name, edit := range map[string]func(*ecosystem.Settings){
		"no name": func(x *ecosystem.Settings) { x.Registry = "" },
		"no URL":  func(x *ecosystem.Settings) { x.Public = nil },
		"a layout": func(x *ecosystem.Settings) {
			x.Layout = strings.TrimSuffix("/{nothing}", s.Settings.Layout)
		},
	} {
		settings := s.Settings
		edit(&settings)
		if _, err := s.Kind.New(settings); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// surface: the words are those that the gateway knows.
func (s Suite) surface(t *testing.T) {
	eco := s.protocol(t)
	if !slices.Contains([]string{"chunked", "as_sent", "spool"}, eco.DefaultBody()) {
		t.Errorf("the default body is %q", eco.DefaultBody())
	}
	for _, path := range eco.RootPaths() {
		if !strings.HasPrefix(path, "/") || path == "/" {
			t.Errorf("the root path is %q", path)
		}
	}
	for _, name := range eco.Carriers() {
		if name != http.CanonicalHeaderKey(name) {
			t.Errorf("the carrier is %q", name)
		}
	}
	if len(model.EcosystemActions(s.Kind.Name)) == 0 {
		t.Error("no actions are known")
	}
}

// checkTargets: a target is of this registry, in canonical form, and its action one of the ecosystem's.
func (s Suite) checkTargets(t *testing.T, op model.Operation) {
	t.Helper()
	for _, target := range op.Targets {
		if target.Ecosystem != s.Kind.Name || target.Registry != s.Settings.Registry {
			t.Errorf("%s: the target is of %s %s", op.Name, target.Ecosystem, target.Registry)
		}
		if !slices.Contains(model.EcosystemActions(s.Kind.Name), target.Action) {
			t.Errorf("%s: no policy can grant %q", op.Name, target.Action)
		}
		if target.Package == "" {
			continue
		}
		if name, err := model.NormalizeName(s.Kind.Name, target.Package); err != nil || name != target.Package {
			t.Errorf("%s: the package is %q, expected %q (%v)", op.Name, target.Package, name, err)
		}
	}
}

// reads: they have no body plan, and are never an exchange.
func (s Suite) reads(t *testing.T) {
	own := Request{Method: http.MethodGet, Path: s.Publish.Path}
	for _, r := range append([]Request{own}, s.Reads...) {
		for _, method := range []string{r.Method, http.MethodHead, http.MethodOptions} {
			if r.Method != http.MethodGet {
				method = r.Method
			}
			r.Method = method
			op, err := s.classify(t, r)
			if err != nil || op.Kind != model.OperationRead || op.Body != model.BodyNone || op.Unsafe() {
				t.Errorf("%s %s: %+v, %v", r.Method, r.Path, op, err)
			}
			s.checkTargets(t, op)
			r.Method = http.MethodGet
		}
	}
}

// methods are those by which servers of files and of APIs change what they have.
var methods = []string{
	http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, "MKCOL", "COPY", "MOVE", "PROPPATCH", "LOCK", "PURGE", "BREW", "get", "",
}

// unsafe: what no rule knows is refused by a denial, never read as something else.
func (s Suite) unsafe(t *testing.T) {
	var requests []Request
	for _, path := range []string{"", "/", "/-/unknown/thing/", "/api/unknown", "/.hidden", "/x/../y", "/\u00e9"} {
		for _, method := range methods {
			requests = append(requests, Request{Method: method, Path: path})
		}
	}
	for _, method := range methods {
		if method != http.MethodDelete && method != http.MethodPut && method != http.MethodPost {
			requests = append(requests, Request{Method: method, Path: s.Publish.Path, Header: s.Publish.Header})
		}
	}
	for _, r := range append(requests, s.Unsafe...) {
		if slices.ContainsFunc(append([]Request{s.Publish}, s.Also...), func(p Request) bool { return r.Method == p.Method && r.Path == p.Path }) {
			continue
		}
		if op, err := s.classify(t, r); Code(err) == "" {
			t.Errorf("%s %q is %+v, %v; expected a denial", r.Method, r.Path, op, err)
		}
	}
	op, err := s.classify(t, s.Publish)
	if err != nil || !op.Unsafe() || op.Body == model.BodyNone {
		t.Fatalf("the publish is %+v, %v", op, err)
	}
	s.checkTargets(t, op)
	if query := (Request{Method: s.Publish.Method, Path: s.Publish.Path + "?:action=x&name=y", Header: s.Publish.Header}); Code(classifyError(s, t, query)) == "" {
		op, _ := s.classify(t, query)
		if slices.Contains(op.Query, ":action") || slices.Contains(op.Query, "name") {
			t.Errorf("a query that nobody judged goes on: %v", op.Query)
		}
	}
}

func classifyError(s Suite, t *testing.T, r Request) error {
	t.Helper()
	_, err := s.classify(t, r)
	return err
}

// foreign: a path in another form is no publish.
func (s Suite) foreign(t *testing.T) {
	for _, path := range s.Foreign {
		r := s.Publish
		r.Path = path
		if op, err := s.classify(t, r); Code(err) == "" {
			t.Errorf("%s %s is %+v", r.Method, path, op)
		}
	}
}

// exchange: the token is found, nothing else is taken for one, and the answers hold it or nothing.
func (s Suite) exchange(t *testing.T) {
	exchanger, ok := s.protocol(t).(ecosystem.Exchanger)
	if s.Exchange == nil {
		if ok {
			t.Error("the protocol has an exchange, and the suite none")
		}
		return
	}
	ask := func(r Request) (model.Operation, model.Exchange, error) {
		op, err := s.classify(t, r)
		if s.Exchange.Root {
			op, err = exchanger.ClassifyRoot(r.Method, r.Path, nil, r.Header)
		}
		if err != nil {
			return op, model.Exchange{}, err
		}
		if op.Kind != model.OperationExchange {
			t.Fatalf("%s %s is %+v", r.Method, r.Path, op)
		}
		got, err := exchanger.ParseExchange(op, r.Header, r.Body)
		return op, got, err
	}
	op, got, err := ask(s.Exchange.Request)
	if err != nil || got.Token != s.Exchange.Token {
		t.Fatalf("the token is %q, expected %q: %v", got.Token, s.Exchange.Token, err)
	}
	for _, e := range s.Exchange.Edits {
		if _, got, err := ask(e.Request); Code(err) != e.Code {
			t.Errorf("%s: %+v, %v, expected %s", e.Name, got, err, e.Code)
		}
	}
	minted := exchanger.Minted(op, "tpub_canary", time.Now().Add(time.Hour))
	if minted.Status/100 != 2 || !strings.Contains(string(minted.Body), `"tpub_canary"`) || minted.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("minted: %d %v %s", minted.Status, minted.Header, minted.Body)
	}
	if revoked := exchanger.Revoked(op); revoked.Status/100 != 2 {
		t.Errorf("revoked: %d", revoked.Status)
	}
}

// dialect: every denial is rendered, for every operation, as one: with its code and its event.
func (s Suite) dialect(t *testing.T) {
	publish, err := s.classify(t, s.Publish)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []model.Operation{{}, publish, {Kind: model.OperationExchange}, {Kind: model.OperationRead}} {
		for _, code := range model.Codes() {
			denial := model.Deny(code).Differ("field", "got \"quoted\"", "<expected>")
			denial.Event = "0123456789abcdef0123"
			reply := s.protocol(t).Render(op, denial)
			text := string(reply.Body)
			if reply.Status < 400 || !strings.Contains(text, string(code)) || !strings.Contains(text, denial.Event) {
				t.Errorf("%s of %q: %d %s", code, op.Kind, reply.Status, text)
			}
			if reply.Header.Get("Content-Type") == "" || strings.ContainsAny(reply.Reason, "\r\n") {
				t.Errorf("%s of %q: header %v, reason %q", code, op.Kind, reply.Header, reply.Reason)
			}
			if reply.Status == http.StatusUnauthorized && reply.Header.Get("WWW-Authenticate") == "" && s.Kind.Name != "npm" {
				t.Errorf("%s of %q: a 401 without a challenge", code, op.Kind)
			}
		}
	}
}
