package cargo

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

const (
	cratesPath   = "/api/v1/crates/"
	publishPath  = cratesPath + "new"
	exchangePath = "/api/v1/trusted_publishing/tokens"
)

// indexRoots are where the registries that are known have their sparse index, below the public path.
var indexRoots = []string{"", "/index", "/crates", "/api/v1/crates"}

// Classify names the operation from method and path. Owners are people with passwords, whom no policy can name, so changes of
// them are refused.
func (p *protocol) Classify(method, path string, query url.Values, _ http.Header) (model.Operation, error) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return p.read(path), nil
	}
	if len(query) > 0 {
		return model.Operation{}, malformed("query", "present", "none")
	}
	switch {
	case path == exchangePath && method == http.MethodPost:
		return model.Operation{Kind: model.OperationExchange, Name: opExchange}, nil
	case path == exchangePath && method == http.MethodDelete:
		return model.Operation{Kind: model.OperationRevoke, Name: opRevoke}, nil
	case path == publishPath && method == http.MethodPut:
		return model.Operation{Kind: model.OperationPublish, Name: opPublish, Action: model.ActionPublish, Body: model.BodyStream}, nil
	case strings.HasPrefix(path, cratesPath) && strings.HasSuffix(path, "/owners"):
		return model.Operation{}, model.Deny(model.CodeUnsupportedOperation).
			Differ("operation", brief(method+" "+path), "no change of owners: each is a person with a password, whom no policy names")
	case strings.HasSuffix(path, "/git-upload-pack") && method == http.MethodPost:
		return model.Operation{Kind: model.OperationRead, Name: opRead, Action: model.ActionRead}, nil // a fetch of an index in git
	}
	if op, ok := p.yank(method, path); ok {
		return op, nil
	}
	return model.Operation{}, model.Deny(model.CodeUnsupportedOperation).
		Differ("operation", brief(method+" "+path), "a read, or publish, yank or unyank of a crate")
}

// yank is DELETE …/NAME/VERSION/yank and PUT …/NAME/VERSION/unyank.
func (p *protocol) yank(method, path string) (model.Operation, bool) {
	op := model.Operation{Kind: model.OperationManage, Action: model.ActionYank}
	switch method {
	case http.MethodDelete:
		op.Name = opYank
	case http.MethodPut:
		op.Name = opUnyank
	}
	rest, below := strings.CutPrefix(path, cratesPath)
	parts := strings.Split(rest, "/")
	if !below || len(parts) != 3 || parts[2] != op.Name {
		return op, false
	}
	pkg, err := model.NormalizeName(Kind.Name, parts[0])
	version, versionErr := model.NormalizeVersion(Kind.Name, parts[1])
	if err != nil || versionErr != nil {
		return op, false
	}
	target := p.target(pkg, model.ActionYank)
	target.Version = version
	op.Targets = []model.Target{target}
	return op, true
}

// read is a read of a crate, of the index's own settings, or of anything else. The settings name no crate, and are what cargo
// asks first of a registry that wants a token for reads: whoever may do anything in the registry may see them.
func (p *protocol) read(path string) model.Operation {
	op := model.Operation{Kind: model.OperationRead, Name: opRead, Action: model.ActionRead}
	target := p.target("", model.ActionRead)
	target.Versionless = true
	switch pkg, found := crateOf(path); {
	case found:
		op.Name, target.Package = opCrate, pkg
	case slices.ContainsFunc(indexRoots, func(root string) bool { return path == root+"/config.json" }):
		op.Name = opConfig
	default:
		return op
	}
	op.Targets = []model.Target{target}
	return op
}

// crateOf finds the crate that a read is about: a file of the index, a download, or a page of the API.
func crateOf(path string) (pkg string, found bool) {
	for _, root := range indexRoots {
		if rest, ok := strings.CutPrefix(path, root+"/"); ok {
			if name := rest[strings.LastIndexByte(rest, '/')+1:]; name != "" && rest == indexPath(name) {
				return normal(name)
			}
		}
	}
	if parts := strings.Split(path, "/"); len(parts) > 3 && parts[len(parts)-1] == "download" {
		return normal(parts[len(parts)-3])
	}
	if rest, ok := strings.CutPrefix(path, cratesPath); ok {
		name, _, _ := strings.Cut(rest, "/")
		return normal(name)
	}
	return "", false
}

func normal(name string) (string, bool) {
	pkg, err := model.NormalizeName(Kind.Name, name)
	return pkg, err == nil
}

// indexPath is where an index keeps a crate.
func indexPath(name string) string {
	name = strings.ToLower(name)
	switch len(name) {
	case 1:
		return "1/" + name
	case 2:
		return "2/" + name
	case 3:
		return "3/" + name[:1] + "/" + name
	}
	return name[:2] + "/" + name[2:4] + "/" + name
}
