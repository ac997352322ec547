package migration

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
)

// The columns of a table that are not fields of a publisher.
const (
	columnRegistry   = "registry"
	columnPackage    = "package"
	columnProvider   = "provider"
	columnName       = "name"
	columnIssuer     = "issuer"
	columnActions    = "actions"
	columnEvents     = "events"
	columnTag        = "tag"
	columnExclusive  = "exclusive"
	columnUnpinned   = "allow_unpinned"
	columnAnyPackage = "allow_any_package"
	// claimColumn begins the name of a column for a claim by its own name, where the provider takes those.
	claimColumn = "claims."
)

// required are the columns that every table has, and the cells that are never empty.
var required = []string{columnRegistry, columnPackage, columnProvider}

// optional are the other columns beside those of publishers.
var optional = []string{
	columnName, columnIssuer, columnActions, columnEvents, columnTag, columnExclusive, columnUnpinned, columnAnyPackage,
}

// maxRows bounds a table.
const maxRows = 100_000

// ImportOptions say what the policies may refer to.
type ImportOptions struct {
	// Env is the gateway's configuration, as far as it is known.
	Env policies.Env
	// Shared gives every policy exclusive: false.
	Shared bool
}

// row is one line of a table.
type row struct {
	line  int
	cells map[string]string
	// columns are where the cells begin, counted in bytes from 1.
	columns map[string]int
}

// importer turns a table into drafts.
type importer struct {
	opts   ImportOptions
	name   string
	header []string
	errors policies.Errors
	// order are the keys of drafts in the order of the table, rows the lines that each is made of.
	order  []string
	drafts map[string]*Draft
	rows   map[string][]row
}

// Import reads a CSV table with a header, strictly: an unknown or doubled column, a cell that its provider has no field for, and a
// row whose policy would not load are errors, of type policies.Errors, with line and column. Rows that differ in nothing but
// the package become one policy; the files are one for each repository.
func Import(name string, r io.Reader, opts ImportOptions) ([]File, error) {
	in := &importer{opts: opts, name: name, drafts: map[string]*Draft{}, rows: map[string][]row{}}
	data, err := io.ReadAll(io.LimitReader(r, policies.MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > policies.MaxFileSize {
		return nil, fmt.Errorf("%s: the table has more than %d bytes; split it", name, policies.MaxFileSize)
	}
	// Spreadsheets begin their files with a byte order mark.
	table := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	if in.head(table) {
		in.body(table)
	}
	if len(in.errors) == 0 {
		in.check()
	}
	if len(in.errors) > 0 {
		return nil, in.errors
	}
	return in.files(), nil
}

func (in *importer) fail(line, column int, field, format string, args ...any) {
	in.errors = append(in.errors, policies.Error{File: in.name, Line: line, Column: column, Field: field, Message: fmt.Sprintf(format, args...)})
}

// broken notes an error of the CSV itself.
func (in *importer) broken(err error) {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		in.fail(parse.Line, parse.Column, "", "not CSV: %v", parse.Err)
		return
	}
	in.fail(0, 0, "", "%v", err)
}

// head reads the header.
func (in *importer) head(table *csv.Reader) bool {
	header, err := table.Read()
	if errors.Is(err, io.EOF) {
		in.fail(0, 0, "", "the table is empty, expected a header with at least %s", strings.Join(required, ", "))
		return false
	}
	if err != nil {
		in.broken(err)
		return false
	}
	for i, column := range header {
		line, at := table.FieldPos(i)
		switch {
		case slices.Index(header, column) < i:
			in.fail(line, at, column, "the column is there twice")
		case !known(column):
			in.fail(line, at, column, "unknown column; known are %s, the fields of a publisher (docs/policies.md) and claims.NAME", strings.Join(append(slices.Clone(required), optional...), ", "))
		}
	}
	for _, column := range required {
		if !slices.Contains(header, column) {
			in.fail(1, 1, column, "the column is missing")
		}
	}
	in.header = header
	return len(in.errors) == 0
}

// known is true for a column that some provider's policies have.
func known(column string) bool {
	if slices.Contains(required, column) || slices.Contains(optional, column) {
		return true
	}
	if claim, ok := strings.CutPrefix(column, claimColumn); ok {
		return claim != ""
	}
	return slices.ContainsFunc(provider.Names(), func(name string) bool {
		p, _ := provider.Get(name)
		_, ok := p.Field(column)
		return ok
	})
}

func (in *importer) body(table *csv.Reader) {
	for n := 0; ; n++ {
		cells, err := table.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			in.broken(err)
			return // what follows cannot be told apart
		}
		if n == maxRows {
			in.fail(0, 0, "", "the table has more than %d rows; split it", maxRows)
			return
		}
		one := row{cells: map[string]string{}, columns: map[string]int{}}
		for i, column := range in.header {
			one.cells[column] = cells[i]
			one.line, one.columns[column] = table.FieldPos(i)
		}
		one.line, _ = table.FieldPos(0)
		in.row(one)
	}
}

