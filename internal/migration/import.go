package migration

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
)

// check loads each policy by itself, so that an error can be told with the row that it comes from.
func (in *importer) check() {
	names := map[string]row{}
	for _, key := range in.order {
		d, rows := *in.drafts[key], in.rows[key]
		if first, taken := names[d.Name]; taken && d.Name != "" {
			in.fail(rows[0].line, rows[0].columns[columnName], columnName, "the name %q is used for another publisher in line %d", d.Name, first.line)
			continue
		}
		names[d.Name] = rows[0]
		if d.Name == "" {
			d.Name = "unnamed"
		}
		file := File{Name: "row", Drafts: []Draft{d}}
		_, err := policies.Parse(map[string]string{file.Name: file.Text()}, in.opts.Env)
		var all policies.Errors
		if !errors.As(err, &all) {
			if err != nil {
				in.fail(rows[0].line, 1, "", "%v", err)
			}
			continue
		}
		for _, one := range all {
			r, column := place(one.Field, rows)
			in.fail(r.line, max(r.columns[column], 1), column, "%s", one.Message)
		}
	}
}

var packageIndex = regexp.MustCompile(`\.packages\[(\d+)\]`)

// place finds the row and the column that a field of a policy came from.
func place(field string, rows []row) (row, string) {
	if m := packageIndex.FindStringSubmatch(field); m != nil {
		if i, err := strconv.Atoi(m[1]); err == nil && i < len(rows) {
			return rows[i], columnPackage
		}
	}
	if _, claim, ok := strings.Cut(field, "."+claimColumn); ok {
		return rows[0], claimColumn + claim
	}
	last := field[strings.LastIndexByte(field, '.')+1:]
	last, _, _ = strings.Cut(last, "[")
	if _, there := rows[0].columns[last]; there {
		return rows[0], last
	}
	return rows[0], columnProvider
}

// files puts drafts into files, one for each repository, and names the policies that have no name.
func (in *importer) files() []File {
	names, fileNames := namer{}, namer{}
	for _, key := range in.order {
		if name := in.drafts[key].Name; name != "" {
			names[name] = true
		}
	}
	var files []File
	at := map[string]int{}
	for _, key := range in.order {
		d := *in.drafts[key]
		repository := d.repository()
		group := d.Provider + " " + d.Issuer + " " + repository
		n, ok := at[group]
		if !ok {
			n = len(files)
			at[group] = n
			files = append(files, File{
				Name:     fileNames.fileName(repository),
				Comments: []string{fmt.Sprintf("Written by trustpub migrate import from %s.", base(in.name))},
			})
		}
		if d.Name == "" {
			d.Name = names.take(slug(repository))
		}
		files[n].Drafts = append(files[n].Drafts, d)
	}
	return files
}

func base(name string) string {
	return name[strings.LastIndexAny(name, `/\`)+1:]
}

// repository is what names the draft's repository, or whatever else it says first.
func (d *Draft) repository() string {
	prov, _ := provider.Get(d.Provider)
	i := slices.IndexFunc(d.Publisher, func(p Pair) bool {
		f, ok := prov.Field(p.Field)
		return ok && f.Names == provider.Repository
	})
	switch {
	case i >= 0:
		return d.Publisher[i].Value
	case len(d.Publisher) > 0:
		return d.Publisher[0].Value
	}
	return d.Provider
}
