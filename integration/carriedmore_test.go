package integration

import (
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/internal/model"
)

// moreCarriedClients are those that differ from one of carriedClients in how they are given the token.
var moreCarriedClients = []struct {
	carried
	before []string
}{
	{carried: carried{
		test: "uv", name: "uv", pkg: "acme-widget", rig: func(t *testing.T, o ...option) *rig { return newRig(t, "pypiserver", o...) },
		publish: func(t *testing.T, _ *rig, h client.Home, name, version string) (client.Result, error) {
			return h.UVWithToken(t.Context(), newWheel(t, name, version).path)
		},
	}},
	{carried: carried{
		test: "pdm", name: "pdm", pkg: "acme-widget", nameless: true, rig: func(t *testing.T, o ...option) *rig { return newRig(t, "pypiserver", o...) },
		publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
			return h.PDM(t.Context(), r.site.Public(), nil, newWheel(t, name, version).path)
		},
	}},
	{carried: carried{
		test: "flit", name: "flit", pkg: "acme-widget", rig: func(t *testing.T, o ...option) *rig { return newRig(t, "pypiserver", o...) },
		publish: func(t *testing.T, _ *rig, h client.Home, name, version string) (client.Result, error) {
			return h.Flit(t.Context(), name, version)
		},
	}},
	{carried: carried{
		test: "pnpm", name: "npm", pkg: "@acme/widget", nameless: true, rig: npmRig,
		publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
			return h.PNPM12(t.Context(), r.site.Public(), "", name, version)
		},
	}},
	{carried: carried{
		test: "yarn", name: "yarn", pkg: "@acme/widget", nameless: true, rig: npmRig,
		publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
			return h.Yarn(t.Context(), r.site.Public(), "", name, version)
		},
	}},
	{carried: carried{
		test: "crane", name: "docker", pkg: "acme/widget", rig: ociRig,
		publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
			return h.Crane(t.Context(), r.site.Host(), "", name+":"+version)
		},
	}},
	{carried: carried{
		test: "oras", name: "docker", pkg: "acme/widget", rig: ociRig,
		publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
			return h.Oras(t.Context(), r.site.Host(), "", name+":"+version)
		},
	}},
	{carried: carried{
		test: "podman", name: "docker", pkg: "acme/widget", rig: ociRig,
		publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
			return h.Podman(t.Context(), r.site.Host(), name+":"+version)
		},
		state: func(t *testing.T, r *rig) string { return r.links(t) },
	}},
	{
		before: []string{"sh", "-c", `exec "$@" -ApiKey "$NUGET_API_KEY"`, "sh"},
		carried: carried{
			test: "nuget", name: "nuget", pkg: "acme.widget",
			rig: func(t *testing.T, o ...option) *rig {
				return giteaRig(t, "nuget", strings.Replace(widgetPolicy, "acme-widget", "acme.widget", 1), o...)
			},
			publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
				return h.NuGetPushKeyless(t.Context(), r.site.Public(), name, version)
			},
		},
	},
}

// TestExecMore publishes with further real clients by trustpub exec, and lets a job of another repository try.
func TestExecMore(t *testing.T) {
	t.Parallel()
	for _, c := range moreCarriedClients {
		t.Run(c.test, func(t *testing.T) {
			e := &errand{carried: c.carried, t: t, r: c.rig(t)}
			change := func(x *client.Carrier) { x.For, x.Before = c.name, c.before }
			before := e.holds(t)
			if got := e.run(t, nil, change, e.pkg, "1.0.0"); got.Code != 0 || e.holds(t) == before {
				t.Fatalf("exit status %d, or the registry has got nothing\n%s", got.Code, got.Output)
			}
			e.revoked(t, "9")
			before = e.holds(t)
			if got := e.run(t, otherRepository, change, e.pkg, "2.0.0"); got.Code != 125 || !strings.Contains(got.Output, string(model.CodeNoMatchingPolicy)) || e.holds(t) != before {
				t.Errorf("exit status %d, or the registry has changed\n%s", got.Code, got.Output)
			}
		})
	}
}
