package lint

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Format is a form in which a report is written.
type Format string

// The formats.
const (
	// Text is for people: each finding with its line of the file, the ignored ones, and a sum.
	Text Format = "text"
	// JSON is the Report itself.
	JSON Format = "json"
	// SARIF is version 2.1.0 of the Static Analysis Results Interchange Format, which code scanners read.
	SARIF Format = "sarif"
	// GitHub is a workflow command for each finding, which GitHub shows beside the changed lines.
	GitHub Format = "github"
)

// Formats lists the formats.
func Formats() []Format { return []Format{Text, JSON, SARIF, GitHub} }

// Write writes the report in a format; an unknown one is an error.
func (r *Report) Write(w io.Writer, format Format) error {
	var out string
	switch format {
	case Text:
		out = r.text()
	case JSON:
		return writeJSON(w, r)
	case SARIF:
		return writeJSON(w, r.sarif())
	case GitHub:
		out = r.github()
	default:
		return fmt.Errorf("format is %q, expected one of %v", format, Formats())
	}
	_, err := io.WriteString(w, out)
	return err
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// text is the report for people.
func (r *Report) text() string {
	var b strings.Builder
	for i := range r.Findings {
		r.Findings[i].text(&b)
	}
	if len(r.Ignored) > 0 {
		b.WriteString("ignored:\n")
		for _, f := range r.Ignored {
			fmt.Fprintf(&b, "  %s: %s: %s\n", f.place(), f.Code, f.Reason)
		}
	}
	fmt.Fprintf(&b, "%s: %s\n", r.read(), r.sum())
	return b.String()
}

// text is one finding: what and where, the line with a mark below, and what to do.
func (f *Finding) text(b *strings.Builder) {
	fmt.Fprintf(b, "%s: %s: %s [%s]\n", f.place(), f.Severity, f.message(), f.Code)
	if f.Source != "" {
		// Tabs become blanks, so that the mark stands below its value in every terminal.
		source := strings.ReplaceAll(f.Source, "\t", " ")
		margin := strings.Repeat(" ", len(fmt.Sprint(f.Line)))
		fmt.Fprintf(b, "  %d | %s\n", f.Line, source)
		mark := max(1, min(f.EndColumn, utf8.RuneCountInString(source)+1)-f.Column)
		fmt.Fprintf(b, "  %s | %s%s\n", margin, strings.Repeat(" ", max(f.Column-1, 0)), strings.Repeat("^", mark))
	}
	if f.Help != "" {
		fmt.Fprintf(b, "  help: %s\n", f.Help)
	}
}

// place is "file:line:column", without the numbers where the whole file is meant.
func (f *Finding) place() string {
	if f.Line == 0 {
		return f.File
	}
	return fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
}

// message is the message with the policy that is meant.
func (f *Finding) message() string {
	if f.Policy == "" {
		return f.Message
	}
	return f.Message + " (policy " + f.Policy + ")"
}

// read counts what was looked at, sum what was found.
func (r *Report) read() string {
	return number(r.Policies, "policy", "policies") + " in " + number(r.Files, "file", "files")
}

func (r *Report) sum() string {
	var list []string
	for _, s := range Severities() {
		if n := r.Count(s); n > 0 {
			list = append(list, number(n, string(s), string(s)+"s"))
		}
	}
	if len(list) == 0 {
		list = []string{"nothing found"}
	}
	if n := len(r.Ignored); n > 0 {
		list = append(list, fmt.Sprintf("%d ignored", n))
	}
	return strings.Join(list, ", ")
}

// number is a number with its noun.
func number(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// githubLevels are the workflow commands for severities.
var githubLevels = map[Severity]string{Error: "error", Warning: "warning", Note: "notice"}

// The escapes of workflow commands: those of a message, and those of a property, whose end is "," and whose mark is ":".
// See https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands and actions/toolkit's command.ts.
var (
	githubMessage  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// github is one workflow command for each finding.
func (r *Report) github() string {
	var b strings.Builder
	for i := range r.Findings {
		f := &r.Findings[i]
		fmt.Fprintf(&b, "::%s file=%s", githubLevels[f.Severity], githubProperty.Replace(f.File))
		if f.Line > 0 {
			fmt.Fprintf(&b, ",line=%d,col=%d,endColumn=%d", f.Line, f.Column, max(f.EndColumn-1, f.Column))
		}
		message := f.message()
		if f.Help != "" {
			message += "\n" + f.Help
		}
		fmt.Fprintf(&b, ",title=%s::%s\n", githubProperty.Replace("trustpub "+f.Code), githubMessage.Replace(message))
	}
	return b.String()
}
