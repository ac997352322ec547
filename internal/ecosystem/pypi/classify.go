package pypi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// The names of the operations, as audit, metrics and errors show them.
const (
	opUpload      = "upload"
	opSimple      = "simple"
	opProject     = "project"
	opFile        = "file"
	opRead        = "read"
	opAudience    = "audience"
	opMint        = "mint-token"
	opBurn        = "burn-token"
	opDiscover    = "pytp"
	opPytpAud     = "pytp-audience"
	opPytpMint    = "pytp-mint-token"
	mediaPytp     = "application/vnd.pypi.pytp.v1+json"
	rootExchange  = "/_/oidc/"
	rootDiscovery = "/.well-known/pytp"
	rootPytp      = rootExchange + "pytp/"
)

// Classify names the operation. The only unsafe one is the legacy upload, at the registry's public path; everything else that
// a registry of this protocol may offer (submit, doc_upload, remove_pkg, devpi's push, deletions, XML-RPC) is refused.
func (p *protocol) Classify(method, path string, query url.Values, header http.Header) (model.Operation, error) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return p.read(path), nil
	case http.MethodPost:
		if path == "" || path == "/" {
			return p.upload(query, header)
		}
	}
	return model.Operation{}, unsupported(method, path)
}

func unsupported(method, path string) *model.Denial {
	if path == "" {
		path = "/"
	}
	return model.Deny(model.CodeUnsupportedOperation).Differ("operation", brief(method+" "+path), "a read, or a file upload by POST to the publish URL")
}

func (p *protocol) upload(query url.Values, header http.Header) (model.Operation, error) {
	if media, _, _ := strings.Cut(header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(media), "multipart/form-data") {
		// A JSON body is devpi's push, an XML body XML-RPC, an urlencoded form can be any :action without a file.
		return model.Operation{}, model.Deny(model.CodeUnsupportedOperation).
			Differ("operation", brief("POST of "+header.Get("Content-Type")), "a file upload as multipart/form-data")
	}
	for _, key := range []string{fieldAction, fieldName, fieldVersion} {
		if query.Has(key) {
			return model.Operation{}, malformed(key+" in the query", brief(query.Get(key)), "a field of the form")
		}
	}
	op := model.Operation{Kind: model.OperationPublish, Name: opUpload, Action: model.ActionPublish, Body: model.BodyStream}
	if p.verify {
		op.Body = model.BodySpool
	}
	return op, nil
}

// read names what a read is of, where its path says so.
func (p *protocol) read(path string) model.Operation {
	op := model.Operation{Kind: model.OperationRead, Name: opRead, Action: model.ActionRead}
	segments := make([]string, 0, 8)
	for s := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		plain, err := url.PathUnescape(s)
		if err != nil || strings.ContainsAny(plain, "/\\") {
			return op
		}
		segments = append(segments, plain)
	}
	name, target := readTarget(segments)
	op.Name = name
	if target.Package != "" {
		target.Ecosystem, target.Registry, target.Action = Kind.Name, p.registry, model.ActionRead
		op.Targets = []model.Target{target}
	}
	return op
}

// reserved are the first segments that are no project's page at one registry or another.
var reserved = []string{
	"simple", "packages", "files", "pypi", "legacy", "api", "admin", "health", "login", "logout", "account", "accounts", "user", "users",
	"token", "tokens", "root", "search", "static", "favicon.ico", "robots.txt",
}

// readTarget names simple pages (simple/NAME/, +simple/NAME/), project pages (NAME, NAME/VERSION, pypi/NAME/json) and files
// (+f/.../FILE, packages/.../FILE, files/.../FILE), with the metadata beside a file (FILE.metadata).
func readTarget(segments []string) (name string, t model.Target) {
	first, last := segments[0], segments[len(segments)-1]
	switch {
	case first == "simple" || first == "+simple":
		if len(segments) == 2 {
			t.Package = packageOf(last)
		}
		return opSimple, t
	case slices.Contains([]string{"+f", "+e", "packages", "files"}, first):
		if file, err := model.ParsePyPIFile(strings.TrimSuffix(last, ".metadata")); err == nil && len(segments) > 1 {
			t.Package, t.Version, t.File = file.Package, file.Version, last
		}
		return opFile, t
	case first == "pypi" && len(segments) >= 3 && len(segments) <= 4 && last == "json":
		t.Package = packageOf(segments[1])
		if len(segments) == 4 {
			t.Version = versionOf(segments[2])
		}
		return opProject, t
	case len(segments) > 2 || first == "" || slices.Contains(reserved, strings.ToLower(first)):
		return opRead, t
	}
	t.Package = packageOf(first)
	if len(segments) == 2 {
		if t.Version = versionOf(last); t.Version == "" {
			return opRead, model.Target{}
		}
	}
	if t.Package == "" {
		return opRead, t
	}
	return opProject, t
}

// packageOf is the canonical name, or "" where it is none.
func packageOf(s string) string {
	name, err := model.NormalizeName(Kind.Name, s)
	if err != nil {
		return ""
	}
	return name
}

func versionOf(s string) string {
	version, err := model.NormalizeVersion(Kind.Name, s)
	if err != nil {
		return ""
	}
	return version
}
