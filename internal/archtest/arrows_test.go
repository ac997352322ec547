package archtest

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// module is the import path of this module.
const module = "github.com/trustpub/trustpub"

// A room is a folder, or with "/*" at its end any one folder below it (with all that lies below that one). It may
// import its own folders and those that arrows lists; an arrow ending in "/*" points at every folder below.
type room struct {
	folder string
	arrows []string
}

// rooms is the whole table: a package that has no room, and an import that has no arrow, fail the build.
// Arrows run one way, from what wires to what knows least. What only tests import is exempt.
var rooms = []room{
	{"internal/model", nil},
	{"internal/provider", []string{"internal/model"}},
	{"internal/identity", []string{"internal/provider", "internal/model"}},
	{"internal/upload", []string{"internal/model"}},
	{"internal/jsonstream", []string{"internal/model"}},
	{"internal/multipart", []string{"internal/model"}},
	{"internal/zipfile", nil},
	{"internal/xmldoc", nil},
	{"internal/tarfile", nil},
	{"internal/ecosystem", []string{"internal/upload", "internal/model"}},
	{"internal/ecosystem/*", []string{
		"internal/ecosystem", "internal/upload", "internal/jsonstream", "internal/multipart", "internal/zipfile", "internal/xmldoc", "internal/tarfile",
		"internal/model",
	}},
	{"internal/credential", []string{"internal/model"}},
	{"internal/credential/mintapi", []string{"internal/credential", "internal/model"}},
	{"internal/credential/lease", []string{"internal/credential", "internal/model"}},
	{"internal/credential/*", []string{
		"internal/credential", "internal/credential/mintapi", "internal/credential/lease", "internal/model",
	}},
	{"internal/limit", []string{"internal/model"}},
	{"internal/store", []string{"internal/model"}},
	{"internal/store/*", []string{"internal/store", "internal/model"}},
	{"internal/switches", []string{"internal/store", "internal/provider", "internal/model"}},
	{"internal/audit", []string{"internal/model"}},
	{"internal/audit/*", []string{"internal/audit", "internal/model"}},
	{"internal/publishtoken", []string{"internal/model"}},
	{"policies", []string{"internal/provider", "internal/model"}},
	{"policies/grants", []string{"policies", "internal/model"}},
	{"policies/policytest", []string{"policies", "internal/provider", "internal/model"}},
	{"policies/format", []string{"policies"}},
	{"policies/lint", []string{"policies", "policies/format", "internal/provider", "internal/model"}},
	{"internal/migration", []string{"policies", "internal/audit", "internal/provider", "internal/model"}},
	// The gateway sees the interfaces of its neighbours, never a concrete one.
	{"internal/gateway", []string{
		"internal/ecosystem", "internal/credential", "internal/store", "internal/upload", "internal/model",
	}},
	// The client's side: what a job runs. The courier wires the other three.
	{"internal/ambient", nil},
	{"internal/exchange", nil},
	{"internal/handover", nil},
	{"internal/courier", []string{"internal/ambient", "internal/exchange", "internal/handover"}},
	{"internal/helper", []string{"internal/ambient", "internal/courier", "internal/handover"}},
	{"internal/doctor", []string{
		"internal/identity", "internal/credential", "internal/store", "policies", "policies/lint", "internal/provider", "internal/model",
	}},
	{"internal/cli", []string{
		"internal/doctor",
		"internal/ambient", "internal/exchange", "internal/handover", "internal/courier", "internal/helper",
		"policies", "policies/*", "internal/migration", "internal/identity", "internal/provider", "internal/ecosystem/*",
		"internal/credential/*", "internal/store/*",
		"internal/audit", "internal/publishtoken", "internal/model",
	}},
	{"internal/demo", []string{"internal/demo/*", "internal/model"}},
	{"internal/demo/*", []string{"internal/demo/script", "internal/demo/wheel", "internal/provider", "internal/model"}},
	{"internal/loopback", nil},
	{"internal/archtest", nil},
	{"caddymodule", []string{"internal/*", "policies"}},
	// What a build of Caddy may leave out: a folder for each part that brings a large library.
	{"caddymodule/*", []string{"caddymodule", "internal/credential/*"}},
	{"cmd/caddy", []string{"caddymodule", "caddymodule/*"}},
	{"cmd/trustpub", []string{"internal/cli"}},
	{"bench", []string{"internal/demo/*", "internal/loopback"}},
	{"integration", []string{"internal/demo/*", "internal/ecosystem/*", "internal/loopback", "internal/model"}},
}

// caddyRooms are the only ones that may link Caddy, its storage or zap; everything else takes a *slog.Logger.
var caddyRooms = []string{"caddymodule", "cmd/caddy"}

// foreign are the module paths that only caddyRooms may link.
var foreign = []string{"github.com/caddyserver/", "go.uber.org/zap"}

// roomOf finds the room of a folder: an exact one before a pattern, a longer one before a shorter one.
func roomOf(folder string) (room, bool) {
	for at := folder; at != "."; at = path.Dir(at) {
		for _, r := range rooms {
			if r.folder == at || r.folder == path.Dir(at)+"/*" {
				return r, true
			}
		}
	}
	return room{}, false
}

// instance is the folder that counts as one room: for a pattern the folder that it stands for.
func (r room) instance(folder string) string {
	base, isPattern := strings.CutSuffix(r.folder, "/*")
	if !isPattern {
		return r.folder
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(folder, base+"/"), "/")
	return base + "/" + name
}

