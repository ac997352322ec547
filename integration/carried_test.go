package integration

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

// command is the small program, built once.
var command = sync.OnceValues(func() (string, error) { return gateway.BuildCommand(context.Background()) })

// carried is a client that trustpub exec runs.
type carried struct {
	// test is the row's name, name that of --for; its package and the versions are given to publish.
	test, name string
	rig        func(*testing.T, ...option) *rig
	pkg        string
	// other is a package that no policy covers; empty: acme-gadget.
	other string
	// as is --name, where the client's own settings call the registry something.
	as string
	// renews is true where the client sees a renewed token.
	renews bool
	// nameless keeps a client that trusts publishers itself from doing so.
	nameless bool
	publish  func(*testing.T, *rig, client.Home, string, string) (client.Result, error)
	// state is what the registry holds; nil: all files.
	state func(*testing.T, *rig) string
}

// genericRig is a store of files.
func genericRig(t *testing.T, options ...option) *rig {
	return newRig(t, "webdav", append([]option{withEcosystem("generic"), withLines("layout /{package}/{version}/{file}")}, options...)...)
}

// shortLived makes publish tokens live as short as they can.
func shortLived(_ *rig, c *gateway.Config, _ map[string]string) {
	c.Global = []string{"token_lifetime 1m"}
}

// lateRun is the run of the job whose token expires while its client waits.
const lateRun = "77"

func allFiles(_ *testing.T, r *rig) string {
	files := r.files()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "%s %s\n", name, files[name])
	}
	return b.String()
}

var carriedClients = []carried{
	{
		test: "twine", name: "twine", pkg: "acme-widget", rig: func(t *testing.T, o ...option) *rig { return newRig(t, "devpi", o...) },
		publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
			return h.Twine(t.Context(), r.site.Public(), client.Login{}, newWheel(t, name, version).path)
		},
	},
	{
		test: "poetry", name: "poetry", pkg: "acme-widget", rig: func(t *testing.T, o ...option) *rig { return newRig(t, "pypiserver", o...) },
		publish: func(t *testing.T, _ *rig, h client.Home, name, version string) (client.Result, error) {
			return h.Poetry(t.Context(), registryName, name, version, newWheel(t, name, version).path)
		},
	},
	{
		test: "hatch", name: "hatch", pkg: "acme-widget", rig: func(t *testing.T, o ...option) *rig { return newRig(t, "pypiserver", o...) },
		publish: func(t *testing.T, _ *rig, h client.Home, name, version string) (client.Result, error) {
			return h.Hatch(t.Context(), name, version, newWheel(t, name, version).path)
		},
	},
	{
		test: "mvn", name: "mvn", pkg: "widget", other: "gadget", as: "releases", rig: mavenRig,
		publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
			return h.Maven(t.Context(), r.site.Public(), "com.example", name, version, "", random(8))
		},
	},
	{
		test: "skopeo", name: "docker", pkg: "acme/widget", other: "acme/other", renews: true, rig: ociRig,
		publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
			return h.Skopeo(t.Context(), r.site.Host(), "", name+":"+version)
		},
		state: func(t *testing.T, r *rig) string { return r.links(t) },
	},
	{
		test: "helm", name: "docker", pkg: "acme/widget", other: "acme/other", renews: true, rig: ociRig,
		publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
			folder, chart, _ := strings.Cut(name, "/")
			return h.Helm(t.Context(), r.site.Host(), "", folder, chart, version)
		},
		state: func(t *testing.T, r *rig) string { return r.links(t) },
	},
	{
		test: "cargo", name: "cargo", pkg: "acme-widget", as: "gateway", rig: func(t *testing.T, o ...option) *rig { return cargoRig(t, "ktra", o...) },
		publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
			return h.CargoPublish(t.Context(), "file://"+r.reg.Index, "", name, version)
		},
	},
	{
		test: "gem", name: "gem", pkg: "acme-widget", rig: func(t *testing.T, o ...option) *rig { return giteaRig(t, "rubygems", widgetPolicy, o...) },
		publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
			return h.GemPush(t.Context(), strings.TrimSuffix(r.site.Public(), "/"), "", name, version)
		},
	},
	{
		test: "hex", name: "hex", pkg: "acme_widget", other: "acme_gadget", rig: func(t *testing.T, o ...option) *rig {
			r, _ := hexRig(t, "acme_widget", staticHex, o...)
			return r
		},
		publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
			return h.HexCore(t.Context(), "", "", "", "publish", name, version)
		},
	},
	{
		test: "npm", name: "npm", pkg: "@acme/widget", other: "@acme/gadget", renews: true, nameless: true, rig: npmRig,
		publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
			return h.NPM(t.Context(), r.site.Public(), "", name, version)
		},
	},
	{
		test: "curl", name: "curl", pkg: "acme-widget", renews: true, rig: genericRig,
		publish: func(t *testing.T, r *rig, h client.Home, name, version string) (client.Result, error) {
			return h.CurlRaw(t.Context(), r.site.Public()+name+"/"+version+"/widget.tar.gz", "--fail-with-body", "--upload-file", newWheel(t, "acme-widget", version).path)
		},
	},
}

