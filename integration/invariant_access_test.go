package integration

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/integration/registry"
	"github.com/trustpub/trustpub/integration/tap"
	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

// TestInvariantTrustedPublishingOnly carries a stored password, a devpi session and a devpi token to both registries in every
// way that they, or something in between, might read: none publishes.
func TestInvariantTrustedPublishingOnly(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, kind)
			secrets := []string{r.reg.Password}
			if kind == "devpi" {
				devpi, err := shared.devpi()
				if err != nil {
					t.Fatal(err)
				}
				session, err := devpi.Session(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				secrets = append(secrets, session, devpi.Token())
			}
			for n, secret := range secrets {
				for name, header := range carriers(r.reg.User, secret) {
					t.Run(name+"/"+itoa(n), func(t *testing.T) {
						a := r.upload(t, header, newWheel(t, "acme-widget", "1.0").form())
						if a.Status < 400 {
							t.Errorf("got %d, expected a refusal\n%s", a.Status, a.Body)
						}
						r.holds(t)
					})
				}
				for _, query := range []string{"?token=" + secret, "?auth=" + secret, "?:action=file_upload&token=" + secret} {
					form := newWheel(t, "acme-widget", "1.0").form()
					a := r.send(t, http.MethodPost, r.site.Registry.Path+query, http.Header{"Content-Type": {form.ContentType()}}, form.Bytes())
					if a.Status < 400 {
						t.Errorf("a credential in the query: got %d, expected a refusal\n%s", a.Status, a.Body)
					}
				}
			}
			t.Run("a second Authorization line", func(t *testing.T) {
				header := bearer(r.identity(nil))
				header.Add("Authorization", r.password().Get("Authorization"))
				refused(t, r.upload(t, header, newWheel(t, "acme-widget", "1.0").form()), http.StatusBadRequest, model.CodeMultipleCredentials)
			})
			t.Run("nothing at all", func(t *testing.T) {
				refused(t, r.upload(t, http.Header{}, newWheel(t, "acme-widget", "1.0").form()), http.StatusUnauthorized, model.CodeNoCredential)
			})
			r.holds(t)
			if w := newWheel(t, "acme-widget", "1.0"); r.upload(t, bearer(r.identity(nil)), w.form()).Status == http.StatusOK {
				r.holds(t, w)
			} else {
				t.Error("after all these an honest publish fails")
			}
		})
	}
}

