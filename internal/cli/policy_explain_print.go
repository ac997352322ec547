package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/policies"
)

// explained is what `policy explain --format json` prints.
type explained struct {
	// Allowed is the exit code: true for 0.
	Allowed bool             `json:"allowed"`
	Outcome policies.Outcome `json:"outcome"`
	// Sentence is the gateway's own; ClientSentence what the client is told of it, where that is less.
	Sentence       string `json:"sentence"`
	ClientSentence string `json:"client_sentence,omitempty"`
	Verification   string `json:"verification"`
	// Recorded is what the audit says of the event.
	Recorded string                  `json:"recorded,omitempty"`
	Issuer   string                  `json:"issuer"`
	Provider string                  `json:"provider"`
	Target   model.Target            `json:"target"`
	Policies []policies.RankedPolicy `json:"policies"`
	Total    int                     `json:"policies_total"`
}

// errDenied ends the command with 1; the output has said all.
var errDenied = &ExitError{Code: ExitFailed, Err: errors.New("denied")}

// answer prints the explanation. Where verification refuses the token, that is the gateway's sentence.
func (e *explaining) answer(out io.Writer, r policies.Ranking) error {
	id := e.question.Identity
	x := explained{
		Outcome: r.Outcome, Verification: e.checked, Issuer: id.Issuer, Provider: id.Provider, Target: e.question.Target,
		Policies: r.Policies, Total: r.Total,
	}
	x.Sentence, x.ClientSentence = sentences(r, e.question.Target)
	if e.recorded != nil {
		x.Recorded = recordedText(e.recorded)
	}
	if e.rejection != "" {
		x.Outcome, x.Sentence, x.ClientSentence = policies.OutcomeDenied, e.rejection, ""
	}
	x.Allowed = x.Outcome == policies.OutcomeAllowed || x.Outcome == policies.OutcomeOpen
	if e.format == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(x); err != nil {
			return err
		}
	} else if err := x.text(out); err != nil {
		return err
	}
	if !x.Allowed {
		return errDenied
	}
	return nil
}

// sentences are what the gateway says: to the audit, and to the client where that is less.
func sentences(r policies.Ranking, target model.Target) (full, client string) {
	switch r.Outcome {
	case policies.OutcomeAllowed:
		full = "policy " + r.Decision.Policy + " grants this"
		if r.Exists {
			full += fmt.Sprintf(", if %s has the package already: the policy covers it by a pattern and does not say new_packages", target.Registry)
		}
		return full, ""
	case policies.OutcomeOpen:
		return "policy " + r.Decision.Policy + " grants this, if the version agrees with what is open below", ""
	case policies.OutcomeUnknown:
		return "policy " + r.Decision.Policy + " grants this, if what is unknown below agrees", ""
	}
	whole := r.Decision
	whole.Reveal = true
	full = model.Refuse(whole).Sentence()
	if !r.Told {
		whole.Reveal = false
		client = model.Refuse(whole).Sentence()
	}
	return full, client
}

// recordedText is an event's decision in a line.
func recordedText(e *model.Event) string {
	d := &model.Denial{Decision: model.Decision{Code: e.Code, Policy: e.Policy, Field: e.Field, Got: e.Got, Want: e.Want, Reveal: true}, Message: e.Code.Info().Message}
	words := e.Time.UTC().Format("2006-01-02T15:04:05Z") + " " + string(e.Kind)
	if e.Decision != "" {
		words += " " + e.Decision
	}
	switch {
	case e.Code != "":
		words += ": " + d.Sentence()
	case e.Policy != "":
		words += " (policy " + e.Policy + ")"
	}
	return model.OneLine(words, 1200)
}

// text prints the explanation for people. All that comes from a token or a file is printed as one line of ASCII.
func (x *explained) text(out io.Writer) error {
	var b strings.Builder
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-12s  %s\n", label, model.OneLine(text, 2000))
		}
	}
	fmt.Fprintf(&b, "%s: %s\n\n", x.Outcome, model.OneLine(x.Sentence, 2000))
	line("the client", x.ClientSentence)
	line("target", targetText(x.Target))
	line("issuer", x.Issuer+" ("+x.Provider+")")
	line("verification", x.Verification)
	line("recorded", x.Recorded)
	for i := range x.Policies {
		p := &x.Policies[i]
		fmt.Fprintf(&b, "\n%s  %s:%d  %s\n", p.Policy, model.OneLine(p.File, 500), p.Line, standing(p))
		if err := checkTable(&b, p.Checks); err != nil {
			return err
		}
	}
	if more := x.Total - len(x.Policies); more > 0 {
		fmt.Fprintf(&b, "\n%s further away; --limit 0 shows all\n", count(more, "policy is", "policies are"))
	}
	if x.Total == 0 {
		b.WriteString("\nthere are no policies\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func targetText(t model.Target) string {
	what := strings.TrimSpace(t.Package + " " + t.Version)
	if what == "" {
		what = "(an exchange, which names no package)"
	}
	return fmt.Sprintf("%s %s to %s (%s)", t.Action, what, t.Registry, t.Ecosystem)
}

// standing is how near a policy is.
func standing(p *policies.RankedPolicy) string {
	var words []string
	if p.Differs > 0 {
		words = append(words, count(p.Differs, "check differs", "checks differ"))
	}
	if p.Unknown > 0 {
		words = append(words, fmt.Sprintf("%d unknown", p.Unknown))
	}
	if p.Open > 0 {
		words = append(words, fmt.Sprintf("%d open", p.Open))
	}
	if len(words) == 0 {
		return "grants"
	}
	return strings.Join(words, ", ")
}

// checkTable prints the checks.
func checkTable(b *strings.Builder, checks []policies.Check) error {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  FIELD\tEXPECTED\tGOT\tVERDICT")
	for _, c := range checks {
		got := c.Got
		switch {
		case c.Unknown:
			got = "(the audit does not keep it)"
		case c.Open && got == "":
			got = "(decided at the upload)"
		case got == "":
			got = "(absent)"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", cell(c.Field), cell(c.Want), cell(got), c.Verdict())
	}
	return w.Flush()
}

func cell(s string) string { return model.OneLine(s, 90) }
