package hex

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// replaceKey is the only key of a query that a request which changes something may have. A server takes a repository and a name from
// the query too, before those of the path.
const replaceKey = "replace"

// Classify names the operation. The API is below "/api" or is the registry's path itself. Owners, keys, users, organisations and OAuth are
// refused, and what acts on all releases at once.
func (p *protocol) Classify(method, path string, query url.Values, header http.Header) (model.Operation, error) {
	dialect := dialectOf(header)
	op, err := p.classify(method, path, query)
	op.Dialect = dialect
	return op, err
}

func (p *protocol) classify(method, path string, query url.Values) (model.Operation, error) {
	if method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions {
		return p.read(path), nil
	}
	scope, rest := scoped(strings.TrimPrefix(path, "/api"))
	if method == http.MethodPost && rest == "/publish" {
		return p.publish(query, scope, "")
	}
	m := changes.FindStringSubmatch(rest)
	if m == nil {
		return unsupported(method, path)
	}
	name, version, of := m[1], m[2], m[3]
	if method == http.MethodPost && version == "" && of == "" {
		return p.publish(query, scope, name)
	}
	op, known := byRelease[method+" "+of]
	if !known || version == "" {
		return unsupported(method, path)
	}
	if len(query) > 0 {
		return op, malformed("query", "present", "none")
	}
	target, err := p.release(scope, name, version, op.Action)
	if err != nil {
		return op, err
	}
	if op.Name == opDocs || op.Name == opRevertDocs {
		target.File = model.HexDocs(target.Package, target.Version)
	}
	op.Targets = []model.Target{target}
	return op, nil
}

// The paths of changes, below the API and the organisation.
var changes = regexp.MustCompile(`^/packages/([^/]+)/releases(?:/([^/]+)(?:/(docs|retire))?)?$`)

// byRelease are the operations whose URL names a release.
var byRelease = map[string]model.Operation{
	"POST docs": {
		Kind: model.OperationPublish, Name: opDocs, Action: model.ActionPublish, Body: model.BodyStream, Once: true, Moved: true, Opaque: true, Encoding: encodingOfGleam,
	},
	"DELETE docs":   {Kind: model.OperationManage, Name: opRevertDocs, Action: model.ActionDelete},
	"POST retire":   {Kind: model.OperationManage, Name: opRetire, Action: model.ActionYank, Body: model.BodySpool},
	"DELETE retire": {Kind: model.OperationManage, Name: opUnretire, Action: model.ActionYank},
	"DELETE ":       {Kind: model.OperationManage, Name: opRevert, Action: model.ActionDelete},
}

// publish is that of a release. The server replaces a release unless it is told not to: whatever does not say so is an overwrite.
func (p *protocol) publish(query url.Values, scope, name string) (model.Operation, error) {
	op := model.Operation{
		Kind: model.OperationPublish, Name: opPublish, Action: model.ActionOverwrite, Body: model.BodyStream, Query: []string{replaceKey}, Scope: scope,
	}
	values := query[replaceKey]
	switch {
	case len(query) > 1 || len(query) == 1 && len(values) != 1:
		return op, malformed("query", "something else", "replace=false, once")
	case len(values) == 1 && values[0] == "false":
		op.Action = model.ActionPublish
	case len(values) == 1 && values[0] != "true":
		return op, malformed(replaceKey, brief(values[0]), "false, or true for an overwrite")
	}
	if name == "" {
		return op, nil
	}
	pkg, err := packageOf(scope, name)
	if err != nil {
		return op, err
	}
	target := p.target(pkg, "", op.Action)
	target.Versionless = true
	op.Targets = []model.Target{target}
	return op, nil
}

func unsupported(method, path string) (model.Operation, error) {
	return model.Operation{}, model.Deny(model.CodeUnsupportedOperation).
		Differ("operation", brief(method+" "+path), "a read, or to publish, retire, unretire or revert one release or its documentation")
}

// organization is the beginning of a path that is about packages of an organisation.
var organization = regexp.MustCompile(`^/repos/([^/]+)(/.*)$`)

// scoped takes the organisation from the beginning of a path.
func scoped(path string) (scope, rest string) {
	if m := organization.FindStringSubmatch(path); m != nil {
		return m[1], m[2]
	}
	return "", path
}

// packageOf is the name of a package of an organisation, or of none.
func packageOf(scope, name string) (string, error) {
	whole := name
	if scope != "" {
		whole = scope + "/" + name
	} else if strings.Contains(name, "/") {
		return "", malformed("name of the package", brief(name), "one without an organisation, which the URL names")
	}
	pkg, err := model.NormalizeName(Kind.Name, whole)
	if err != nil {
		return "", malformed("name of the package", brief(whole), "lower case letters, digits and '_'").Because(err)
	}
	return pkg, nil
}

// release is the target of one release.
func (p *protocol) release(scope, name, version string, action model.Action) (model.Target, error) {
	pkg, err := packageOf(scope, name)
	if err != nil {
		return model.Target{}, err
	}
	canonical, err := model.NormalizeVersion(Kind.Name, version)
	if err != nil {
		return model.Target{}, malformed("version of the release", brief(version), "a semantic version as in 1.2.3").Because(err)
	}
	target := p.target(pkg, canonical, action)
	target.File = model.HexFile(pkg, canonical)
	return target, nil
}

// The paths of reads that name a package: pages of the API and of the repository, and files.
var (
	packagePage = regexp.MustCompile(`^/packages/([a-z][a-z0-9_]+)(?:/.*)?$`)
	packageFile = regexp.MustCompile(`^/(?:tarballs|docs)/([a-z][a-z0-9_]+)-[0-9][^/]*\.tar(?:\.gz)?$`)
)

// read is a read of a package, or of anything else. The repository may be below "/repo".
func (p *protocol) read(path string) model.Operation {
	op := model.Operation{Kind: model.OperationRead, Name: opRead, Action: model.ActionRead}
	for _, root := range []string{"/api", "/repo"} {
		if below, ok := strings.CutPrefix(path, root); ok && strings.HasPrefix(below, "/") {
			path = below
			break
		}
	}
	scope, rest := scoped(path)
	m := packagePage.FindStringSubmatch(rest)
	if m == nil {
		m = packageFile.FindStringSubmatch(rest)
	}
	if m == nil {
		return op
	}
	pkg, err := packageOf(scope, m[1])
	if err != nil {
		return op
	}
	target := p.target(pkg, "", model.ActionRead)
	target.Versionless = true
	op.Name, op.Targets = opPackage, []model.Target{target}
	return op
}