// row adds a row to the draft that it belongs to.
func (in *importer) row(r row) {
	before := len(in.errors)
	for _, column := range in.header {
		if r.cells[column] != strings.TrimSpace(r.cells[column]) {
			in.fail(r.line, r.columns[column], column, "the cell begins or ends with a blank")
		}
	}
	for _, column := range required {
		if r.cells[column] == "" {
			in.fail(r.line, r.columns[column], column, "the cell is empty")
		}
	}
	prov, ok := provider.Get(r.cells[columnProvider])
	if !ok && r.cells[columnProvider] != "" {
		in.fail(r.line, r.columns[columnProvider], columnProvider, "provider is %q, expected one of %s", r.cells[columnProvider], strings.Join(provider.Names(), ", "))
	}
	if len(in.errors) > before {
		return
	}
	d := in.draft(r, prov)
	if len(in.errors) > before {
		return
	}
	key := fmt.Sprintf("%+v", *d)
	if in.drafts[key] == nil {
		in.order = append(in.order, key)
		in.drafts[key] = d
	}
	pkg := r.cells[columnPackage]
	if i := slices.Index(in.drafts[key].Packages, pkg); i >= 0 {
		in.fail(r.line, r.columns[columnPackage], columnPackage, "the row says the same as the one in line %d", in.rows[key][i].line)
		return
	}
	in.drafts[key].Packages = append(in.drafts[key].Packages, pkg)
	in.rows[key] = append(in.rows[key], r)
}

// draft is the policy of one row, without its package.
func (in *importer) draft(r row, prov *provider.Provider) *Draft {
	d := &Draft{
		Name: r.cells[columnName], Registries: []string{r.cells[columnRegistry]}, Issuer: r.cells[columnIssuer], Provider: prov.Name,
		Events: strings.Fields(r.cells[columnEvents]), Tag: r.cells[columnTag], Shared: in.opts.Shared,
		Unpinned: in.flag(r, columnUnpinned, false), AnyPackage: in.flag(r, columnAnyPackage, false),
	}
	if !in.flag(r, columnExclusive, true) {
		d.Shared = true
	}
	for _, action := range strings.Fields(r.cells[columnActions]) {
		d.Actions = append(d.Actions, model.Action(action))
	}
	for _, f := range prov.Fields {
		if value := r.cells[f.Name]; value != "" {
			d.Publisher = append(d.Publisher, Pair{f.Name, value})
		}
	}
	for _, column := range in.header {
		claim, open := strings.CutPrefix(column, claimColumn)
		_, field := prov.Field(column)
		switch {
		case r.cells[column] == "" || field || slices.Contains(required, column) || slices.Contains(optional, column):
		case open && prov.OpenClaims:
			d.Claims = append(d.Claims, Pair{claim, r.cells[column]})
		default:
			in.fail(r.line, r.columns[column], column, "publishers of the provider %s have no such field; leave the cell empty", prov.Name)
		}
	}
	return d
}

// flag reads a cell that is true, false or empty.
func (in *importer) flag(r row, column string, otherwise bool) bool {
	switch r.cells[column] {
	case "":
		return otherwise
	case "true", "false":
		return r.cells[column] == "true"
	}
	in.fail(r.line, r.columns[column], column, "%q, expected true, false or nothing", r.cells[column])
	return otherwise
}
