package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/demo/wheel"
	"github.com/trustpub/trustpub/internal/model"
)

// scenario is one run: what one step has learned and a later one needs.
type scenario struct {
	*house
	*client
	p *printer

	explain      func(ctx context.Context, token, policies, pkg string) (string, error)
	audienceName string
	identity     string // the token that is exchanged, and replayed later
	publish      string
}

// step is one line of the story. run returns what goes into the parentheses.
type step struct {
	name string
	run  func(ctx context.Context) (string, error)
}

// part is a titled group of steps.
type part struct {
	title string
	steps []step
}

// runScenario runs every step in order and stops at the first that does not go as it should.
func runScenario(ctx context.Context, h *house, p *printer, o Options) error {
	s := &scenario{house: h, client: newClient(h), p: p, explain: o.Explain}
	defer s.http.CloseIdleConnections()
	for _, part := range s.parts() {
		p.title("%s", part.title)
		for _, st := range part.steps {
			if err := s.run(ctx, st); err != nil {
				p.failed(st.name, err, h.logTail())
				return fmt.Errorf("the step %q did not go as it should", st.name)
			}
		}
	}
	return nil
}

func (s *scenario) run(ctx context.Context, st step) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	detail, err := st.run(ctx)
	if err != nil {
		return err
	}
	s.p.ok(st.name, "%s", detail)
	return nil
}

func (s *scenario) parts() []part {
	return []part{
		{"A release job of acme/widget publishes, with no password anywhere:", []step{
			{"discover", s.discover},
			{"identity token", s.requestIdentity},
			{"exchange", s.exchangeIdentity},
			{"publish acme-widget 1.0", s.publishWheel},
			{"revoke", s.revoke},
			{"simple page", s.simplePage},
		}},
		{"What is refused, and what uv prints:", []step{
			{"refuse another repository", s.otherRepository},
			{"refuse another package", s.otherPackage},
			{"refuse a replayed identity token", s.replayed},
			{"refuse an edited file", s.editedFile},
			{"refuse a stolen password", s.stolenPassword},
			{"refuse a revoked publish token", s.revokedToken},
			{"registry unchanged", s.unchanged},
		}},
		{"The policy is edited while the gateway runs:", s.edits()},
		{"What the audit says:", []step{{"audit", s.readAudit}}},
	}
}

func (s *scenario) discover(ctx context.Context) (aud string, err error) {
	s.audienceName, err = s.audience(ctx)
	if err == nil && s.audienceName != s.host {
		err = fmt.Errorf("audience is %q, expected %q", s.audienceName, s.host)
	}
	return "audience " + s.audienceName, err
}

func (s *scenario) requestIdentity(ctx context.Context) (_ string, err error) {
	s.identity, err = s.identityToken(ctx, releaseJob, s.audienceName)
	return "a job of acme/widget, workflow release.yml, environment release", err
}

func (s *scenario) exchangeIdentity(ctx context.Context) (_ string, err error) {
	s.publish, err = s.exchange(ctx, s.identity)
	return "identity token for a publish token of 15 minutes", err
}

func (s *scenario) publishWheel(ctx context.Context) (string, error) {
	f := s.files["acme-widget 1.0"]
	contentType, form := f.Form()
	if err := s.upload(ctx, "__token__", s.publish, contentType, form); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %d bytes, sha256 %s", f.Name, len(f.Data), f.SHA256()[:16]), nil
}

func (s *scenario) revoke(ctx context.Context) (string, error) {
	return "the publish token, as uv does after each run", s.burn(ctx, s.publish)
}

var anchor = regexp.MustCompile(`<a [^>]*href="([^"]+)"`)

// simplePage reads the project's page and the file through the gateway, as an installer does, without any credential.
func (s *scenario) simplePage(ctx context.Context) (string, error) {
	f := s.files["acme-widget 1.0"]
	page := s.public + simplePath + "acme-widget/"
	body, err := s.get(ctx, page)
	if err != nil {
		return "", err
	}
	links := anchor.FindAllSubmatch(body, -1)
	if len(links) != 1 {
		return "", fmt.Errorf("the page lists %d files, expected one", len(links))
	}
	base, err := url.Parse(page)
	if err != nil {
		return "", err
	}
	link, err := base.Parse(strings.ReplaceAll(string(links[0][1]), "&amp;", "&"))
	if err != nil {
		return "", fmt.Errorf("the page's link: %w", err)
	}
	wantHash := "sha256=" + f.SHA256()
	if link.Host != s.host || link.Fragment != wantHash {
		return "", fmt.Errorf("the page links to %s, expected %s behind the gateway and #%s", link, f.Name, wantHash)
	}
	got, err := s.get(ctx, link.String())
	if err != nil {
		return "", err
	}
	if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != f.SHA256() {
		return "", errors.New("the file that was downloaded is not the one that was published")
	}
	s.p.quote(strings.TrimSpace(string(links[0][0])) + ">")
	return "lists the wheel, which downloads unchanged", nil
}

