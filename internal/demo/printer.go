package demo

import (
	"fmt"
	"io"
	"strings"
)

// printer tells the story: one line a step, and where it is not brief what belongs to it, indented below.
type printer struct {
	out    io.Writer
	brief  bool
	steps  int
	quoted []string
}

// line prints a line as it is, unless brief.
func (p *printer) line(format string, args ...any) {
	if !p.brief {
		fmt.Fprintf(p.out, format+"\n", args...)
	}
}

// title begins a part of the story, unless brief.
func (p *printer) title(format string, args ...any) { p.line("\n"+format+"\n", args...) }

// ok reports a step that went as it should.
func (p *printer) ok(name, format string, args ...any) {
	p.steps++
	fmt.Fprintf(p.out, "ok   %s (%s)\n", name, fmt.Sprintf(format, args...))
	for _, l := range p.quoted {
		p.line("     | %s", l)
	}
	p.quoted = nil
}

// failed reports one that did not.
func (p *printer) failed(name string, err error, log []string) {
	fmt.Fprintf(p.out, "FAIL %s: %v\n", name, err)
	for _, l := range log {
		fmt.Fprintf(p.out, "     gateway's log: %s\n", l)
	}
}

// quote keeps what a client or a file says until the step's own line is out.
func (p *printer) quote(lines ...string) {
	for _, l := range lines {
		p.quoted = append(p.quoted, strings.TrimRight(l, "\n"))
	}
}

// byHand says what to try while the demo stays up. The commands are for a second terminal.
func (p *printer) byHand(h *house) {
	wheel := func(release string) string { return "dist/" + h.files[release].Name }
	p.title("It stays up. Try it by hand, in another terminal:")
	p.line(`cd %[1]s
export SSL_CERT_FILE=%[2]s REQUESTS_CA_BUNDLE=%[2]s CURL_CA_BUNDLE=%[2]s
export GITHUB_ACTIONS=true ACTIONS_ID_TOKEN_REQUEST_TOKEN=%[3]s
export ACTIONS_ID_TOKEN_REQUEST_URL='%[4]s'
identity() { curl -sS -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=%[5]s" | sed 's/.*"value":"\([^"]*\)".*/\1/'; }

# uv exchanges the identity token by itself
uv publish --trusted-publishing always --publish-url %[6]s %[7]s

# twine sends the identity token itself, as the password of user __token__
twine upload --repository-url %[6]s -u __token__ -p "$(identity)" %[8]s

# curl too; this one is refused until policies/widget.yaml names acme-gadget as well
curl -sSi %[6]s -H "Authorization: Bearer $(identity)" -F :action=file_upload -F protocol_version=1 \
  -F metadata_version=2.1 -F name=acme-gadget -F version=1.0 -F filetype=bdist_wheel -F pyversion=py3 \
  -F sha256_digest=%[9]s -F content=@%[10]s

# pip installs what was published
pip download --no-deps -d downloads --index-url %[6]ssimple/ acme-widget

# another job, of another repository: the same commands are refused
export ACTIONS_ID_TOKEN_REQUEST_TOKEN=%[11]s`,
		h.dir, h.ca, releaseJob, h.issuer.TokenRequestURL(), h.host, h.public, wheel("acme-widget 1.1"), wheel("acme-widget 1.2"),
		h.files["acme-gadget 1.0"].SHA256(), wheel("acme-gadget 1.0"), strangerJob)
	p.title("Look at it:")
	p.line(`  %-58s what has been published
  %-58s the policy; an edit acts within seconds
  %-58s the gateway's configuration
  %-58s one line for each decision and outcome
  %-58s the gateway's own log
  curl -s http://127.0.0.1:%d/trusted_publishing/status
  caddy trustpub audit verify %s

Ctrl-C stops everything and removes the folder.`, h.public+simplePath, h.policy, h.caddyfile, h.audit, h.log, h.adminPort, h.audit)
}
