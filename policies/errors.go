package policies

import (
	"fmt"
	"sort"
	"strings"
)

// maxShownErrors bounds the errors that one message spells out.
const maxShownErrors = 20

// Error is one thing that is wrong with a policy file, and where.
type Error struct {
	// File is the path as it was found; Line and Column start at 1 and are 0 where the whole file is meant.
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	// Field is the path of the field inside the file ("policies[2].publisher.github.workflow"); empty for the whole file.
	Field string `json:"field,omitempty"`
	// Message says what was found, what is expected and what to do.
	Message string `json:"message"`
}

// Error is "file:line:column: field: message".
func (e Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": ")
	if e.Field != "" {
		b.WriteString(e.Field + ": ")
	}
	b.WriteString(e.Message)
	return b.String()
}

// Errors are all that is wrong, in the order of the files and lines.
type Errors []Error

// Error lists the first errors, one a line.
func (e Errors) Error() string {
	lines := make([]string, 0, min(len(e), maxShownErrors)+1)
	for i, one := range e {
		if i == maxShownErrors {
			lines = append(lines, fmt.Sprintf("and %d more", len(e)-i))
			break
		}
		lines = append(lines, one.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single errors to errors.As.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i := range e {
		out[i] = e[i]
	}
	return out
}

// sorted orders errors by file, line and column.
func (e Errors) sorted() Errors {
	sort.SliceStable(e, func(i, j int) bool {
		a, b := e[i], e[j]
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
	return e
}

// orNil is the error to return: nil where nothing is wrong, and never a typed nil.
func (e Errors) orNil() error {
	if len(e) == 0 {
		return nil
	}
	return e.sorted()
}