// allows tells whether a package in folder may import the package in target.
func (r room) allows(folder, target string) bool {
	own := r.instance(folder)
	if theirs, ok := roomOf(target); ok && theirs.folder == r.folder && theirs.instance(target) == own {
		return true
	}
	for _, arrow := range r.arrows {
		if base, isPattern := strings.CutSuffix(arrow, "/*"); arrow == target || isPattern && strings.HasPrefix(target, base+"/") {
			return true
		}
	}
	return false
}

func TestRoomsAllow(t *testing.T) {
	tests := []struct {
		name, from, to string
		want           bool
	}{
		{"the gateway sees the joint", "internal/gateway", "internal/store", true},
		{"the gateway knows no concrete store", "internal/gateway", "internal/store/local", false},
		{"the gateway knows no identity", "internal/gateway", "internal/identity", false},
		{"an ecosystem sees its joint", "internal/ecosystem/pypi", "internal/ecosystem", true},
		{"an ecosystem may have folders", "internal/ecosystem/pypi", "internal/ecosystem/pypi/form", true},
		{"folders of an ecosystem see it", "internal/ecosystem/pypi/form", "internal/ecosystem/pypi", true},
		{"siblings never meet", "internal/ecosystem/pypi", "internal/ecosystem/npm", false},
		{"a source calls its API in the common way", "internal/credential/gitea", "internal/credential/mintapi", true},
		{"a source keeps credentials in the common way", "internal/credential/gitea", "internal/credential/lease", true},
		{"what sources share knows none of them", "internal/credential/mintapi", "internal/credential/gitea", false},
		{"a joint knows no part", "internal/ecosystem", "internal/ecosystem/pypi", false},
		{"the model knows nobody", "internal/model", "internal/upload", false},
		{"policies are below the gateway", "policies", "internal/gateway", false},
		{"the command line needs no gateway of Caddy", "internal/cli", "caddymodule", false},
		{"the client's side knows no policies", "internal/courier", "policies", false},
		{"and nothing of the gateway", "internal/exchange", "internal/model", false},
		{"the module wires everything", "caddymodule", "internal/store/local", true},
		{"and no command", "caddymodule", "cmd/caddy", false},
		{"what can be left out registers itself", "caddymodule/codeartifact", "caddymodule", true},
		{"with its source", "caddymodule/codeartifact", "internal/credential/codeartifact", true},
		{"and is not in every build", "caddymodule", "caddymodule/codeartifact", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, ok := roomOf(tt.from)
			if !ok {
				t.Fatalf("%s has no room", tt.from)
			}
			if diff := cmp.Diff(tt.want, r.allows(tt.from, tt.to)); diff != "" {
				t.Errorf("%s -> %s (-want +got):\n%s", tt.from, tt.to, diff)
			}
		})
	}
}

func TestArrows(t *testing.T) {
	for _, pkg := range packages(t) {
		from, ok := roomOf(pkg.folder)
		if !ok {
			t.Errorf("%s has no room: add it to the table in arrows_test.go and to docs/architecture.md", pkg.folder)
			continue
		}
		for target, file := range pkg.imports {
			target, ours := strings.CutPrefix(target, module+"/")
			if ours && !from.allows(pkg.folder, target) {
				t.Errorf("%s: %s must not import %s: got an arrow that the table does not have, expected one of %v", file, pkg.folder, target, from.arrows)
			}
		}
	}
}

func TestOnlyTheModuleKnowsCaddy(t *testing.T) {
	for _, pkg := range packages(t) {
		if mayLinkCaddy(pkg.folder) {
			continue
		}
		for _, imports := range []map[string]string{pkg.imports, pkg.testImports} {
			for target, file := range imports {
				if isForeign(target) {
					t.Errorf("%s: %s must not import %s: only %v may; take a *slog.Logger or an interface of your own", file, pkg.folder, target, caddyRooms)
				}
			}
		}
	}
}

// TestNothingElseLinksCaddy looks at whole dependency trees, so that no library brings Caddy in by the back door; that of
// cmd/trustpub is what keeps the small binary small.
func TestNothingElseLinksCaddy(t *testing.T) {
	for _, pkg := range listed(t) {
		folder := strings.TrimPrefix(pkg.ImportPath, module+"/")
		if mayLinkCaddy(folder) {
			continue
		}
		for _, dep := range pkg.Deps {
			if isForeign(dep) {
				t.Errorf("%s links %s: only %v may; find the import with `go mod why -m` or `go list -deps`", folder, dep, caddyRooms)
				break
			}
		}
	}
}

// heavy are large libraries, each with the part that brings it; a build that does not name the part has nothing of it.
var heavy = map[string]string{
	"github.com/aws/":     "codeartifact",
	"github.com/Azure/":   "azure",
	"github.com/AzureAD/": "azure",
}

// TestLargeLibrariesCanBeLeftOut: only a part itself, the folder of caddymodule that registers it, and the Caddy with everything link its
// library.
func TestLargeLibrariesCanBeLeftOut(t *testing.T) {
	for _, pkg := range listed(t) {
		folder := strings.TrimPrefix(pkg.ImportPath, module+"/")
		for prefix, part := range heavy {
			if slices.Contains([]string{"internal/credential/" + part, "caddymodule/" + part, "cmd/caddy"}, folder) {
				continue
			}
			for _, dep := range pkg.Deps {
				if strings.HasPrefix(dep, prefix) {
					t.Errorf("%s links %s: only the source %s may, and what names caddymodule/%s", folder, dep, part, part)
					break
				}
			}
		}
	}
}

func mayLinkCaddy(folder string) bool {
	for _, r := range caddyRooms {
		if folder == r || strings.HasPrefix(folder, r+"/") {
			return true
		}
	}
	return false
}

func isForeign(importPath string) bool {
	for _, f := range foreign {
		if strings.HasPrefix(importPath, f) {
			return true
		}
	}
	return false
}
