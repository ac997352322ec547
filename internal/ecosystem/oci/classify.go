package oci

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// manifestTypes are the kinds of manifest that the gateway takes when it asks whether a tag is there; some registries say that
// nothing is where a question does not name the kind.
const manifestTypes = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, " +
	"application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, */*"

// digestGrammar are the two algorithms that the specification registers.
var digestGrammar = regexp.MustCompile(`^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)

var session = regexp.MustCompile(`^[0-9A-Za-z._=~-]{1,256}$`)

// place is what a path names inside a repository.
type place struct {
	repository string
	// kind is "manifests", "blobs", "uploads", "tags" or "referrers", ref what follows it.
	kind, ref string
}

// find takes a path below /v2 apart. The name of a repository is never one of the words behind it.
func find(path string) (place, bool) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	n := len(parts)
	if n < 3 {
		return place{}, false
	}
	at := place{kind: parts[n-2], ref: parts[n-1]}
	name := parts[:n-2]
	switch {
	case at.kind == "uploads" && parts[n-3] == "blobs":
		name = parts[:n-3]
		if at.ref != "" && !session.MatchString(at.ref) {
			return place{}, false
		}
	case at.kind == "manifests" && (isTag(at.ref) || digestGrammar.MatchString(at.ref)),
		at.kind == "blobs" && digestGrammar.MatchString(at.ref),
		at.kind == "referrers" && digestGrammar.MatchString(at.ref),
		at.kind == "tags" && at.ref == "list":
	default:
		return place{}, false
	}
	repository, err := model.NormalizeName(Kind.Name, strings.Join(name, "/"))
	at.repository = repository
	return at, err == nil
}

func isTag(s string) bool {
	_, err := model.NormalizeVersion(Kind.Name, s)
	return err == nil
}

// Classify names the operation from method, path and query.
func (p *protocol) Classify(method, path string, query url.Values, _ http.Header) (model.Operation, error) {
	rest, below := strings.CutPrefix(path, p.base)
	below = below && (rest == "" || rest[0] == '/')
	safe := method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
	switch {
	case !below && safe:
		return model.Operation{Kind: model.OperationRead, Name: opRead, Action: model.ActionRead}, nil
	case !below:
		return model.Operation{}, unsupported(method, path)
	case rest == tokenPath:
		return p.token(method, path, query)
	case safe:
		return p.read(method, path, rest)
	}
	for key, values := range query {
		if len(values) > 1 {
			return model.Operation{}, malformed("query", key+" twice", "each key once")
		}
	}
	at, ok := find(rest)
	if !ok {
		return model.Operation{}, unsupported(method, path)
	}
	switch at.kind {
	case "uploads":
		return p.upload(method, path, at, query)
	case "manifests":
		return p.manifest(method, path, at, query)
	}
	if at.kind == "blobs" && method == http.MethodDelete && len(query) == 0 {
		return p.operation(model.OperationManage, opDeleteBlob, p.target(at, model.ActionDelete)), nil
	}
	return model.Operation{}, unsupported(method, path)
}

func unsupported(method, path string) *model.Denial {
	return model.Deny(model.CodeUnsupportedOperation).
		Differ("operation", brief(method+" "+path), "a read of a repository, or a push or deletion of a blob or manifest")
}

// target is what a path names. Only a tag is a version.
func (p *protocol) target(at place, action model.Action) model.Target {
	target := model.Target{Ecosystem: Kind.Name, Registry: p.registry, Package: at.repository, Action: action, Versionless: true}
	if at.kind == "manifests" && isTag(at.ref) {
		target.Version, target.Versionless = at.ref, false
	}
	return target
}

func (p *protocol) operation(kind model.OperationKind, name string, targets ...model.Target) model.Operation {
	return model.Operation{Kind: kind, Name: name, Action: targets[0].Action, Targets: targets}
}

// read is a read of a repository, or the question whether the registry is there, which names none and is answered by a challenge
// first. The catalog, which lists the names of all, is refused.
func (p *protocol) read(method, path, rest string) (model.Operation, error) {
	if rest == "" || rest == "/" {
		op := p.operation(model.OperationRead, opPing, p.target(place{}, model.ActionRead))
		op.Challenge = true
		return op, nil
	}
	if at, ok := find(rest); ok {
		action := model.ActionRead
		if at.kind == "uploads" {
			action = model.ActionPublish // only who uploads asks where it stands, and some registries want the right to write for it
		}
		return p.operation(model.OperationRead, opRepository, p.target(at, action)), nil
	}
	if strings.HasPrefix(rest, "/_catalog") {
		return model.Operation{}, unsupported(method, path)
	}
	return model.Operation{Kind: model.OperationRead, Name: opRead, Action: model.ActionRead}, nil
}

// upload is a step of pushing a blob. Only the last one says what was pushed, and the registry compares it with what came.
func (p *protocol) upload(method, path string, at place, query url.Values) (model.Operation, error) {
	target := p.target(at, model.ActionPublish)
	op := p.operation(model.OperationPublish, opStart, target)
	op.Part = true
	digest := query.Get("digest")
	if query.Has("digest") && !digestGrammar.MatchString(digest) {
		return model.Operation{}, malformed("digest in the query", digest, "sha256: or sha512: and hexadecimal digits")
	}
	switch {
	case method == http.MethodPost && at.ref == "" && (query.Has("mount") || query.Has("from")):
		return p.mount(target, query)
	case method == http.MethodPost && at.ref == "" && query.Has("digest"):
		op.Body, op.Query, op.Targets[0].File = model.BodyStream, []string{"digest"}, digest
	case method == http.MethodPost && at.ref == "":
	case method == http.MethodPatch && at.ref != "":
		op.Name, op.Body, op.Query, op.Headers = opChunk, model.BodyStream, []string{"_state"}, []string{rangeHeader}
		op.Targets[0].File = "uploads/" + at.ref
	case method == http.MethodPut && at.ref != "" && query.Has("digest"):
		op.Name, op.Body, op.Query, op.Headers = opFinish, model.BodyStream, []string{"_state", "digest"}, []string{rangeHeader}
		op.Targets[0].File = digest
	case method == http.MethodDelete && at.ref != "":
		// Registries ask for the right to delete here.
		op = p.operation(model.OperationManage, opCancel, p.target(at, model.ActionDelete))
		op.Query = []string{"_state"}
	default:
		return model.Operation{}, unsupported(method, path)
	}
	return op, nil
}

// mount takes a blob over from another repository, which must be readable. Without its name, a registry would look for the blob
// in all of them.
func (p *protocol) mount(target model.Target, query url.Values) (model.Operation, error) {
	from, err := model.NormalizeName(Kind.Name, query.Get("from"))
	if err != nil || !digestGrammar.MatchString(query.Get("mount")) || len(query) != 2 {
		return model.Operation{}, malformed("mount", query.Get("mount")+" from "+query.Get("from"), "a digest, and the repository that has it").Because(err)
	}
	target.File = query.Get("mount")
	op := p.operation(model.OperationPublish, opMount, target, p.target(place{repository: from}, model.ActionRead))
	op.Query = []string{"mount", "from"}
	return op, nil
}

// manifest puts or deletes a manifest by its tag or its digest. A tag that is there is only moved where that is granted.
func (p *protocol) manifest(method, path string, at place, query url.Values) (model.Operation, error) {
	switch {
	case len(query) > 0:
		return model.Operation{}, malformed("query", "present", "none")
	case method == http.MethodPut:
		target := p.target(at, model.ActionPublish)
		target.File = "manifests/" + at.ref
		op := p.operation(model.OperationPublish, opManifest, target)
		op.Body, op.Accept = model.BodyStream, manifestTypes
		op.Once = !target.Versionless && !p.moves(at.ref)
		return op, nil
	case method == http.MethodDelete:
		return p.operation(model.OperationManage, opDeleteManifest, p.target(at, model.ActionDelete)), nil
	}
	return model.Operation{}, unsupported(method, path)
}