// errand is one run of a client by trustpub exec in a job.
type errand struct {
	carried
	t *testing.T
	r *rig
}

// run publishes, and then looks for what is left of the token.
func (e *errand) run(t *testing.T, claims map[string]any, change func(*client.Carrier), pkg, version string) client.Result {
	t.Helper()
	got, err := e.attempt(t, claims, change, pkg, version)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// attempt is run for another goroutine than the test's.
func (e *errand) attempt(t *testing.T, claims map[string]any, change func(*client.Carrier), pkg, version string) (client.Result, error) {
	program, err := command()
	if err != nil {
		return client.Result{}, err
	}
	job := e.r.job(t, try{claims: claims})
	job.Nameless = e.nameless
	h := e.r.home(job)
	h.Carrier = &client.Carrier{Program: program, Registry: e.r.site.Public(), Name: e.as}
	if e.nameless {
		h.Carrier.Identity = "github"
	}
	if change != nil {
		change(h.Carrier)
	}
	got, err := e.publish(t, e.r, h, pkg, version)
	if err == nil {
		nothingLeft(t, h.Dir)
	}
	return got, err
}

// nothingLeft fails the test where a home, in which the folder for temporary files is too, holds a token or a folder of trustpub's.
func nothingLeft(t *testing.T, home string) {
	t.Helper()
	seen := 0
	if err := os.WriteFile(filepath.Join(home, "searched"), []byte("so that there is one file"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(d.Name(), "trustpub-") {
			t.Errorf("%s is left", d.Name())
		}
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if at := anyToken.FindIndex(b); at != nil {
			t.Errorf("%s has a token: ...%s<TOKEN>", strings.TrimPrefix(path, home), b[max(0, at[0]-100):at[0]])
		}
		seen++
		return err
	})
	if err != nil || seen == 0 {
		t.Errorf("the home was not searched: %d files, %v", seen, err)
	}
}

// holds is what the registry holds.
func (e *errand) holds(t *testing.T) string {
	if e.state != nil {
		return e.state(t, e.r)
	}
	return allFiles(t, e.r)
}

// revoked waits until every token that a run has exchanged was revoked.
func (e *errand) revoked(t *testing.T, run string) {
	t.Helper()
	e.r.eventually(t, "every token is revoked", func() bool {
		events, err := e.r.gw.Audit()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]bool{}
		for _, ev := range events {
			switch {
			case ev.Run["run_id"] != run:
			case ev.Kind == model.EventExchange && ev.Decision == "allow" && ev.Operation == "exchange":
				out[ev.PublishToken] = true
			case ev.Kind == model.EventRevocation && ev.Decision == "allow":
				delete(out, ev.PublishToken)
			}
		}
		return len(out) == 0
	})
}

