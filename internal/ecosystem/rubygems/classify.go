package rubygems

import (
	"net/http"
	"net/url"
	"regexp"

	"github.com/trustpub/trustpub/internal/model"
)

const (
	pushPath = "/api/v1/gems"
	yankPath = "/api/v1/gems/yank"
)

// Classify names the operation. Owners, keys, web hooks, profiles and old ways to push are refused.
func (p *protocol) Classify(method, path string, query url.Values, _ http.Header) (model.Operation, error) {
	switch {
	case method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions:
		return p.read(path), nil
	case method == http.MethodPost && path == exchangePath:
		return model.Operation{Kind: model.OperationExchange, Name: opExchange}, nil
	case method == http.MethodPost && path == pushPath:
		op := model.Operation{Kind: model.OperationPublish, Name: opPush, Action: model.ActionPublish, Body: model.BodyStream}
		if len(query) > 0 { // "overwrite" is known to some servers
			return op, malformed("query", "present", "none")
		}
		return op, nil
	case method == http.MethodDelete && path == yankPath:
		return p.yank(query)
	}
	return model.Operation{}, model.Deny(model.CodeUnsupportedOperation).
		Differ("operation", brief(method+" "+path), "a read, or a push or yank of a gem")
}

// yank is named by a form, as gem sends it, or by the query.
func (p *protocol) yank(query url.Values) (model.Operation, error) {
	op := model.Operation{Kind: model.OperationManage, Name: opYank, Action: model.ActionYank, Body: model.BodySpool}
	if len(query) == 0 {
		return op, nil
	}
	target, err := yanked(p.registry, query)
	if err != nil {
		return op, err
	}
	op.Body, op.Targets, op.Query = model.BodyNone, []model.Target{target}, []string{fieldName, fieldVersion, fieldPlatform}
	return op, nil
}

// The paths of reads that name a gem, and those of its files.
var (
	gemPage = regexp.MustCompile(`^(?:/info/([0-9A-Za-z._-]+)|/api/v1/(?:gems|versions)/([0-9A-Za-z._-]+)\.(?:json|yaml))$`)
	gemFile = regexp.MustCompile(`^(?:/gems/([0-9A-Za-z._-]+)\.gem|/quick/Marshal\.4\.8/([0-9A-Za-z._-]+)\.gemspec\.rz)$`)
	// beforeVersion is where a version may begin in the name of a file.
	beforeVersion = regexp.MustCompile(`-[0-9]`)
)

func (p *protocol) read(path string) model.Operation {
	op := model.Operation{Kind: model.OperationRead, Name: opRead, Action: model.ActionRead}
	name := ""
	if m := gemPage.FindStringSubmatch(path); m != nil {
		name = m[1] + m[2]
	} else if m := gemFile.FindStringSubmatch(path); m != nil {
		// A name with a number after a dash could be another gem's version: such a file names nothing.
		if at := beforeVersion.FindAllStringIndex(m[1]+m[2], -1); len(at) == 1 {
			name = (m[1] + m[2])[:at[0][0]]
		}
	}
	if pkg, err := model.NormalizeName(Kind.Name, name); err == nil {
		op.Name = opGem
		op.Targets = []model.Target{{Ecosystem: Kind.Name, Registry: p.registry, Package: pkg, Action: model.ActionRead, Versionless: true}}
	}
	return op
}

// releaseTarget is the target of one gem. A field that is not of its grammar is named as it stands.
func releaseTarget(registry, name, version, platform string, action model.Action) (model.Target, *model.Denial) {
	pkg, err := model.NormalizeName(Kind.Name, name)
	if err != nil {
		return model.Target{}, malformed("name of the gem", brief(name), "letters, digits, '.', '-' and '_'").Because(err)
	}
	version, err = model.NormalizeVersion(Kind.Name, version)
	if err != nil {
		return model.Target{}, malformed("version of the gem", brief(version), "numbers and words with dots between, as in 1.2.3.rc1").Because(err)
	}
	file, err := model.GemFile(name, version, platform)
	if err != nil {
		return model.Target{}, malformed("platform of the gem", brief(platform), "ruby, java, x86_64-linux or alike").Because(err)
	}
	return model.Target{Ecosystem: Kind.Name, Registry: registry, Package: pkg, Version: version, File: file, Action: action}, nil
}
