package demo

import (
	"fmt"
	"io"
	"strings"
	"text/template"

	"github.com/trustpub/trustpub/internal/demo/script"
)

// printer tells the story: one line a step, and where it is not brief what belongs to it, indented below.
type printer struct {
	out     io.Writer
	brief   bool
	command string // runs this program's other commands
	steps   int
	quoted  []string
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

// hand is what every ecosystem's commands by hand need: a job's environment, and a way to ask for its identity token.
const hand = `cd {{.Dir}}
trustpub() { {{.Command}} "$@"; }

# what a job on GitHub Actions has; the lines "::add-mask::" that some clients print hide their tokens in its log
export CURL_CA_BUNDLE={{.CA}} TRUSTPUB_CA_FILE={{.CA}} GITHUB_ACTIONS=true ACTIONS_ID_TOKEN_REQUEST_TOKEN=%s
export ACTIONS_ID_TOKEN_REQUEST_URL='%s'
identity() { curl -sS -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL&audience={{.Host}}" | sed 's/.*"value":"\([^"]*\)".*/\1/'; }
%s
# another job, of another repository: the same commands are refused
export ACTIONS_ID_TOKEN_REQUEST_TOKEN=%s`

// byHand says what to try while the demo stays up. The commands are for a second terminal.
func (p *printer) byHand(h *house) error {
	text := fmt.Sprintf(hand, releaseJob, h.issuer.TokenRequestURL(), h.script.ByHand, strangerJob)
	commands, err := template.New("").Parse(text)
	if err != nil {
		return fmt.Errorf("commands by hand: %w", err)
	}
	p.title("It stays up. Try it by hand, in another terminal:")
	var out strings.Builder
	err = commands.Execute(&out, script.Hand{Command: p.command, Dir: h.dir, CA: h.ca, Root: "https://" + h.host, Host: h.host, Public: h.public})
	if err != nil {
		return fmt.Errorf("commands by hand: %w", err)
	}
	p.line("%s", out.String())
	p.title("Look at it:")
	if h.script.Shows != "" {
		p.line("  %-58s what has been published", h.public+h.script.Shows)
	}
	p.line(`  %-58[1]s the policy; an edit acts within seconds
  %-58[2]s the gateway's configuration
  %-58[3]s one line for each decision and outcome
  %-58[4]s the gateway's own log
  curl -s http://127.0.0.1:%[5]d/trusted_publishing/status
  %[6]s audit verify %[3]s

Stop something at once:

  %[6]s deny add package %[7]s/%[8]s --reason "a look first" --address 127.0.0.1:%[5]d
  %[6]s deny remove package %[7]s/%[8]s --reason "all is well" --address 127.0.0.1:%[5]d

Ctrl-C stops everything and removes the folder.`, h.policy, h.caddyfile, h.audit, h.log, h.adminPort, p.command, registryName(h.script), h.script.Package)
	return nil
}