// TestExec runs real clients into real registries by trustpub exec: a publish, a job that gets no token, a package that the token is not
// for, a child that is killed, and a token that expires while the child runs. The late ones wait side by side.
func TestExec(t *testing.T) {
	t.Parallel()
	late := map[string]func(*testing.T){}
	for _, c := range carriedClients {
		e := &errand{carried: c, t: t, r: c.rig(t, shortLived)}
		if e.other == "" {
			e.other = "acme-gadget"
		}
		late[c.test] = e.late(t)
		t.Run(c.test, e.usual)
	}
	for _, c := range carriedClients {
		t.Run(c.test+"-expired", late[c.test])
	}
}

// usual is all but the late run.
func (e *errand) usual(t *testing.T) {
	before := e.holds(t)
	if got := e.run(t, nil, nil, e.pkg, "1.0.0"); got.Code != 0 {
		t.Fatalf("exit status %d\n%s", got.Code, got.Output)
	}
	if e.holds(t) == before {
		t.Error("the registry has got nothing")
	}
	e.revoked(t, "9")
	for name, tc := range map[string]struct {
		claims map[string]any
		change func(*client.Carrier)
		pkg    string
		wrong  func(client.Result) bool
	}{
		"refused": {claims: otherRepository, pkg: e.pkg, wrong: func(got client.Result) bool {
			return got.Code != 125 || !strings.Contains(got.Output, "trustpub exec: exchange: the gateway answered 403: ") ||
				!strings.Contains(got.Output, string(model.CodeNoMatchingPolicy))
		}},
		"another package": {pkg: e.other, wrong: func(got client.Result) bool { return got.Code == 0 || got.Code == 125 }},
		"killed": {
			change: func(x *client.Carrier) { x.For, x.Before = e.name, []string{"sh", "-c", "kill -9 $$"} },
			pkg:    e.pkg, wrong: func(got client.Result) bool { return got.Code != 128+9 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := e.holds(t)
			if got := e.run(t, tc.claims, tc.change, tc.pkg, "2.0.0"); tc.wrong(got) {
				t.Errorf("exit status %d\n%s", got.Code, got.Output)
			}
			if after := e.holds(t); after != before {
				t.Errorf("the registry changed from\n%s\nto\n%s", before, after)
			}
			e.revoked(t, "9")
		})
	}
}

// late starts a client that waits until its first token has expired. What it returns lets it go on: one that can see another token
// publishes, the others are refused and hear why.
func (e *errand) late(t *testing.T) func(*testing.T) {
	stdin, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	wait := func(x *client.Carrier) {
		x.For, x.Stdin, x.Before = e.name, stdin, []string{"sh", "-c", `read line; exec "$@" </dev/null`, "sh"}
		if e.name == "mvn" { // whose settings are an argument
			x.Before[2] = `read line; shift; exec mvn -s "${MAVEN_ARGS##* }" "$@" </dev/null`
		}
	}
	var got client.Result
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer stdin.Close()
		got, failed = e.attempt(t, map[string]any{"run_id": lateRun}, wait, e.pkg, "3.0.0")
	}()
	t.Cleanup(func() {
		_ = feed.Close()
		<-done
	})
	// Building what is published may take its time.
	event, err := e.r.gw.Await(t.Context(), 4*awaitLimit, func(ev model.Event) bool {
		return ev.Kind == model.EventExchange && ev.Decision == "allow" && ev.Run["run_id"] == lateRun
	})
	if err != nil {
		t.Fatalf("the late job has no token: %v", err)
	}
	return func(t *testing.T) {
		before := e.holds(t)
		<-time.After(time.Until(event.Time.Add(time.Minute + time.Second)))
		if _, err := feed.WriteString("\n"); err != nil {
			t.Error(err)
		}
		<-done
		if failed != nil {
			t.Fatal(failed)
		}
		if e.renews {
			if got.Code != 0 || e.holds(t) == before {
				t.Errorf("exit status %d, and the registry has got nothing\n%s", got.Code, got.Output)
			}
			return
		}
		if got.Code == 0 || e.holds(t) != before || !strings.Contains(got.Output, "trustpub: the token expired at ") || !strings.Contains(got.Output, "Build and test first") {
			t.Errorf("exit status %d, and the registry has something new or the child heard no reason\n%s", got.Code, got.Output)
		}
	}
}
