package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/internal/model"
)

// engineRig is a docker engine beside a gateway in front of a registry of containers, which one job may push to and another pull from.
type engineRig struct {
	*rig
	engine *client.Engine
	bin    string
}

func startEngineRig(t *testing.T) *engineRig {
	t.Helper()
	r := &engineRig{rig: ociRig(t, withPolicy("widget.yaml", readerPolicies(map[string]string{registryName: "acme/widget"}))), bin: helpers(t)}
	var err error
	if r.engine, err = client.StartEngine(t.Context(), t.TempDir(), shared.pki.CAFile); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.engine.Stop()
		nothingLeft(t, r.engine.Dir)
		if t.Failed() {
			t.Logf("dockerd printed:\n%s", tail(r.engine.Log(), 20))
		}
	})
	return r
}

// home is that of a job; carried by trustpub exec unless change says otherwise.
func (r *engineRig) home(t *testing.T, claims map[string]any, change func(*client.Home)) client.Home {
	t.Helper()
	program, err := command()
	if err != nil {
		t.Fatal(err)
	}
	h := r.rig.home(r.job(t, try{claims: claims}))
	h.Carrier = &client.Carrier{Program: program, Registry: r.site.Public()}
	if change != nil {
		change(&h)
	}
	return h
}

// docker runs the client, and looks for what is left of the token.
func (r *engineRig) docker(t *testing.T, h client.Home, args ...string) client.Result {
	t.Helper()
	got, err := h.Docker(t.Context(), r.engine, args...)
	if err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, h.Dir)
	return got
}

// newImage gives the engine an image.
func (r *engineRig) newImage(t *testing.T, tag string) string {
	t.Helper()
	image := r.site.Host() + "/acme/widget:" + tag
	if err := r.rig.home(nil).DockerImport(t.Context(), r.engine, image); err != nil {
		t.Fatal(err)
	}
	return image
}

// TestExecDocker: the docker engine pushes and pulls with the login that trustpub exec brings its client, or that its client asks the helper for. Whoever
// may not, hears why from the docker client itself.
func TestExecDocker(t *testing.T) {
	t.Parallel()
	r := startEngineRig(t)
	image := r.newImage(t, "1.0.0")
	bare := func(h *client.Home) { h.Carrier = nil }
	helper := func(h *client.Home) {
		h.Carrier, h.Bin = nil, r.bin
		h.Extra = []string{"TRUSTPUB_CA_FILE=" + h.CA, "DOCKER_CONFIG=" + dockerConfig(t, r.site.Host())}
	}
	refused := func(t *testing.T, got client.Result, carried bool) {
		t.Helper()
		if got.Code == 0 || (got.Code == 125) != carried || !strings.Contains(got.Output, string(model.CodeNoMatchingPolicy)) {
			t.Errorf("exit status %d\n%s", got.Code, got.Output)
		}
	}
	before := r.links(t)
	if got := r.docker(t, r.home(t, nil, nil), "push", image); got.Code != 0 || r.links(t) == before {
		t.Fatalf("the push: exit status %d\n%s", got.Code, got.Output)
	}
	t.Run("who may not push", func(t *testing.T) {
		next := r.newImage(t, "2.0.0")
		before := r.links(t)
		refused(t, r.docker(t, r.home(t, foreignRepository, nil), "push", next), true)
		got := r.docker(t, r.home(t, otherRepository, nil), "push", next)
		refused(t, got, false)
		golden(t, "docker-a-job-that-may-only-read", dockerErrors(got))
		golden(t, "docker-a-tag-that-exists", dockerErrors(r.docker(t, r.home(t, nil, nil), "push", r.newImage(t, "1.0.0"))))
		golden(t, "docker-no-login", dockerErrors(r.docker(t, r.home(t, nil, bare), "push", next)))
		if after := r.links(t); after != before {
			t.Errorf("the registry changed from\n%s\nto\n%s", before, after)
		}
	})
	t.Run("who may pull", func(t *testing.T) {
		r.docker(t, r.home(t, nil, bare), "rmi", image)
		refused(t, r.docker(t, r.home(t, foreignRepository, nil), "pull", image), true)
		if got := r.docker(t, r.home(t, nil, bare), "pull", image); got.Code == 0 {
			t.Errorf("without trustpub: exit status 0\n%s", got.Output)
		}
		if got := r.docker(t, r.home(t, otherRepository, nil), "pull", image); got.Code != 0 {
			t.Errorf("exit status %d\n%s", got.Code, got.Output)
		}
	})
	t.Run("by its helper", func(t *testing.T) {
		next := r.newImage(t, "3.0.0")
		refused(t, r.docker(t, r.home(t, foreignRepository, helper), "push", next), false)
		if got := r.docker(t, r.home(t, nil, helper), "push", next); got.Code != 0 {
			t.Errorf("exit status %d\n%s", got.Code, got.Output)
		}
		r.docker(t, r.home(t, nil, bare), "rmi", next)
		if got := r.docker(t, r.home(t, otherRepository, helper), "pull", next); got.Code != 0 {
			t.Errorf("exit status %d\n%s", got.Code, got.Output)
		}
	})
	t.Run("by a login", func(t *testing.T) {
		h := r.home(t, nil, bare)
		login := func(password string) client.Result {
			got, err := h.Docker(t.Context(), r.engine, "login", "--username", "oidc", "--password", password, r.site.Host())
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		golden(t, "docker-login-of-another-repository", dockerErrors(login(r.identity(foreignRepository))))
		if got := login(r.identity(nil)); got.Code != 0 {
			t.Fatalf("exit status %d\n%s", got.Code, got.Output)
		}
		if got, err := h.Docker(t.Context(), r.engine, "push", r.newImage(t, "5.0.0")); err != nil || got.Code != 0 {
			t.Errorf("%v, exit status %d\n%s", err, got.Code, got.Output)
		}
	})
}

// dockerConfig is a folder with docker's configuration: trustpub is asked for the host's password.
func dockerConfig(t *testing.T, host string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"credHelpers":{"`+host+`":"trustpub"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// dockerErrors is what is left of docker's output without its progress.
func dockerErrors(got client.Result) client.Result {
	var b strings.Builder
	for line := range strings.Lines(got.Output) {
		if strings.HasPrefix(line, "denied: ") || strings.HasPrefix(line, "unauthorized: ") || strings.HasPrefix(line, "Error") {
			b.WriteString(line)
		}
	}
	return client.Result{Code: got.Code, Output: b.String()}
}