// carriers are headers in which a credential of the registry's own could travel.
func carriers(user, secret string) map[string]http.Header {
	pair := base64.StdEncoding.EncodeToString([]byte(user + ":" + secret))
	basic := "Basic " + pair
	return map[string]http.Header{
		"Basic":                 {"Authorization": {basic}},
		"Basic, token as user":  {"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(secret+":"))}},
		"Basic, lower case":     {"Authorization": {"basic " + pair}},
		"Bearer":                {"Authorization": {"Bearer " + secret}},
		"raw":                   {"Authorization": {secret}},
		"X-Devpi-Auth":          {"X-Devpi-Auth": {pair}},
		"Proxy-Authorization":   {"Proxy-Authorization": {basic}},
		"cookie":                {"Cookie": {"auth=" + pair + "; devpi-auth=" + pair}},
		"X-Api-Key":             {"X-Api-Key": {secret}},
		"a trusted user":        {"X-Remote-User": {user}, "Remote-User": {user}},
		"an upgrade":            {"Authorization": {basic}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"}},
		"an upgrade to h2c":     {"Authorization": {basic}, "Connection": {"Upgrade, HTTP2-Settings"}, "Upgrade": {"h2c"}, "Http2-Settings": {"AAMAAABkAAQAoAAAAAIAAAAA"}},
		"another method":        {"Authorization": {basic}, "X-Http-Method-Override": {"GET"}},
		"another URL":           {"Authorization": {basic}, "X-Original-Url": {"/+api"}, "X-Outside-Url": {"https://elsewhere.example.com"}},
		"as an identity beside": {"X-Trustpub-Identity": {secret}},
	}
}

// TestInvariantOneCredential looks at what the registry gets: exactly one credential, ours, whatever the client sent beside
// its token.
func TestInvariantOneCredential(t *testing.T) {
	t.Parallel()
	reg := newRegistry(t, "devpi")
	p := newTap(t, reg.Addr)
	r := startRig(t, reg, withUpstream(p.Addr()))
	forged := base64.StdEncoding.EncodeToString([]byte("root:" + r.reg.Password))
	for n, tc := range []struct {
		name   string
		header http.Header
		code   model.Code // empty: it passes
	}{
		{name: "alone"},
		{name: "named by Connection", header: http.Header{"Connection": {"Authorization, X-Devpi-Auth"}}, code: model.CodeUnsupportedFraming},
		{name: "with a token in a cookie", header: http.Header{"Cookie": {"session=" + r.identity(nil)}}, code: model.CodeTokenMisplaced},
		{name: "with a token as user agent", header: http.Header{"User-Agent": {r.identity(nil)}}, code: model.CodeTokenMisplaced},
		{name: "with names that servers fold", header: http.Header{"X_devpi_auth": {forged}, "X_remote_user": {"root"}, "Authorization_": {forged}}},
		{name: "with a cookie", header: http.Header{"Cookie": {"devpi-auth=" + forged}}},
		{name: "with proxy and user headers", header: http.Header{"Proxy-Authorization": {"Basic " + forged}, "X-Remote-User": {"root"}, "X-Outside-Url": {"https://elsewhere.example.com"}}},
		{name: "with devpi's own header", header: http.Header{"X-Devpi-Auth": {forged}}, code: model.CodeMultipleCredentials},
		{name: "twice", header: http.Header{"Authorization": {"Bearer " + r.identity(nil)}}, code: model.CodeMultipleCredentials},
		{name: "with another registry's header", header: http.Header{"X-Api-Key": {"abc"}}, code: model.CodeMultipleCredentials},
	} {
		t.Run(tc.name, func(t *testing.T) {
			token := r.identity(nil)
			header := bearer(token)
			for k, v := range tc.header {
				header[k] = append(header[k], v...)
			}
			before := uploads(t, p)
			a := r.upload(t, header, newWheel(t, "acme-widget", "1."+itoa(n)).form())
			after := uploads(t, p)[len(before):]
			if tc.code != "" {
				refused(t, a, tc.code.Info().Status, tc.code)
				if len(after) != 0 {
					t.Errorf("the registry got %d uploads, expected none", len(after))
				}
				return
			}
			ok(t, a)
			if len(after) != 1 {
				t.Fatalf("the registry got %d uploads, expected 1", len(after))
			}
			onlyOurs(t, after[0], token)
		})
	}
}

// onlyOurs fails the test unless a request carries one devpi token and nothing else that a registry could believe.
func onlyOurs(t *testing.T, got tap.Request, identity string) {
	t.Helper()
	var names []string
	for name, values := range got.Header {
		switch name {
		case "Authorization":
			if len(values) != 1 || !strings.Contains(values[0], " ") || strings.Contains(values[0], identity) {
				t.Errorf("Authorization: got %d lines, expected one with the gateway's own credential", len(values))
			}
		case "Accept", "Accept-Encoding", "Accept-Language", "Content-Type", "User-Agent", "Via",
			"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto":
		default:
			names = append(names, name)
		}
	}
	if diff := cmp.Diff([]string(nil), names); diff != "" {
		t.Errorf("the registry got headers that no upload needs (-want +got):\n%s", diff)
	}
	if got.URL.RawQuery != "" {
		t.Errorf("the registry got the query %q, expected none", got.URL.RawQuery)
	}
}

// uploads are the POST requests that reached the registry.
func uploads(t *testing.T, p *tap.Tap) []tap.Request {
	t.Helper()
	all, err := p.Requests()
	if err != nil {
		t.Fatal(err)
	}
	var posts []tap.Request
	for _, r := range all {
		if r.Method == http.MethodPost {
			posts = append(posts, r)
		}
	}
	return posts
}

// TestInvariantDenyByDefault asks devpi and pypiserver, through the gateway, for everything else that changes them.
func TestInvariantDenyByDefault(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			reg := newRegistry(t, kind)
			p := newTap(t, reg.Addr)
			r := startRig(t, reg, withUpstream(p.Addr()))
			w := newWheel(t, "acme-widget", "1.0")
			ok(t, r.upload(t, bearer(r.identity(nil)), w.form()))
			base := strings.TrimSuffix(r.site.Registry.Path, "/")
			jsonBody := http.Header{"Content-Type": {"application/json"}}
			form := http.Header{"Content-Type": {w.form().ContentType()}}
			for _, tc := range []struct {
				name, method, path string
				header             http.Header
				body               []byte
			}{
				{"submit metadata", "POST", base + "/", form, w.form().With(":action", "submit").Bytes()},
				{"upload documentation", "POST", base + "/", form, w.form().With(":action", "doc_upload").Bytes()},
				{"remove a package", "POST", base + "/", form, w.form().With(":action", "remove_pkg").Bytes()},
				{"no action", "POST", base + "/", form, w.form()[1:].Bytes()},
				{"push to another index", "POST", base + "/", jsonBody, []byte(`{"name":"acme-widget","version":"1.0","targetindex":"publisher/other"}`)},
				{"delete a release", "DELETE", base + "/acme-widget/1.0?force=1", nil, nil},
				{"delete a project", "DELETE", base + "/acme-widget", nil, nil},
				{"delete the index", "DELETE", base + "/", nil, nil},
				{"change the index", "PATCH", base + "/", jsonBody, []byte(`["volatile=True"]`)},
				{"create an index", "PUT", "/publisher/another", jsonBody, []byte(`{"type":"stage"}`)},
				{"create a token", "POST", "/publisher/+token-create", jsonBody, []byte(`{"expires":"never"}`)},
				{"log in", "POST", "/+login", jsonBody, []byte(`{"user":"publisher","password":"x"}`)},
				{"tox results", "POST", base + "/+f/abc/def/acme_widget-1.0-py3-none-any.whl", jsonBody, []byte(`{}`)},
				{"an unknown method", "MKCOL", base + "/acme-widget", nil, nil},
				{"a doubled slash", "POST", base + "//", form, w.form().Bytes()},
				{"a dot segment", "POST", base + "/x/../", form, w.form().Bytes()},
				{"an encoded letter", "POST", strings.Replace(base, "publisher", "%70ublisher", 1) + "/%61", form, w.form().Bytes()},
				{"another case", "POST", strings.ToUpper(base) + "/", form, w.form().Bytes()},
			} {
				if kind == "pypiserver" && tc.name == "another case" {
					continue // its path is the root
				}
				for who, header := range map[string]http.Header{"own": bearer(r.identity(nil)), "foreign": r.password()} {
					t.Run(tc.name+"/"+who, func(t *testing.T) {
						for k, v := range tc.header {
							header[k] = v
						}
						before := unsafeRequests(t, p)
						a := r.send(t, tc.method, tc.path, header, tc.body)
						if a.Status < 400 || a.code() == "" {
							t.Errorf("got %d, expected a denial with a code\n%s", a.Status, a.Body)
						}
						if after := unsafeRequests(t, p); len(after) != len(before) {
							t.Errorf("the registry got it: %s %s", after[len(after)-1].Method, after[len(after)-1].URL)
						}
					})
				}
			}
			r.holds(t, w)
		})
	}
}

