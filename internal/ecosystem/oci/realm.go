package oci

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
)

// tokenPath is the realm, below /v2.
const tokenPath = "/token"

// token is a question to the realm. One with a password of the registry's own is for the registry's realm, where it has one.
func (p *protocol) token(method, path string, query url.Values) (model.Operation, error) {
	op := model.Operation{Kind: model.OperationExchange, Name: opToken}
	switch method {
	case http.MethodGet:
		targets, err := p.scopes(query["scope"])
		op.Targets, op.Shared = targets, true
		return op, err
	case http.MethodPost:
		return op, nil
	}
	return model.Operation{}, unsupported(method, path)
}

// scopes reads the repositories that a token is asked for, each as "repository:NAME:pull,push". Other kinds are left out, as the
// token is good for none of them.
func (p *protocol) scopes(values []string) ([]model.Target, error) {
	var targets []model.Target
	for scope := range strings.FieldsSeq(strings.Join(values, " ")) {
		kind, rest, _ := strings.Cut(scope, ":")
		name, actions, found := strings.Cut(rest, ":")
		if kind != "repository" {
			continue
		}
		repository, err := model.NormalizeName(Kind.Name, name)
		if err != nil || !found {
			return nil, model.Deny(model.CodeBadRequest).Differ("scope", brief(scope), "repository:NAME:pull,push").Because(err)
		}
		target := p.target(place{repository: repository}, model.ActionRead)
		if slices.ContainsFunc(strings.Split(actions, ","), func(action string) bool { return action != "pull" && action != "" }) {
			target.Action = model.ActionPublish
		}
		targets = append(targets, target)
	}
	return targets, nil
}

// ParseExchange takes the identity token as the password, whatever the user's name. Clients ask anew for each repository, and when
// a token has expired, with the one password that they have: so it is not used up, but bound to the repository that is pushed to.
func (p *protocol) ParseExchange(op model.Operation, header http.Header, body []byte) (model.Exchange, error) {
	targets := op.Targets
	password, ok := passwordOf(header)
	if !op.Shared {
		form, err := url.ParseQuery(string(body))
		if err != nil || form.Get("grant_type") != "password" || len(form["password"]) != 1 {
			return model.Exchange{}, model.Deny(model.CodeBadRequest).Differ("form", "something else", "grant_type password and the identity token as password")
		}
		if targets, err = p.scopes(form["scope"]); err != nil {
			return model.Exchange{}, err
		}
		password, ok = form.Get("password"), true
	}
	if !ok || password == "" {
		return model.Exchange{}, model.Deny(model.CodeNoCredential)
	}
	// A token without packages would be good for all; that of a login is good for none.
	ex := model.Exchange{Token: password, Reusable: true, Packages: []string{""}}
	for i, target := range targets {
		if i == 0 {
			ex.Packages = nil
		}
		ex.Packages = append(ex.Packages, target.Package)
		if target.Action != model.ActionRead {
			ex.Bound = append(ex.Bound, target)
		}
	}
	return ex, nil
}

// passwordOf is the password of a Basic credential.
func passwordOf(header http.Header) (string, bool) {
	lines := header.Values("Authorization")
	if len(lines) != 1 {
		return "", false
	}
	scheme, rest, _ := strings.Cut(lines[0], " ")
	pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	if err != nil || !strings.EqualFold(scheme, "Basic") {
		return "", false
	}
	_, password, ok := strings.Cut(string(pair), ":")
	return password, ok
}

// Minted answers the realm's question, under both names that clients look for.
func (*protocol) Minted(_ model.Operation, token string, expiry time.Time) model.Reply {
	return ecosystem.JSON(http.StatusOK, struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}{token, token, max(1, int64(time.Until(expiry).Seconds()))})
}

// Revoked answers a revocation, which no client asks for.
func (*protocol) Revoked(model.Operation) model.Reply {
	return model.Reply{Status: http.StatusNoContent, Header: http.Header{"Cache-Control": {"no-store"}}}
}

// ClassifyRoot is never called: there are no root paths.
func (*protocol) ClassifyRoot(method, path string, _ url.Values, _ http.Header) (model.Operation, error) {
	return model.Operation{}, unsupported(method, path)
}

// Discover is never called: the challenge says it all.
func (*protocol) Discover(op model.Operation, _ url.Values, _ []ecosystem.Discoverable) (model.Reply, error) {
	return model.Reply{}, model.Deny(model.CodeUnsupportedOperation).Differ("operation", op.Name, "one of a repository")
}

// ociCodes are the specification's words for some of ours.
var ociCodes = map[model.Code]string{
	model.CodeDigestMismatch: "DIGEST_INVALID", model.CodeMalformedUpload: "MANIFEST_INVALID", model.CodeDuplicateField: "MANIFEST_INVALID",
	model.CodeTooLarge: "SIZE_INVALID", model.CodeUnsupportedOperation: "UNSUPPORTED", model.CodeTruncated: "BLOB_UPLOAD_INVALID",
	model.CodeRateLimited: "TOOMANYREQUESTS",
}

// Render writes a denial as the specification wants it. Where a token would help, the challenge names the realm; a refusal of the
// realm itself is always a 401, since of a 403 some clients show nothing but the number.
func (p *protocol) Render(op model.Operation, d *model.Denial) model.Reply {
	type failure struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	status, word := d.Status, ociCodes[d.Code]
	realm := op.Kind == model.OperationExchange
	if realm && status == http.StatusForbidden {
		status = http.StatusUnauthorized
	}
	if d.Code == model.CodeMalformedUpload && op.Part {
		word = "BLOB_UPLOAD_INVALID"
	}
	if word == "" {
		word = map[int]string{http.StatusUnauthorized: "UNAUTHORIZED", http.StatusForbidden: "DENIED", http.StatusConflict: "DENIED"}[status]
	}
	if word == "" {
		word = "UNKNOWN"
	}
	reply := ecosystem.JSON(status, struct {
		Errors []failure `json:"errors"`
	}{[]failure{{word, d.Sentence()}}})
	reply.Header.Set("Docker-Distribution-Api-Version", "registry/2.0")
	if status == http.StatusUnauthorized {
		challenge := `Basic realm="trustpub"`
		if !realm {
			challenge = p.challenge(op)
		}
		reply.Header.Set("WWW-Authenticate", challenge)
	}
	return reply
}

// challenge names the realm, and what to ask it for.
func (p *protocol) challenge(op model.Operation) string {
	challenge := `Bearer realm="` + p.public.Scheme + "://" + p.public.Host + apiPath + tokenPath + `",service="` + p.public.Host + `"`
	if len(op.Targets) > 0 && op.Targets[0].Package != "" {
		actions := "pull,push"
		if op.Kind == model.OperationRead {
			actions = "pull"
		}
		challenge += `,scope="repository:` + op.Targets[0].Package + ":" + actions + `"`
	}
	return challenge
}
