package migration

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
)

// anywhere is what away from a gateway may be named.
var anywhere = policies.Env{AnyRegistry: "pypi", AnyIssuer: true}

const (
	tableHeader = "registry,package,provider,repository,repository_owner_id,workflow,environment,tag,exclusive,project_path,namespace_id,events,issuer,name,actions,claims.team,subject\n"
	tableRow    = "internal-pypi,acme-widget,github,acme/widget,222,release.yml,release,v{version},,,,,,,,,\n"
)

func importText(text string, opts ImportOptions) (string, error) {
	if opts.Env.AnyRegistry == "" {
		opts.Env = anywhere
	}
	files, err := Import("t.csv", strings.NewReader(text), opts)
	var b strings.Builder
	for i := range files {
		b.WriteString("# " + files[i].Name + "\n" + files[i].Text())
	}
	return b.String(), err
}

func TestImport(t *testing.T) {
	got, err := importText("\ufeff"+tableHeader+tableRow+
		"internal-pypi,acme-gadget,github,acme/widget,222,release.yml,release,v{version},,,,,,,,,\n"+
		"internal-pypi,acme-lists,gitlab,,,,prod,,false,grp/prj,72,web api,work-gitlab,,publish read,,\n"+
		"staging-pypi,\"acme-*\",github,acme/widget,222,release.yml,,,true,,,,,staging,,,\n"+
		"internal-pypi,acme-tool,oidc,,,,,,,,,,build,,,tools,job:acme/tool\n", ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "import.yaml", got)
	shared, err := importText(tableHeader+tableRow, ImportOptions{Shared: true})
	if err != nil || !strings.Contains(shared, "exclusive: false") {
		t.Errorf("%v\n%s", err, shared)
	}
}

func TestImportRefuses(t *testing.T) {
	swap := func(old, new string) string { return tableHeader + strings.Replace(tableRow, old, new, 1) }
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "", "t.csv: the table is empty, expected a header with at least registry, package, provider"},
		{"no package", "registry,provider\n", "t.csv:1:1: package: the column is missing"},
		{"an unknown column", "registry,package,provider,repositry\n", "t.csv:1:27: repositry: unknown column; known are registry, package, provider, name, issuer, actions, events, tag, exclusive, allow_unpinned, allow_any_package, the fields of a publisher (docs/policies.md) and claims.NAME"},
		{"a column of claims without a name", "registry,package,provider,claims.\n", "t.csv:1:27: claims.: unknown column; known are registry, package, provider, name, issuer, actions, events, tag, exclusive, allow_unpinned, allow_any_package, the fields of a publisher (docs/policies.md) and claims.NAME"},
		{"a column twice", "registry,package,provider,package\n", "t.csv:1:27: package: the column is there twice"},
		{"a broken header", "registry,\"package\n", "t.csv:1:19: not CSV: extraneous or missing \" in quoted-field"},
		{"another number of cells", tableHeader + "a,b\n", "t.csv:2:1: not CSV: wrong number of fields"},
		{"a bare quote", swap("acme-widget", `acme-"widget"`), "t.csv:2:20: not CSV: bare \" in non-quoted-field"},
		{"a blank", swap("acme-widget", " acme-widget"), "t.csv:2:15: package: the cell begins or ends with a blank"},
		{"no package in a row", swap("acme-widget", ""), "t.csv:2:15: package: the cell is empty"},
		{"an unknown provider", swap(",github,", ",gitub,"), "t.csv:2:27: provider: provider is \"gitub\", expected one of " + strings.Join(provider.Names(), ", ")},
		{"a field of another provider", swap(",github,acme/widget,222,release.yml,", ",gitlab,acme/widget,,,"), "t.csv:2:34: repository: publishers of the provider gitlab have no such field; leave the cell empty"},
		{"no flag", swap("v{version},,", "v{version},no,"), "t.csv:2:81: exclusive: \"no\", expected true, false or nothing"},
		{"the same twice", tableHeader + tableRow + tableRow, "t.csv:3:15: package: the row says the same as the one in line 2"},
		{"no package name", swap("acme-widget", "-acme"), `t.csv:2:15: package: package name is "-acme", expected at most 128 letters, digits, '.', '_' and '-', with a letter or digit at both ends`},
		{"the second package", tableHeader + tableRow + strings.Replace(tableRow, "acme-widget", "*", 1), `t.csv:3:15: package: "*" covers every package; name packages, or say allow_any_package: true`},
		{"no id", swap(",222,", ",,"), "t.csv:2:27: provider: names can pass to other owners, and no stable id is named; add repository_id or repository_owner_id (in quotes), or say allow_unpinned: true"},
		{"a pattern in a file", swap("release.yml", "*.yml"), "t.csv:2:50: workflow: \"*.yml\" is a pattern, and workflow takes exact values only"},
		{"a broken tag", swap("v{version}", "v{x}"), "t.csv:2:70: tag: tag is \"v{x}\", expected text around one {version} and one {package} at most, with text between them, as in \"v{version}\""},
		{"an unknown event", tableHeader + strings.Replace(tableRow, ",,,,,,,,,\n", ",,,,pushh,,,,,\n", 1), `t.csv:2:84: events: event "pushh" is unknown to the provider github; did you mean "push"?`},
		{"one name for two", tableHeader + strings.Replace(tableRow, ",,,,\n", ",x,,,\n", 1) + strings.Replace(strings.Replace(tableRow, ",,,,\n", ",x,,,\n", 1), "release.yml", "other.yml", 1), `t.csv:3:84: name: the name "x" is used for another publisher in line 2`},
		{"a name that is no word", tableHeader + strings.Replace(tableRow, ",,,,\n", ",a b,,,\n", 1), `t.csv:2:86: name: name is "a b", expected at most 128 letters, digits, '.', '_' and '-', with a letter or digit first`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := importText(tc.text, ImportOptions{})
			if err == nil || err.Error() != tc.want {
				t.Errorf("got  %v\nwant %s\n%s", err, tc.want, got)
			}
		})
	}
	away := errors.New("away")
	if _, err := Import("t.csv", iotest.ErrReader(away), ImportOptions{Env: anywhere}); !errors.Is(err, away) {
		t.Errorf("got %v", err)
	}
	known := ImportOptions{Env: policies.Env{AnyRegistry: "", Registries: map[string]string{"other": "pypi"}, AnyIssuer: true}}
	if _, err := Import("t.csv", strings.NewReader(tableHeader+tableRow), known); err == nil || err.Error() != `t.csv:2:1: registry: registry "internal-pypi" is not configured; known are other` {
		t.Errorf("got %v", err)
	}
}

// TestColumnsAndFields: no publisher has a field that a column of the table hides.
func TestColumnsAndFields(t *testing.T) {
	for _, name := range provider.Names() {
		p, _ := provider.Get(name)
		for _, column := range append(required, optional...) {
			if _, there := p.Field(column); there {
				t.Errorf("%s has a field %s, which is a column of its own", name, column)
			}
		}
	}
}

// FuzzImport: no table panics, and what is accepted loads as a whole.
func FuzzImport(f *testing.F) {
	f.Add(tableHeader + tableRow)
	f.Add("registry,package,provider,subject,allow_any_package\nr,*,oidc,\"a\nb\",true\nr,x,oidc,\"#: {\",\n")
	f.Fuzz(func(t *testing.T, text string) {
		files, err := Import("t.csv", strings.NewReader(text), ImportOptions{Env: anywhere})
		if err == nil && len(files) > 0 {
			load(t, files)
		}
	})
}