// unsafeRequests are the whole requests with a method that can change something.
func unsafeRequests(t *testing.T, p *tap.Tap) []tap.Request {
	t.Helper()
	all, err := p.Requests()
	if err != nil {
		t.Fatal(err)
	}
	var found []tap.Request
	for _, r := range all {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Whole {
			found = append(found, r)
		}
	}
	return found
}

// TestInvariantStableIdentity tries to pass for the policy's publisher by name alone, and from another issuer.
func TestInvariantStableIdentity(t *testing.T) {
	t.Parallel()
	other, err := issuer.Start(issuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	r := newRig(t, "devpi",
		withIssuer(issuerLine(shared.issuer.URL())+" {\n\tname dev\n}", issuerLine(other.URL())+" {\n\tname other\n}"),
		withPolicy("widget.yaml", widgetPolicyOf("dev")))
	for _, tc := range []struct {
		name, token string
	}{
		{"the name was taken over by another owner", r.identity(map[string]any{"repository_owner_id": "998", "repository_id": "999"})},
		{"the id, under another name", r.identity(map[string]any{"repository": "acme/renamed"})},
		{"the name with another case", r.identity(map[string]any{"repository": "Acme/widget"})},
		{"a longer name", r.identity(map[string]any{"repository": "acme/widget-evil"})},
		{"no owner id", r.identity(map[string]any{"repository_owner_id": nil})},
		{"a number for an id", r.identity(map[string]any{"repository_owner_id": 222})},
		{"another workflow", r.identity(map[string]any{"workflow_ref": "acme/widget/.github/workflows/test.yml@refs/tags/v1"})},
		{"a reusable workflow of another repository", r.identity(map[string]any{"job_workflow_ref": "mallory/ci/.github/workflows/release.yml@refs/tags/v1"})},
		{"no environment", r.identity(map[string]any{"environment": nil})},
		{"another trigger", r.identity(map[string]any{"event_name": "pull_request_target"})},
		{"the same claims from another issuer", other.Token(r.site.Host(), nil)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := r.upload(t, bearer(tc.token), newWheel(t, "acme-widget", "1.0").form())
			if a.Status != http.StatusForbidden && a.Status != http.StatusUnauthorized || a.code() == "" {
				t.Errorf("got %d, expected a denial with a code\n%s", a.Status, a.Body)
			}
			if _, a := r.exchange(t, tc.token); a.Status/100 != 4 {
				t.Errorf("exchange: got %d, expected a refusal\n%s", a.Status, a.Body)
			}
			r.holds(t)
		})
	}
	w := newWheel(t, "acme-widget", "1.0")
	ok(t, r.upload(t, bearer(r.identity(nil)), w.form()))
	r.holds(t, w)
}

