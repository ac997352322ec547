package npm

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// audits are the questions that `npm install` and `npm audit` post; they change nothing.
var audits = []string{"/-/npm/v1/security/advisories/bulk", "/-/npm/v1/security/audits", "/-/npm/v1/security/audits/quick"}

// commands are those of npm's that send a package's whole document to change what is said about its versions.
var commands = []string{"deprecate", "undeprecate"}

// Classify names the operation from the path, and a change of a document from the command that npm sends with it: the document
// is then held to that.
func (p *protocol) Classify(method, path string, query url.Values, header http.Header) (model.Operation, error) {
	pkg, rest, named := splitPackage(path)
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return p.read(path), nil
	case http.MethodPost:
		return p.post(path, query)
	case http.MethodPut, http.MethodDelete:
		if len(query) > 0 {
			return model.Operation{}, model.Deny(model.CodeMalformedUpload).Differ("query", "present", "none")
		}
		if tagged, tag, ok := splitTag(path); ok {
			return p.tag(method, tagged, tag), nil
		}
	}
	if !named {
		return model.Operation{}, unsupported(method, path)
	}
	if method == http.MethodPut {
		return p.put(path, pkg, rest, header)
	}
	return p.remove(method, path, pkg, rest)
}

func unsupported(method, path string) *model.Denial {
	return model.Deny(model.CodeUnsupportedOperation).
		Differ("operation", brief(method+" "+path), "a read, or publish, deprecate, unpublish or dist-tag of a package")
}

// target is what a path names. Nothing in a path has a version but a file.
func (p *protocol) target(pkg string, action model.Action) model.Target {
	return model.Target{Ecosystem: Kind.Name, Registry: p.registry, Package: pkg, Action: action, Versionless: true}
}

// change is an operation that a document describes.
func (p *protocol) change(kind model.OperationKind, name, pkg string, actions ...model.Action) model.Operation {
	op := model.Operation{Kind: kind, Name: name, Action: actions[0], Body: model.BodyStream, Headers: []string{"Npm-Command"}}
	if p.verify && (name == opPublish || name == opStage) {
		op.Body = model.BodySpool
	}
	for _, action := range actions {
		op.Targets = append(op.Targets, p.target(pkg, action))
	}
	return op
}

// read takes a scope's "@" encoded too: some registries write it so into the addresses of their files.
func (p *protocol) read(path string) model.Operation {
	path = strings.Replace(path, "/%40", "/@", 1)
	pkg, _, named := splitPackage(path)
	if of, ok := strings.CutSuffix(path, "/visibility"); ok {
		if _, ok := cutPackage(of, packagePath); ok {
			return model.Operation{Kind: model.OperationDiscover, Name: opVisibility}
		}
	}
	op := model.Operation{Kind: model.OperationRead, Name: opRead, Action: model.ActionRead}
	if !named {
		of, ok := strings.CutSuffix(path, "/dist-tags")
		if pkg, named = cutPackage(of, packagePath); !ok || !named {
			return op
		}
	}
	op.Name, op.Targets = opPackage, []model.Target{p.target(pkg, model.ActionRead)}
	return op
}

func (p *protocol) post(path string, query url.Values) (model.Operation, error) {
	if pkg, ok := cutPackage(path, exchangePath); ok {
		return exchangeOf(pkg), nil
	}
	if slices.Contains(audits, path) {
		return model.Operation{Kind: model.OperationRead, Name: opAudit, Action: model.ActionRead}, nil
	}
	if pkg, ok := cutPackage(path, "/-/stage/package/"); ok && len(query) == 0 {
		return p.change(model.OperationPublish, opStage, pkg, model.ActionPublish), nil
	}
	return model.Operation{}, unsupported(http.MethodPost, path)
}

func (p *protocol) put(path, pkg, rest string, header http.Header) (model.Operation, error) {
	switch {
	case rest == "" && slices.Contains(commands, header.Get("Npm-Command")):
		// The document stands for all versions and tags, and some registries drop those that it leaves out.
		return p.change(model.OperationManage, opDeprecate, pkg, model.ActionYank, model.ActionDelete, model.ActionTag), nil
	case rest == "":
		return p.change(model.OperationPublish, opPublish, pkg, model.ActionPublish), nil
	case isRevision(rest):
		return p.change(model.OperationManage, opUnpublish, pkg, model.ActionDelete), nil
	}
	return model.Operation{}, unsupported(http.MethodPut, path)
}

// remove is the deletion of a package, or of a file once its version was taken out of the document.
func (p *protocol) remove(method, path, pkg, rest string) (model.Operation, error) {
	target := p.target(pkg, model.ActionDelete)
	if file, ok := strings.CutPrefix(rest, "/-/"); ok {
		file, rest, _ = strings.Cut(file, "/")
		rest = "/" + rest
		version, ok := versionOf(pkg, file, ".tgz")
		if !ok {
			return model.Operation{}, mismatch("file", file, "one of "+pkg)
		}
		target.File, target.Version, target.Versionless = file, version, false
	}
	if method != http.MethodDelete || !isRevision(rest) {
		return model.Operation{}, unsupported(method, path)
	}
	return model.Operation{Kind: model.OperationManage, Name: opUnpublish, Action: model.ActionDelete, Targets: []model.Target{target}}, nil
}

// tag sets or removes a tag. The tag stands where files do, since a token is good for one text of it.
func (p *protocol) tag(method, pkg, tag string) model.Operation {
	target := p.target(pkg, model.ActionTag)
	target.File = "dist-tags/" + tag
	op := model.Operation{Kind: model.OperationManage, Name: opUntag, Action: model.ActionTag, Targets: []model.Target{target}}
	if method == http.MethodPut {
		op.Name, op.Body = opTag, model.BodyStream
	}
	return op
}
