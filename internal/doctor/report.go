package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/trustpub/trustpub/internal/model"
)

// maxLine bounds a message, in bytes: errors come from elsewhere.
const maxLine = 1000

// Report is what a run found.
type Report struct {
	// Findings are in the order of the checks.
	Findings []Finding `json:"findings"`
	// Passed, Warnings, Failures and Skipped count them.
	Passed   int `json:"ok"`
	Warnings int `json:"warnings"`
	Failures int `json:"failures"`
	Skipped  int `json:"skipped"`
}

// add takes a finding in and counts it.
func (r *Report) add(f Finding) {
	f.Message, f.Help = model.OneLine(f.Message, maxLine), model.OneLine(f.Help, maxLine)
	r.Findings = append(r.Findings, f)
	switch f.Status {
	case OK:
		r.Passed++
	case Warn:
		r.Warnings++
	case Fail:
		r.Failures++
	case Skip:
		r.Skipped++
	}
}

// Fails is true where a finding is at least that bad, Fail or Warn.
func (r *Report) Fails(on Status) bool { return r.Failures > 0 || on == Warn && r.Warnings > 0 }

// Sum is the report in one line.
func (r *Report) Sum() string {
	return fmt.Sprintf("%d ok, %s, %s, %d not proved", r.Passed,
		number(r.Warnings, "warning"), number(r.Failures, "failure"), r.Skipped)
}

func number(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Text writes it for people: a line for each finding, below it what to do.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, f := range r.Findings {
		where := f.Area
		if f.Subject != "" {
			where += " " + f.Subject
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", f.Status, where, f.Message)
		if f.Help != "" {
			fmt.Fprintf(table, "\t\tto do: %s\n", f.Help)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s%s\n", b.String(), r.Sum())
	return err
}

// JSON writes it for programs.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}
