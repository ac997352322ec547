package doctor

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/model"
)

// revokeTimeout bounds the end of a credential that was made for a check.
const revokeTimeout = 5 * time.Second

// Registry is one registry of the gateway.
type Registry struct {
	Name, Ecosystem string
	Public          *url.URL
	Source          credential.Source
	// SourceName is the name of the source's kind.
	SourceName string
	// Package is one that the policies name; empty: none.
	Package string
	// Ask sends a GET with these headers to the registry, through what is configured behind the gateway.
	Ask Ask
}

// Ask asks a registry for an escaped path of its public host.
type Ask func(ctx context.Context, path string, header http.Header) (Answer, error)

// Answer is what a registry said.
type Answer struct {
	Status int
	Body   []byte
}

// Reach asks a registry for its public path without a credential.
func Reach(r Registry) Check {
	return Check{Area: "registry", Subject: r.Name, What: "it answers", Network: true, Run: func(ctx context.Context) []Finding {
		answer, err := r.Ask(ctx, r.Public.EscapedPath(), nil)
		switch {
		case err != nil:
			return []Finding{failure("check the address in reverse_proxy, and that the registry runs and lets this machine in", "it does not answer: %v", err)}
		case answer.Status >= http.StatusInternalServerError:
			return []Finding{failure("see the registry's log, and the address in reverse_proxy", "it answers %s", status(answer.Status))}
		}
		return []Finding{ok("it answers %s to %s without a credential", status(answer.Status), r.Public.Path)}
	}}
}

// Credential makes one credential as for a publish, tries it where a request that changes nothing can tell, and ends it.
func Credential(r Registry) Check {
	c := Check{Area: "credential", Subject: r.Name, What: "that " + r.SourceName + " makes credentials which the registry accepts", Network: true}
	c.Run = func(ctx context.Context) []Finding {
		if _, federated := r.Source.(credential.Federated); federated {
			return []Finding{unproved("publish once, with a job", "credential %s needs the identity token of a job, so that only a publish can try it", r.SourceName)}
		}
		made, err := r.issue(ctx)
		if err != nil {
			return []Finding{failure("check the secret and the rights of its user at the registry; until then publishes are refused", "%v", err)}
		}
		found := []Finding{r.try(ctx, made)}
		if made.Revoke != nil {
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
			defer cancel()
			if err := made.Revoke(end); err != nil {
				found = append(found, warning("let the gateway's user end what it makes; it expires by itself where it has an end", "the credential of this check can't be ended: %v", err))
			}
		}
		for i := range found {
			found[i] = found[i].without(values(made.Header))
		}
		return found
	}
	return c
}

// samples are packages for registries of which the policies name none.
var samples = map[string]string{"maven": "com.example:" + sample}

// issue asks the source as the gateway does.
func (r Registry) issue(ctx context.Context) (model.Credential, error) {
	pkg := r.Package
	if pkg == "" {
		pkg = sample
		if other := samples[r.Ecosystem]; other != "" {
			pkg = other
		}
	}
	target := model.Target{Ecosystem: r.Ecosystem, Registry: r.Name, Package: pkg, Version: "0.0.1", Action: model.ActionPublish}
	id := &model.Identity{Issuer: "trustpub-doctor", Claims: map[string]any{}}
	if joint, is := r.Source.(credential.Joint); is {
		return joint.IssueAll(ctx, []model.Target{target}, id)
	}
	return r.Source.Issue(ctx, target, id)
}

// try shows a credential to the registry.
func (r Registry) try(ctx context.Context, made model.Credential) Finding {
	if len(made.Header) == 0 {
		return unproved("", "credential %s gives none for a publish: it is forwarded anonymously", r.SourceName)
	}
	if trier, is := r.Source.(credential.Trier); is {
		return r.trial(ctx, trier.Try(), made)
	}
	if r.Ecosystem == "npm" {
		where := path.Join(r.Public.EscapedPath(), "/-/whoami")
		return r.trial(ctx, credential.Trial{Path: where, Accept: "application/json", Accepted: whoami}, made)
	}
	where := r.quiet()
	var statuses [3]int
	for n, header := range []http.Header{made.Header, wrong(made.Header), nil} {
		answer, err := r.Ask(ctx, where, header)
		if err != nil {
			return unproved("see what is said of the registry", "credential %s was made, and the registry can't be asked: %v", r.SourceName, err)
		}
		statuses[n] = answer.Status
	}
	return r.compare(where, statuses[0], statuses[1], statuses[2])
}

