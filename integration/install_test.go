package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/gateway"
	"github.com/trustpub/trustpub/integration/process"
	"github.com/trustpub/trustpub/integration/registry"
	"github.com/trustpub/trustpub/integration/toolbox"
	"github.com/trustpub/trustpub/internal/model"
)

// readerPolicies let the default job publish a package, and a job of the other repository read it.
func readerPolicies(of map[string]string) string {
	text := "policies:\n"
	for registry, pkg := range of {
		text += fmt.Sprintf(`  - name: %[1]s-release
    registry: %[1]s
    packages: [%[2]q]
    publisher: {github: {repository: acme/widget, repository_owner_id: "222", workflow: release.yml, environment: release}}
  - name: %[1]s-readers
    registry: %[1]s
    packages: [%[2]q]
    actions: [read]
    publisher: {github: {repository: acme/gadget, repository_owner_id: "222", workflow: release.yml, environment: release}}
`, registry, pkg)
	}
	return text
}

// privateGitea is a gateway in front of private organisations of a Gitea, one for each ecosystem.
func privateGitea(t *testing.T, artifact string) (r *rig, url map[string]string) {
	t.Helper()
	if err := dependencies(); err != nil {
		t.Fatal(err)
	}
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	server, err := registry.StartGitea(t.Context(), t.TempDir(), fmt.Sprintf("https://localhost:%d/", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	owner := func(ecosystem string) *registry.Registry {
		reg, err := server.Owner(t.Context(), "o"+ecosystem, ecosystem)
		if err == nil {
			err = server.Hide(t.Context(), "o"+ecosystem)
		}
		if err != nil {
			t.Fatal(err)
		}
		return reg
	}
	python, node, crates, jars, packages := owner("pypi"), owner("npm"), owner("cargo"), owner("maven"), owner("nuget")
	python.PublicPort = port
	policy := readerPolicies(map[string]string{registryName: "acme-widget", "node": "@acme/widget", "crates": "acme-widget", "jars": "com.example:" + artifact, "packages": "acme.widget"})
	r = startRig(t, python, withPolicy("widget.yaml", policy), func(_ *rig, c *gateway.Config, _ map[string]string) {
		c.Sites[0].Beside = []gateway.Site{
			{Registry: node, Name: "node", Ecosystem: "npm"},
			{Registry: crates, Name: "crates", Ecosystem: "cargo"},
			{Registry: jars, Name: "jars", Ecosystem: "maven"},
			{Registry: packages, Name: "packages", Ecosystem: "nuget"},
		}
	})
	origin := strings.TrimSuffix(r.site.Public(), python.Path)
	return r, map[string]string{
		"pip": r.site.Public(), "npm": origin + node.Path, "cargo": origin + crates.Path, "mvn": origin + jars.Path, "sbt": origin + jars.Path, "gradle": origin + jars.Path, "dotnet": origin + packages.Path,
	}
}

// TestExecInstalls: whoever may only read installs from private registries without a password, by trustpub exec; others get nothing.
func TestExecInstalls(t *testing.T) {
	t.Parallel()
	artifact := "widget-" + random(6)
	r, url := privateGitea(t, artifact)
	wheel := newWheel(t, "acme-widget", "1.0.0")
	home := func(name, as string, claims map[string]any) client.Home {
		program, err := command()
		if err != nil {
			t.Fatal(err)
		}
		job := r.job(t, try{claims: claims})
		job.Nameless = true
		h := r.home(job)
		h.Carrier = &client.Carrier{Program: program, Registry: url[name], Name: as, Identity: "github"}
		return h
	}
	type row struct {
		name, as, installed string
		// mute is true for a client that finds its version there and sends nothing, or shows nothing of an answer but its number.
		mute             bool
		publish, install func(client.Home) (client.Result, error)
	}
	rows := []row{
		{
			name: "pip", installed: "target/acme_widget-1.0.0.dist-info/METADATA",
			publish: func(h client.Home) (client.Result, error) {
				return h.Twine(t.Context(), url["pip"], client.Login{}, wheel.path)
			},
			install: func(h client.Home) (client.Result, error) {
				return h.PipInstall(t.Context(), url["pip"]+"simple/", "acme-widget")
			},
		},
		{
			name: "npm", mute: true, installed: "project/node_modules/@acme/widget/package.json",
			publish: func(h client.Home) (client.Result, error) {
				return h.NPM(t.Context(), url["npm"], "", "@acme/widget", "1.0.0")
			},
			install: func(h client.Home) (client.Result, error) {
				return h.NPMInstall(t.Context(), url["npm"], "@acme/widget")
			},
		},
		{
			name: "cargo", as: "gateway", mute: true, installed: "project/Cargo.lock",
			publish: func(h client.Home) (client.Result, error) {
				return h.CargoPublish(t.Context(), "sparse+"+url["cargo"], "", "acme-widget", "1.0.0")
			},
			install: func(h client.Home) (client.Result, error) {
				return h.CargoBuild(t.Context(), "sparse+"+url["cargo"], "", "acme-widget", "1.0.0")
			},
		},
		{
			name: "mvn", as: "releases", installed: "project/target/classes/content.txt",
			publish: func(h client.Home) (client.Result, error) {
				return h.Maven(t.Context(), url["mvn"], "com.example", artifact, "1.0.0", "", "content")
			},
			install: func(h client.Home) (client.Result, error) {
				return h.MavenCompile(t.Context(), url["mvn"], "com.example", artifact, "1.0.0")
			},
		},
		{
			name: "sbt", mute: true, installed: "project/target/" + artifact + "-2.0.0.jar",
			publish: func(h client.Home) (client.Result, error) {
				return h.SBTPublish(t.Context(), url["mvn"], "com.example", artifact, "2.0.0")
			},
			install: func(h client.Home) (client.Result, error) {
				return h.SBTFetch(t.Context(), url["mvn"], "com.example", artifact, "2.0.0")
			},
		},
		{
			name: "gradle", as: "releases", installed: "project/fetched/" + artifact + "-3.0.0.jar",
			publish: func(h client.Home) (client.Result, error) {
				return h.GradleUpload(t.Context(), url["mvn"], "com.example", artifact, "3.0.0")
			},
			install: func(h client.Home) (client.Result, error) {
				return h.GradleFetch(t.Context(), url["mvn"], "com.example", artifact, "3.0.0")
			},
		},
	}
	if toolbox.HasDotnet { // nobody packages it for other processors
		rows = append(rows, row{
			name: "dotnet", as: "Acme", installed: "packages/acme.widget/1.0.0/content/content.txt",
			publish: func(h client.Home) (client.Result, error) {
				return h.DotnetPush(t.Context(), "Acme", url["dotnet"]+"index.json", "acme.widget", "1.0.0")
			},
			install: func(h client.Home) (client.Result, error) {
				return h.DotnetRestore(t.Context(), "Acme", url["dotnet"]+"index.json", "acme.widget", "1.0.0")
			},
		})
	}
	for _, tc := range rows {
		t.Run(tc.name, func(t *testing.T) {
			run := func(what func(client.Home) (client.Result, error), h client.Home) client.Result {
				got, err := what(h)
				if err != nil {
					t.Fatal(err)
				}
				nothingLeft(t, h.Dir)
				return got
			}
			if got := run(tc.publish, home(tc.name, tc.as, nil)); got.Code != 0 {
				t.Fatalf("the publish: exit status %d\n%s", got.Code, got.Output)
			}
			reader := home(tc.name, tc.as, otherRepository)
			got := run(tc.install, reader)
			if _, err := os.Stat(filepath.Join(reader.Dir, tc.installed)); got.Code != 0 || err != nil {
				t.Errorf("exit status %d, %v\n%s", got.Code, err, got.Output)
			}
			if got := run(tc.publish, home(tc.name, tc.as, otherRepository)); got.Code == 0 || got.Code == 125 || !tc.mute && !strings.Contains(got.Output, string(model.CodeNoMatchingPolicy)) {
				t.Errorf("a reader publishes: exit status %d\n%s", got.Code, got.Output)
			}
			if got := run(tc.install, home(tc.name, tc.as, foreignRepository)); got.Code != 125 || !strings.Contains(got.Output, string(model.CodeNoMatchingPolicy)) {
				t.Errorf("a stranger: exit status %d\n%s", got.Code, got.Output)
			}
			bare := home(tc.name, tc.as, nil)
			bare.Carrier = nil
			if got := run(tc.install, bare); got.Code == 0 {
				t.Errorf("without trustpub: exit status 0\n%s", got.Output)
			}
		})
	}
	// Renovate and its like have a token in a rule for a host, and ask with it themselves: docs/ci/bots.md.
	t.Run("a bot by its variable", func(t *testing.T) {
		for _, credential := range []string{`--header "Authorization: Bearer $TRUSTPUB_TOKEN"`, `--user "$TRUSTPUB_USERNAME:$TRUSTPUB_TOKEN"`} {
			for at, want := range map[string]string{url["pip"] + "simple/acme-widget/": "acme_widget-1.0.0", url["npm"] + "@acme%2fwidget": `"1.0.0"`} {
				for _, claims := range []map[string]any{otherRepository, foreignRepository} {
					h := home(map[bool]string{true: "npm", false: "pip"}[strings.Contains(at, "%2f")], "", claims)
					h.Carrier.For, h.Carrier.Before = "env", []string{"sh", "-c", `exec "$@" ` + credential, "sh"}
					got, err := h.CurlRaw(t.Context(), at, "--fail-with-body")
					if err != nil {
						t.Fatal(err)
					}
					nothingLeft(t, h.Dir)
					if reads := got.Code == 0 && strings.Contains(got.Output, want); reads != (claims["repository"] == "acme/gadget") {
						t.Errorf("%s: %s: exit status %d\n%s", claims["repository"], at, got.Code, got.Output)
					}
				}
			}
		}
	})
	t.Run("pip by its keyring", func(t *testing.T) {
		bin := helpers(t)
		index := strings.Replace(url["pip"], "https://", "https://__token__@", 1) + "simple/"
		for _, claims := range []map[string]any{otherRepository, foreignRepository} {
			h := home("pip", "", claims)
			h.Carrier, h.Bin = nil, bin
			h.Extra = []string{"TRUSTPUB_CA_FILE=" + h.CA, "TRUSTPUB_IDENTITY_SOURCE=github", "PIP_KEYRING_PROVIDER=subprocess"}
			got, err := h.PipInstall(t.Context(), index, "acme-widget")
			if err != nil {
				t.Fatal(err)
			}
			nothingLeft(t, h.Dir)
			if (got.Code == 0) != (claims["repository"] == "acme/gadget") {
				t.Errorf("%s: exit status %d\n%s", claims["repository"], got.Code, got.Output)
			}
		}
	})
}

// helpers is a folder with trustpub under the names by which clients call it.
func helpers(t *testing.T) string {
	t.Helper()
	program, err := command()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for _, name := range []string{"docker-credential-trustpub", "cargo-credential-trustpub", "keyring"} {
		if err := os.Symlink(program, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// TestHelpers: cargo and container clients ask trustpub for their credential, by the name that each calls.
func TestHelpers(t *testing.T) {
	t.Parallel()
	bin := helpers(t)
	home := func(r *rig, claims map[string]any, extra ...string) client.Home {
		h := r.home(r.job(t, try{claims: claims}))
		h.Bin, h.Extra = bin, append([]string{"TRUSTPUB_CA_FILE=" + h.CA}, extra...)
		return h
	}
	// both fails the test unless the default job may do it, and another repository's may not.
	both := func(t *testing.T, r *rig, extra []string, what func(client.Home) (client.Result, error)) {
		t.Helper()
		for name, claims := range map[string]map[string]any{"the job": nil, "another repository": otherRepository} {
			h := home(r, claims, extra...)
			got, err := what(h)
			if err != nil {
				t.Fatal(err)
			}
			nothingLeft(t, h.Dir)
			if (got.Code == 0) != (claims == nil) || claims != nil && !strings.Contains(got.Output, string(model.CodeNoMatchingPolicy)) {
				t.Errorf("%s: exit status %d\n%s", name, got.Code, got.Output)
			}
		}
	}
	t.Run("cargo", func(t *testing.T) {
		r := cargoRig(t, "ktra")
		extra := []string{"CARGO_REGISTRIES_GATEWAY_CREDENTIAL_PROVIDER=" + filepath.Join(bin, "cargo-credential-trustpub"), "TRUSTPUB_REGISTRY=" + r.site.Public()}
		both(t, r, extra, func(h client.Home) (client.Result, error) {
			return h.CargoPublish(t.Context(), "file://"+r.reg.Index, "", "acme-widget", "1.0.0")
		})
	})
	t.Run("skopeo", func(t *testing.T) {
		r := ociRig(t)
		config := filepath.Join(t.TempDir(), "auth.json")
		if err := os.WriteFile(config, fmt.Appendf(nil, `{"credHelpers":{%q:"trustpub"}}`, r.site.Host()), 0o600); err != nil {
			t.Fatal(err)
		}
		both(t, r, []string{"REGISTRY_AUTH_FILE=" + config}, func(h client.Home) (client.Result, error) {
			return h.Skopeo(t.Context(), r.site.Host(), "", "acme/widget:1.0.0")
		})
	})
}

// TestExecPulls: an image of a registry that asks everybody for a token.
func TestExecPulls(t *testing.T) {
	t.Parallel()
	r := ociRig(t, withPolicy("widget.yaml", readerPolicies(map[string]string{registryName: "acme/widget"})))
	program, err := command()
	if err != nil {
		t.Fatal(err)
	}
	run := func(claims map[string]any, what func(client.Home) (client.Result, error)) client.Result {
		h := r.home(r.job(t, try{claims: claims}))
		h.Carrier = &client.Carrier{Program: program, Registry: r.site.Public()}
		got, err := what(h)
		if err != nil {
			t.Fatal(err)
		}
		nothingLeft(t, h.Dir)
		return got
	}
	push := func(h client.Home) (client.Result, error) {
		return h.Skopeo(t.Context(), r.site.Host(), "", "acme/widget:1.0.0")
	}
	pull := func(h client.Home) (client.Result, error) {
		return h.SkopeoPull(t.Context(), r.site.Host(), "acme/widget:1.0.0")
	}
	if got := run(nil, push); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	if got := run(otherRepository, pull); got.Code != 0 {
		t.Errorf("exit status %d\n%s", got.Code, got.Output)
	}
	if got := run(otherRepository, push); got.Code == 0 || got.Code == 125 {
		t.Errorf("a reader pushes: exit status %d\n%s", got.Code, got.Output)
	}
	if got := run(foreignRepository, pull); got.Code != 125 {
		t.Errorf("a stranger pulls: exit status %d\n%s", got.Code, got.Output)
	}
}

// TestExecShadow: the password still publishes, and the audit says of each upload what the policies would have said.
func TestExecShadow(t *testing.T) {
	t.Parallel()
	program, err := command()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		rig     func(*testing.T) *rig
		as      string
		publish func(r *rig, h client.Home, version string) (client.Result, error)
	}{
		"curl": {
			rig: func(t *testing.T) *rig {
				return genericRig(t, withMode("observe"))
			},
			publish: func(r *rig, h client.Home, version string) (client.Result, error) {
				return h.CurlRaw(t.Context(), r.site.Public()+"acme-widget/"+version+"/widget.tar.gz", "--fail-with-body", "--user", r.reg.User+":"+r.reg.Password, "--upload-file", newWheel(t, "acme-widget", version).path)
			},
		},
		"mvn": {
			as: "releases", rig: func(t *testing.T) *rig { return mavenRig(t, withMode("observe")) },
			publish: func(r *rig, h client.Home, version string) (client.Result, error) {
				return h.Maven(t.Context(), r.site.Public(), "com.example", "widget", version, r.reg.Password, "content")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := tc.rig(t)
			for version, want := range map[string]struct {
				claims   map[string]any
				decision string
			}{"1.0": {nil, "would_allow"}, "2.0": {otherRepository, "would_deny"}} {
				h := r.home(r.job(t, try{claims: want.claims}))
				h.Carrier = &client.Carrier{Program: program, Registry: r.site.Public(), Name: tc.as, Shadow: true}
				if name == "mvn" {
					h.Extra = []string{"MAVEN_USER=" + r.reg.User, "MAVEN_TOKEN=" + r.reg.Password}
				}
				got, err := tc.publish(r, h, version)
				if err != nil || got.Code != 0 {
					t.Fatalf("%v, exit status %d\n%s", err, got.Code, got.Output)
				}
				event := r.await(t, "decision about "+version, func(e model.Event) bool {
					return e.Kind == model.EventDecision && e.Target != nil && e.Target.Version == version && e.IdentitySHA256 != ""
				})
				if event.Decision != want.decision || event.Credential != "foreign" {
					t.Errorf("%s: the audit has %s of a credential that is %s, expected %s", version, event.Decision, event.Credential, want.decision)
				}
				if name == "mvn" {
					continue // the test's own project names the password's variable
				}
				nothingLeft(t, h.Dir)
			}
			if a := r.send(t, http.MethodGet, r.site.Registry.Path, nil, nil); a.Status >= http.StatusInternalServerError {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
}
