package integration

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/integration/client"
	"github.com/trustpub/trustpub/integration/tap"
	"github.com/trustpub/trustpub/internal/model"
)

// TestMatrix runs every client against every registry: a publish that works, and every refusal with what the client shows.
// Both registries share their goldens: what a client shows is the gateway's, whatever stands behind it.
func TestMatrix(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		for _, w := range ways {
			t.Run(kind+"/"+w.name, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, kind)
				matrixPublish(t, r, w)
				matrixRefusals(t, r, w)
				matrixReplay(t, r, w)
				matrixEdited(t, r, w)
			})
		}
	}
}

// matrixPublish publishes the first release and looks at what the registry has got, and what the audit says of it.
func matrixPublish(t *testing.T, r *rig, w way) {
	wheel := newWheel(t, "acme-widget", "1.0")
	got := w.publish(t, r, try{wheel: wheel})
	if got.Code != 0 {
		t.Fatalf("exit status %d, expected 0\n%s", got.Code, got.Output)
	}
	r.holds(t, wheel)
	outcome := r.await(t, "outcome of the publish", func(e model.Event) bool { return e.Kind == model.EventOutcome && e.Result == "stored" })
	decision := r.await(t, "decision of the publish", func(e model.Event) bool { return e.Kind == model.EventDecision && e.ID == outcome.ID })
	want := model.Target{Ecosystem: "pypi", Registry: registryName, Package: "acme-widget", Version: "1", File: wheel.file, Action: model.ActionPublish}
	if decision.Target != nil && strings.HasPrefix(decision.Target.Version, "1") {
		want.Version = decision.Target.Version // canonical; how, is the model's own test
	}
	if decision.Decision != "allow" || decision.Policy != "widget-release" || decision.SHA256 != wheel.sha256 ||
		decision.Size != int64(len(wheel.bytes)) || decision.Target == nil || *decision.Target != want {
		t.Errorf("the audit's decision is not that of the wheel: %+v (target %+v)", decision, decision.Target)
	}
	wantCredential := "publish_token"
	if w.direct {
		wantCredential = "identity_token"
	}
	if decision.Credential != wantCredential {
		t.Errorf("credential: got %q, expected %q", decision.Credential, wantCredential)
	}
}

// matrixRefusals are the attempts that name something else than the policy grants.
func matrixRefusals(t *testing.T, r *rig, w way) {
	for _, tc := range []struct {
		name string
		run  func(*testing.T) client.Result
	}{
		{"another-package", func(t *testing.T) client.Result {
			return w.publish(t, r, try{wheel: newWheel(t, "other-project", "1.0")})
		}},
		{"another-repository", func(t *testing.T) client.Result {
			return w.publish(t, r, try{wheel: newWheel(t, "acme-widget", "2.0"), claims: otherRepository})
		}},
		{"a-stranger", func(t *testing.T) client.Result {
			return w.publish(t, r, try{wheel: newWheel(t, "acme-widget", "2.0"), claims: foreignRepository})
		}},
		{"a-stolen-password", func(t *testing.T) client.Result {
			return w.steal(t, r, newWheel(t, "acme-widget", "2.0"))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.unchanged(t, func() { failed(t, w, tc.name, tc.run(t)) })
		})
	}
}

// matrixReplay uses one identity token for two releases.
func matrixReplay(t *testing.T, r *rig, w way) {
	t.Run("a-replayed-token", func(t *testing.T) {
		token := r.identity(nil)
		if got := w.publish(t, r, try{wheel: newWheel(t, "acme-widget", "3.0"), token: token}); got.Code != 0 {
			t.Fatalf("the first use: exit status %d, expected 0\n%s", got.Code, got.Output)
		}
		r.unchanged(t, func() {
			failed(t, w, "a-replayed-token", w.publish(t, r, try{wheel: newWheel(t, "acme-widget", "3.1"), token: token}))
		})
	})
}

// matrixEdited lets a hop between client and gateway change a byte of the file, so that the client's digest names another.
func matrixEdited(t *testing.T, r *rig, w way) {
	t.Run("an-edited-file", func(t *testing.T) {
		wheel := newWheel(t, "acme-widget", "4.0")
		url := r.site.Public()
		if w.fields {
			// The client digests nothing itself: it sends the digest of what was built, with a file that was edited since.
			wheel.bytes = bytes.ReplaceAll(wheel.bytes, metadata, swapped)
			if err := os.WriteFile(wheel.path, wheel.bytes, 0o644); err != nil {
				t.Fatal(err)
			}
			wheel.bytes = bytes.ReplaceAll(wheel.bytes, swapped, metadata)
		} else {
			hop, err := tap.StartMeddler(shared.pki.Certificate, r.site.Host(), r.tls(), func(port int) []tap.Swap {
				return []tap.Swap{
					{Old: metadata, New: swapped},
					{Old: []byte("localhost:" + itoa(port)), New: []byte(r.site.Host())},
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			defer hop.Close()
			url = strings.Replace(url, r.site.Host(), "localhost:"+itoa(hop.Port()), 1)
		}
		r.unchanged(t, func() { failed(t, w, "an-edited-file", w.publish(t, r, try{wheel: wheel, url: url})) })
	})
}

// metadata is how the name of a member of each wheel ends; swapped is another one.
var metadata, swapped = []byte(".dist-info/METADATA"), []byte(".dist-info/METADATB")

// failed fails the test unless the attempt was refused and the client shows just what its golden says. pdm shows nothing of
// what any server says, so its golden has the status only.
func failed(t *testing.T, w way, name string, got client.Result) {
	t.Helper()
	// curl shows the denial and, without --fail, calls that a success.
	if got.Code == 0 && !strings.HasPrefix(w.name, "curl") {
		t.Errorf("exit status 0, expected a refusal\n%s", got.Output)
	}
	golden(t, w.name+"-"+name, got)
}