// TestInvariantSecretsStayInside lets secrets of every kind pass and then looks for them everywhere they must not be: logs at
// their most talkative, the audit, metrics, status, configuration, storage, answers, and the registry's side.
func TestInvariantSecretsStayInside(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			reg := newRegistry(t, kind)
			p := newTap(t, reg.Addr)
			r := startRig(t, reg, withUpstream(p.Addr()))
			var seen strings.Builder
			keep := func(a answer) { seen.WriteString(a.Reason + "\n" + a.Body + "\n"); _ = a.Header.Write(&seen) }
			direct, refusedToken, exchanged := r.identity(nil), r.identity(otherRepository), r.identity(nil)
			keep(r.upload(t, bearer(direct), newWheel(t, "acme-widget", "1.0").form()))
			keep(r.upload(t, bearer(direct), newWheel(t, "acme-widget", "1.1").form()))
			keep(r.upload(t, bearer(refusedToken), newWheel(t, "acme-widget", "1.2").form()))
			keep(r.upload(t, r.password(), newWheel(t, "acme-widget", "1.3").form()))
			publish, _ := r.exchange(t, exchanged)
			_, again := r.exchange(t, exchanged)
			keep(again)
			keep(r.upload(t, bearer(publish), newWheel(t, "acme-widget", "1.4").form()))
			keep(r.upload(t, bearer(publish), newWheel(t, "other-project", "1.4").form()))
			keep(r.send(t, http.MethodGet, r.site.Registry.Path+"simple/acme-widget/", bearer(publish), nil))
			r.burn(t, publish)
			keep(r.upload(t, bearer(publish), newWheel(t, "acme-widget", "1.5").form()))
			if publish == "" {
				t.Fatal("the exchange failed")
			}
			ours := []string{direct, refusedToken, exchanged, publish}
			for where, text := range everywhere(t, r, seen.String()) {
				notIn(t, where, text, append(ours, issued(t, p)...), r.reg)
			}
			notIn(t, "what the registry got", string(p.Raw()), ours, &registry.Registry{})
		})
	}
}