// trial asks the source's own question.
func (r Registry) trial(ctx context.Context, question credential.Trial, made model.Credential) Finding {
	header := made.Header.Clone()
	if question.Accept != "" {
		header.Set("Accept", question.Accept)
	}
	answer, err := r.Ask(ctx, question.Path, header)
	if err != nil {
		return unproved("see what is said of the registry", "credential %s was made, and the registry can't be asked: %v", r.SourceName, err)
	}
	accepted, err := question.Accepted(answer.Status, answer.Body)
	switch {
	case err != nil && r.minted():
		return ok("the API that credential %s asks has made one; whether the registry accepts it can't be told: %v", r.SourceName, err)
	case err != nil:
		return unproved("publish once", "credential %s was made, and whether the registry accepts it can't be told: %v", r.SourceName, err)
	case !accepted:
		return r.refused(question.Path, answer.Status)
	}
	return ok("the registry accepts what credential %s makes", r.SourceName)
}

func (r Registry) refused(where string, code int) Finding {
	if code == http.StatusOK {
		return failure("replace the secret", "the registry takes what credential %s makes for nobody's (%s)", r.SourceName, where)
	}
	return failure("replace the secret, or give its user the right to publish", "the registry refuses what credential %s makes: it answers %s to %s", r.SourceName, status(code), where)
}

// minted is true for a source that asks an API for its credentials, so that one that was made is proof of the secret behind it:
// those keep what they know of the API.
func (r Registry) minted() bool {
	_, is := r.Source.(credential.Keeper)
	return is
}

// quiet is the path of a GET that changes nothing and for which many registries look at the credential.
func (r Registry) quiet() string {
	if r.Ecosystem == "oci" {
		return "/v2/"
	}
	return r.Public.EscapedPath()
}

// whoami reads the answer of an npm registry to the question whose a credential is. Verdaccio answers 200 to a wrong one too, and
// names nobody.
func whoami(status int, body []byte) (bool, error) {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return false, nil
	case http.StatusOK:
	default:
		return false, fmt.Errorf("it answers %d to /-/whoami, expected 200", status)
	}
	var answer struct {
		Username string `json:"username"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return false, errors.New("its answer to /-/whoami is no JSON")
	}
	return answer.Username != "", nil
}

// compare reads the answers to ours, to a wrong credential and to none.
func (r Registry) compare(where string, ours, bad, none int) Finding {
	refused := func(code int) bool { return code == http.StatusUnauthorized || code == http.StatusForbidden }
	switch {
	case ours == http.StatusUnauthorized, ours == http.StatusForbidden && !refused(none):
		return r.refused(where, ours)
	case ours >= http.StatusInternalServerError:
		return failure("see the registry's log", "with what credential %s makes, the registry answers %s to %s", r.SourceName, status(ours), where)
	case refused(bad) && !refused(ours):
		return ok("the registry accepts what credential %s makes, and answers %s to a wrong one", r.SourceName, status(bad))
	case ours == http.StatusForbidden && bad == http.StatusUnauthorized:
		return ok("the registry knows what credential %s makes (%s, and %s to a wrong one); it may not read there", r.SourceName, status(ours), status(bad))
	}
	if r.minted() {
		return ok("the API that credential %s asks has made one; a read does not tell whether the registry accepts it, which answers %s to a wrong one too", r.SourceName, status(bad))
	}
	return unproved("publish once", "credential %s was made; whether the registry accepts it can't be told, since it answers %s to a wrong one too", r.SourceName, status(bad))
}

// wrong is a credential of the same form that nobody has. Its user is nobody's either, so that no account is locked.
func wrong(header http.Header) http.Header {
	bad := http.Header{}
	for name, list := range header {
		for _, value := range list {
			scheme, _, several := strings.Cut(value, " ")
			switch {
			case strings.EqualFold(scheme, "Basic"):
				bad.Add(name, "Basic "+base64.StdEncoding.EncodeToString([]byte("trustpub-doctor-nobody:wrong-on-purpose")))
			case several:
				bad.Add(name, scheme+" wrong-on-purpose")
			default:
				bad.Add(name, "wrong-on-purpose")
			}
		}
	}
	return bad
}

// values are the texts of a credential that must not be printed.
func values(header http.Header) []string {
	var all []string
	for _, list := range header {
		for _, value := range list {
			all = append(all, value)
			_, secret, found := strings.Cut(value, " ")
			if !found {
				continue
			}
			all = append(all, secret)
			if plain, err := base64.StdEncoding.DecodeString(secret); err == nil {
				_, password, _ := strings.Cut(string(plain), ":")
				all = append(all, string(plain), password)
			}
		}
	}
	return all
}

// status is a number with its name.
func status(code int) string {
	if text := http.StatusText(code); text != "" {
		return fmt.Sprintf("%d %s", code, text)
	}
	return fmt.Sprint(code)
}

// ErrNoSite is an Ask for a registry that no site leads to.
var ErrNoSite = errors.New("no site of the configuration leads to it")