// expect reports a step that must be refused with a code, and shows what clients print.
func (s *scenario) expect(err error, code model.Code, detail string) (string, error) {
	var r *refusal
	switch {
	case err == nil:
		return "", fmt.Errorf("it went through, expected the refusal %s", code)
	case !errors.As(err, &r):
		return "", err
	case !r.says(code):
		return "", fmt.Errorf("got %q, expected the refusal %s", model.OneLine(r.Error(), 500), code)
	}
	s.p.quote(r.lines()...)
	if !r.exchange {
		s.p.quote("and twine:")
		s.p.quote(r.twine(s.uploads)...)
	}
	return string(code) + ": " + detail, nil
}

// freshPublishToken is what the release job of another run has.
func (s *scenario) freshPublishToken(ctx context.Context) (string, error) {
	identity, err := s.identityToken(ctx, releaseJob, s.audienceName)
	if err != nil {
		return "", err
	}
	return s.exchange(ctx, identity)
}

func (s *scenario) otherRepository(ctx context.Context) (string, error) {
	identity, err := s.identityToken(ctx, strangerJob, s.audienceName)
	if err != nil {
		return "", err
	}
	_, err = s.exchange(ctx, identity)
	return s.expect(err, model.CodeNoMatchingPolicy, "the same workflow in mallory/widget")
}

// uploadFresh uploads a form with a publish token of its own.
func (s *scenario) uploadFresh(ctx context.Context, contentType string, form []byte) error {
	token, err := s.freshPublishToken(ctx)
	if err != nil {
		return fmt.Errorf("a publish token of another run: %v", err) //nolint:errorlint // a refusal of the exchange is not the one that is expected
	}
	return s.upload(ctx, "__token__", token, contentType, form)
}

func (s *scenario) otherPackage(ctx context.Context) (string, error) {
	contentType, form := s.files["acme-gadget 1.0"].Form()
	return s.expect(s.uploadFresh(ctx, contentType, form), model.CodeNoMatchingPolicy, "acme-gadget, which no policy gives to acme/widget")
}

func (s *scenario) replayed(ctx context.Context) (string, error) {
	_, err := s.exchange(ctx, s.identity)
	return s.expect(err, model.CodeReplayed, "the token of the publish above, once more")
}

// editedFile changes one byte of the wheel after its digest was taken.
func (s *scenario) editedFile(ctx context.Context) (string, error) {
	contentType, form, err := edited(s.files["acme-widget 1.1"])
	if err != nil {
		return "", err
	}
	return s.expect(s.uploadFresh(ctx, contentType, form), model.CodeDigestMismatch, "one byte of acme-widget 1.1 changed on the way")
}

func edited(f wheel.File) (contentType string, form []byte, err error) {
	contentType, form = f.Form()
	at := bytes.Index(form, f.Data)
	if at < 0 {
		return "", nil, errors.New("the form does not hold the wheel")
	}
	form[at+len(f.Data)/2] ^= 1
	return contentType, form, nil
}

func (s *scenario) stolenPassword(ctx context.Context) (string, error) {
	contentType, form := s.files["acme-widget 1.1"].Form()
	err := s.upload(ctx, indexUser, s.password, contentType, form)
	return s.expect(err, model.CodeTrustedPublishingOnly, "the registry's own, sent to the gateway")
}

func (s *scenario) revokedToken(ctx context.Context) (string, error) {
	contentType, form := s.files["acme-widget 1.1"].Form()
	err := s.upload(ctx, "__token__", s.publish, contentType, form)
	return s.expect(err, model.CodeRevoked, "the one of the publish above")
}

// unchanged looks into the registry's own folder, behind the gateway's back. The registry clears a cut upload away after the
// client has had its answer.
func (s *scenario) unchanged(ctx context.Context) (string, error) {
	err := eventually(ctx, func() error {
		var names []string
		if err := walkFiles(s.packages, func(name string) { names = append(names, name) }); err != nil {
			return err
		}
		if want := s.files["acme-widget 1.0"].Name; len(names) != 1 || names[0] != want {
			return fmt.Errorf("the registry holds %q, expected %q alone", names, want)
		}
		return nil
	})
	return "it holds the one wheel and nothing of the refused ones", err
}

func walkFiles(dir string, visit func(name string)) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			err = walkFiles(dir+string(os.PathSeparator)+e.Name(), visit)
		} else {
			visit(e.Name())
		}
		if err != nil {
			return err
		}
	}
	return nil
}
