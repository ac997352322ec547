package nuget

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"

	"github.com/trustpub/trustpub/internal/model"
)

// The paths of pushes: a registry's own URL, or NuGet's classic path below it.
var (
	pushPaths   = []string{"", "/", "/api/v2/package", "/api/v2/package/"}
	symbolPaths = []string{"/symbolpackage", "/symbolpackage/", "/api/v2/symbolpackage", "/api/v2/symbolpackage/"}
)

// clientHeaders are what clients say of themselves; some registries ask for it.
var clientHeaders = []string{"X-Nuget-Client-Version", "X-Nuget-Protocol-Version", "X-Nuget-Session-Id"}

// release is the path of a delete and a relist, below that of a push.
var release = regexp.MustCompile(`^(?:/api/v2/package)?/([0-9A-Za-z._-]+)/([0-9A-Za-z.+-]+)$`)

// Classify names the operation.
func (p *protocol) Classify(method, path string, query url.Values, _ http.Header) (model.Operation, error) {
	if method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions {
		return p.read(path), nil
	}
	op := model.Operation{Kind: model.OperationPublish, Name: opPush, Action: model.ActionPublish, Body: model.BodySpool, Headers: clientHeaders}
	m := release.FindStringSubmatch(path)
	switch {
	case method == http.MethodPost && path == tokenPath:
		return model.Operation{Kind: model.OperationExchange, Name: opExchange}, nil
	case method == http.MethodPut && slices.Contains(pushPaths, path):
	case method == http.MethodPut && slices.Contains(symbolPaths, path):
		op.Name = opSymbols
	case method == http.MethodDelete && m != nil:
		op.Kind, op.Name, op.Action, op.Body = model.OperationManage, opDelete, model.ActionDelete, model.BodyNone
	case method == http.MethodPost && m != nil:
		op.Kind, op.Name, op.Action, op.Body = model.OperationManage, opRelist, model.ActionDelete, model.BodyNone
	default:
		return op, model.Deny(model.CodeUnsupportedOperation).
			Differ("operation", brief(method+" "+path), "a read, or a push, delete or relist of a package")
	}
	if len(query) > 0 {
		return op, malformed("query", "present", "none")
	}
	if op.Kind == model.OperationManage {
		target, err := releaseTarget(p.registry, m[1], m[2], ".nupkg", op.Action)
		if err != nil {
			return op, err
		}
		op.Targets = []model.Target{target}
	}
	return op, nil
}

// pages are the reads that name a package: flat container and registrations, by the names that registries give them.
var pages = regexp.MustCompile(`^(?:/v3)?/(?:flatcontainer|flat2|package|registrations?[0-9a-z-]*)/([0-9A-Za-z._-]+)/`)

func (p *protocol) read(path string) model.Operation {
	op := model.Operation{Kind: model.OperationRead, Name: opRead, Action: model.ActionRead}
	m := pages.FindStringSubmatch(path)
	if m == nil {
		return op
	}
	if pkg, err := model.NormalizeName(Kind.Name, m[1]); err == nil {
		op.Name = opPackage
		op.Targets = []model.Target{{Ecosystem: Kind.Name, Registry: p.registry, Package: pkg, Action: model.ActionRead, Versionless: true}}
	}
	return op
}

// releaseTarget is the target of one package, whose file is named as registries name it.
func releaseTarget(registry, id, version, suffix string, action model.Action) (model.Target, error) {
	pkg, err := model.NormalizeName(Kind.Name, id)
	if err != nil {
		return model.Target{}, malformed("id of the package", brief(id), "letters, digits and '_', with single '.' and '-' between").Because(err)
	}
	normal, err := model.NormalizeVersion(Kind.Name, version)
	if err != nil {
		return model.Target{}, malformed("version of the package", brief(version), "a version as in 1.2.3 or 1.2.3-beta.1").Because(err)
	}
	file := pkg + "." + normal + suffix
	return model.Target{Ecosystem: Kind.Name, Registry: registry, Package: pkg, Version: normal, File: file, Action: action}, nil
}
