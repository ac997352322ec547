package grants

import (
	"fmt"
	"io"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// sign is how a kind begins its line.
var sign = map[Kind]string{Appears: "+", Widens: "+", Opens: "+", Narrows: "-", Vanishes: "-"}

// summary is the last line.
func (r *Report) summary() string {
	if !r.Widening {
		return "nothing widens"
	}
	n := 0
	for _, c := range r.Changes {
		if sign[c.Kind] == "+" {
			n++
		}
	}
	if n == 1 {
		return "1 grant appears or widens"
	}
	return fmt.Sprintf("%d grants appear or widen", n)
}

// Text writes the report for a terminal, one line a change.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	for _, c := range r.Changes {
		fmt.Fprintf(&b, "%s %-8s  %s/%s %s by %s (policy %s, %s:%d)\n", sign[c.Kind], c.Kind, c.Registry, line(c.Package),
			words(c.Actions), line(c.Publisher), c.Policy, line(c.File), c.Line)
		for _, why := range c.Why {
			fmt.Fprintf(&b, "              %s\n", line(why))
		}
	}
	b.WriteString(r.summary() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// Markdown writes the report as a pull-request comment.
func (r *Report) Markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### Publishing policies: %s\n", r.summary())
	if len(r.Changes) > 0 {
		b.WriteString("\n| | registry | package | actions | publisher | what changes | policy |\n|---|---|---|---|---|---|---|\n")
	}
	for _, c := range r.Changes {
		kind := string(c.Kind)
		if sign[c.Kind] == "+" {
			kind = "**" + kind + "**"
		}
		cells := []string{kind, code(c.Registry), code(c.Package), words(c.Actions), code(c.Publisher), plain(strings.Join(c.Why, "; ")), fmt.Sprintf("%s %s", code(c.Policy), plain(fmt.Sprintf("(%s:%d)", c.File, c.Line)))}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func line(s string) string { return model.OneLine(s, 500) }

// code shows a value of a policy file as it is: no text of a pull request may become markup of the comment on it.
func code(s string) string {
	return "`" + strings.NewReplacer("`", "'", "|", `\|`).Replace(line(s)) + "`"
}

// plain escapes what Markdown and HTML would read.
func plain(s string) string {
	var b strings.Builder
	for _, r := range line(s) {
		if strings.ContainsRune("\\`*_{}[]<>#|!@&~", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
