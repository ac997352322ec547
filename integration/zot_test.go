package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/registry"
	contract "github.com/trustpub/trustpub/integration/registry/zot"
	"github.com/trustpub/trustpub/internal/model"
)

// The variables with which TestZotKeys runs against a zot of yours instead of the server of the contract: its base URL, an account that may
// read, create and update below a folder, and that folder.
const (
	zotURL      = "TRUSTPUB_ZOT_URL"
	zotUser     = "TRUSTPUB_ZOT_USER"
	zotPassword = "TRUSTPUB_ZOT_PASSWORD"
	zotFolder   = "TRUSTPUB_ZOT_FOLDER"
)

// zot is the one under test.
type zot struct {
	url, addr, user, password, folder string
	// contract is nil for a live one.
	contract *contract.Server
}

// newZot starts the contract's, or takes a live one where there are no workloads.
func newZot(t *testing.T, w *contract.Workloads) *zot {
	t.Helper()
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	if live := os.Getenv(zotURL); live != "" && w == nil {
		return &zot{url: strings.TrimRight(live, "/"), addr: bridge(t, live), user: os.Getenv(zotUser), password: os.Getenv(zotPassword), folder: os.Getenv(zotFolder)}
	}
	server := contract.Start(w)
	t.Cleanup(server.Close)
	return &zot{url: server.URL, addr: strings.TrimPrefix(server.URL, "http://"), user: contract.User, password: server.Password, folder: "acme", contract: server}
}

// rig is a gateway before zot, with a policy for one image; the lines are those of the credential.
func (z *zot) rig(t *testing.T, image string, lines []string, options ...option) *rig {
	t.Helper()
	reg := &registry.Registry{
		Kind: "zot", Addr: z.addr, Path: "/v2/", User: z.user, Password: z.password, Secrets: []string{z.password},
		Credential: "credential zot {\n\turl " + z.url + "\n\t" + strings.Join(lines, "\n\t") + "\n}",
		Files: func(ctx context.Context) (map[string]string, error) {
			return tagsOf(ctx, z.url, z.user, z.password, image)
		},
		Log: func() string { return "" },
	}
	policy := strings.Replace(widgetPolicy, "[acme-widget]", `["`+image+`"]`, 1)
	return startRig(t, reg, append([]option{withEcosystem("oci"), withPolicy("widget.yaml", policy)}, options...)...)
}

// tagsOf are those of an image, as a registry lists them to an account.
func tagsOf(ctx context.Context, base, user, password, image string) (map[string]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v2/"+image+"/tags/list", nil)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(user, password)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var list struct {
		Tags []string `json:"tags"`
	}
	switch res.StatusCode {
	case http.StatusNotFound:
		return map[string]string{}, nil
	case http.StatusOK:
		err = json.NewDecoder(res.Body).Decode(&list)
	default:
		err = fmt.Errorf("tags of %s: %s", image, res.Status)
	}
	tags := map[string]string{}
	for _, tag := range list.Tags {
		tags[tag] = "here"
	}
	return tags, err
}

// pushes pushes an image with crane.
func (r *rig) pushes(t *testing.T, password, image string) client.Result {
	t.Helper()
	got, err := r.home(nil).Crane(t.Context(), r.site.Host(), password, image)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestZotKeys pushes with crane: each request has a key of its own, which is gone afterwards.
func TestZotKeys(t *testing.T) {
	t.Parallel()
	z := newZot(t, nil)
	image := z.folder + "/widget-" + random(4)
	r := z.rig(t, image, []string{"user " + z.user, "password " + secretFile(t, z.password)})
	if got := r.pushes(t, r.identity(nil), image+":1.0"); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	if r.files()["1.0"] == "" {
		t.Errorf("zot holds %v, expected the tag 1.0 of %s", r.files(), image)
	}
	r.unchanged(t, func() {
		if got := r.pushes(t, r.identity(nil), z.folder+"/gadget:1.0"); got.Code == 0 {
			t.Errorf("another image: exit status 0\n%s", got.Output)
		}
		if got := r.pushes(t, z.password, image+":2.0"); got.Code == 0 {
			t.Errorf("a stolen password: exit status 0\n%s", got.Output)
		}
		outside := model.Basic(z.user, z.password).Header
		outside.Set("Content-Type", "application/json")
		if got := r.send(t, http.MethodPost, "/zot/auth/apikey", outside, []byte(`{}`)); got.Status/100 != 4 {
			t.Errorf("a key is made through the gateway: %d %s", got.Status, got.Body)
		}
	})
	if z.contract == nil {
		return
	}
	r.eventually(t, "keys are left", func() bool { return len(z.contract.Labels()) == 0 })
	if keys, _ := z.contract.Counts(); keys < 3 {
		t.Errorf("got %d keys for a push, expected one for each request", keys)
	}
}

// TestZotExchange: zot judges the identity token itself; it is the contract's server always, since a live one could not reach this issuer.
func TestZotExchange(t *testing.T) {
	t.Parallel()
	workloads := &contract.Workloads{Issuer: shared.issuer.URL(), Keys: shared.issuer.JWKS, Claims: map[string]any{"repository": "acme/widget"}, Username: "repository"}
	z := newZot(t, workloads)
	const image = "acme/widget"
	both := strings.Replace(widgetPolicy, "        workflow: release.yml\n", "", 1)
	both = strings.Replace(both, "repository: acme/widget", "repository: [acme/widget, acme/gadget]", 1)
	r := z.rig(t, image, []string{"exchange"}, withPolicy("widget.yaml", strings.Replace(both, "[acme-widget]", `["acme/widget"]`, 1)))
	workloads.Audience = r.site.Host()
	if got := r.pushes(t, r.identity(nil), image+":1.0"); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	if _, exchanges := z.contract.Counts(); exchanges != 1 || r.files()["1.0"] == "" {
		t.Errorf("got %d exchanges for one identity token, and the tags %v, expected 1 and 1.0", exchanges, r.files())
	}
	r.unchanged(t, func() {
		// Our policies let this one through, and zot's mapping does not.
		if got := r.pushes(t, r.identity(otherRepository), image+":2.0"); got.Code == 0 {
			t.Errorf("a run that zot does not take: exit status 0\n%s", got.Output)
		}
	})
	if log := r.gw.Logs(); !strings.Contains(log, "does http.auth.bearer.oidc have this issuer") {
		t.Error("the log does not say what to look at")
	}
}
