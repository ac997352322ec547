package integration

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/trustpub/trustpub/integration/client"
)

// try is one attempt to publish a wheel.
type try struct {
	wheel artifact
	// claims differ from the development issuer's default job; token, where it is set, is the identity token itself.
	claims map[string]any
	token  string
	// url replaces the registry's public URL: a hop in between.
	url string
}

// way is one client and how it proves itself.
type way struct {
	name string
	// publish makes one attempt by trusted publishing; steal makes one with a stored password.
	publish func(*testing.T, *rig, try) client.Result
	steal   func(*testing.T, *rig, artifact) client.Result
	// direct ways send the identity token itself; the others exchange it.
	direct bool
	// fields: the form is written by hand, so that the client digests nothing.
	fields bool
}

// ways are the clients of the matrix.
var ways = []way{
	{name: "uv-exchange", publish: uvPublish, steal: uvSteal},
	{name: "pdm-exchange", publish: pdmPublish, steal: pdmSteal},
	{name: "twine-identity", publish: twineIdentity, steal: twineSteal, direct: true},
	{name: "twine-minted", publish: twineMinted, steal: twineSteal},
	{name: "curl-bearer", publish: curlBearer, steal: curlSteal, direct: true, fields: true},
}

// ran gives the result of a client that could be run at all.
func ran(t *testing.T) func(client.Result, error) client.Result {
	return func(r client.Result, err error) client.Result {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

// job is what a client finds in its CI job: the issuer's own token endpoint, or one that gives the same token again and again.
func (r *rig) job(t *testing.T, x try) *client.Job {
	t.Helper()
	request := "job-" + random(8)
	if x.token == "" {
		shared.issuer.AddJob(request, x.claims)
		return &client.Job{RequestURL: shared.issuer.TokenRequestURL(), RequestToken: request}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"value": x.token})
	}))
	t.Cleanup(server.Close)
	return &client.Job{RequestURL: server.URL + "/token?api-version=1", RequestToken: request}
}

// identityOf is the identity token of an attempt.
func (r *rig) identityOf(x try) string {
	if x.token != "" {
		return x.token
	}
	return r.identity(x.claims)
}

// urlOf is where an attempt uploads to.
func (r *rig) urlOf(x try) string {
	if x.url != "" {
		return x.url
	}
	return r.site.Public()
}

func uvPublish(t *testing.T, r *rig, x try) client.Result {
	return ran(t)(r.home(r.job(t, x)).UV(t.Context(), r.urlOf(x), nil, x.wheel.path))
}

func uvSteal(t *testing.T, r *rig, w artifact) client.Result {
	login := client.Login{User: r.reg.User, Password: r.reg.Password}
	return ran(t)(r.home(nil).UV(t.Context(), r.site.Public(), &login, w.path))
}

func pdmPublish(t *testing.T, r *rig, x try) client.Result {
	return ran(t)(r.home(r.job(t, x)).PDM(t.Context(), r.urlOf(x), nil, x.wheel.path))
}

func pdmSteal(t *testing.T, r *rig, w artifact) client.Result {
	login := client.Login{User: r.reg.User, Password: r.reg.Password}
	return ran(t)(r.home(nil).PDM(t.Context(), r.site.Public(), &login, w.path))
}

func twineIdentity(t *testing.T, r *rig, x try) client.Result {
	login := client.Login{User: "__token__", Password: r.identityOf(x)}
	return ran(t)(r.home(nil).Twine(t.Context(), r.urlOf(x), login, x.wheel.path))
}

// twineMinted exchanges the identity token first, as a script before twine does. Where that is refused the script has only
// the identity token left to try.
func twineMinted(t *testing.T, r *rig, x try) client.Result {
	identity := r.identityOf(x)
	password, _ := r.exchange(t, identity)
	if password == "" {
		password = identity
	}
	login := client.Login{User: "__token__", Password: password}
	return ran(t)(r.home(nil).Twine(t.Context(), r.urlOf(x), login, x.wheel.path))
}

func twineSteal(t *testing.T, r *rig, w artifact) client.Result {
	login := client.Login{User: r.reg.User, Password: r.reg.Password}
	return ran(t)(r.home(nil).Twine(t.Context(), r.site.Public(), login, w.path))
}

func curlBearer(t *testing.T, r *rig, x try) client.Result {
	auth := []string{"--header", "Authorization: Bearer " + r.identityOf(x)}
	return ran(t)(r.home(nil).Curl(t.Context(), r.urlOf(x), auth, x.wheel.form().Fields(), x.wheel.path))
}

func curlSteal(t *testing.T, r *rig, w artifact) client.Result {
	auth := []string{"--user", r.reg.User + ":" + r.reg.Password}
	return ran(t)(r.home(nil).Curl(t.Context(), r.site.Public(), auth, w.form().Fields(), w.path))
}
