package caddymodule

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trustpub/trustpub/internal/audit"
	"github.com/trustpub/trustpub/internal/cli"
	"github.com/trustpub/trustpub/internal/model"
)

// deny runs `trustpub deny` against the rig's admin API, through its socket.
func (r *rig) deny(args ...string) (code int, out string) {
	r.t.Helper()
	var buf bytes.Buffer
	args = append(append([]string{"deny"}, args...), "--address", "unix/"+filepath.Join(r.dir, "admin.sock"))
	code = cli.Main(context.Background(), cli.Options{Name: "trustpub"}, args, strings.NewReader(""), &buf, &buf)
	return code, buf.String()
}

// withAdmin is the usual Caddyfile with the admin API on a socket.
func (r *rig) withAdmin() string {
	return strings.Replace(r.caddyfile("", "mode claimed", ""), "admin off", "admin unix/"+filepath.Join(r.dir, "admin.sock"), 1)
}

// TestDeny: the command, through the admin API, into the store, the status and the audit; over a reload and a restart, and
// while the policies are broken.
func TestDeny(t *testing.T) {
	r := newRig(t, answer(http.StatusOK))
	r.mustLoad(r.withAdmin())
	want := func(code int, part string, args ...string) {
		t.Helper()
		got, out := r.deny(args...)
		if got != code || !strings.Contains(out, part) {
			t.Errorf("deny %v: exit %d, %q; want %d and %q", args, got, out, code, part)
		}
	}
	want(0, "nothing is stopped", "list")
	want(0, "stopped: package internal-pypi/Acme_Widget", "add", "package", "internal-pypi/Acme_Widget", "--reason", "incident 12", "--for", "2h")
	want(0, "stopped: kid k1 of issuer github", "add", "kid", "k1", "--issuer", "github", "--reason", "leaked")
	want(0, "internal-pypi/acme-widget", "list")
	r.write("policies/widget.yaml", "policies: [broken")
	r.mustLoad(r.withAdmin())
	want(0, "leaked", "list", "--format", "json")
	r.stop()
	r.mustLoad(r.withAdmin())
	status := status(t)
	ignore := cmpopts.IgnoreFields(model.Switch{}, "By", "Since", "Until")
	if diff := cmp.Diff([]model.Switch{
		{Kind: model.SwitchKey, Value: "k1", Issuer: "github", Reason: "leaked"},
		{Kind: model.SwitchPackage, Value: "internal-pypi/acme-widget", Reason: "incident 12"},
	}, status.Switches, ignore); diff != "" {
		t.Errorf("switches in the status (-want +got):\n%s", diff)
	}
	want(0, "not stopped any more", "remove", "package", "internal-pypi/acme.widget", "--reason", "all clear")
	want(1, "there is no switch package internal-pypi/acme-widget", "remove", "package", "internal-pypi/acme-widget")
	var actions []string
	r.stop()
	for line := range strings.Lines(r.read("audit.jsonl")) {
		if strings.Contains(line, `"kind":"switch"`) {
			_, action, _ := strings.Cut(line, `"action":"`)
			action, _, _ = strings.Cut(action, `"`)
			actions = append(actions, action)
		}
	}
	if diff := cmp.Diff([]string{"add", "add", "remove"}, actions); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	if err := audit.Verify(strings.NewReader(r.read("audit.jsonl"))); err != nil {
		t.Error(err)
	}
}

// TestDenyRefuses: what would stop nothing is an error.
func TestDenyRefuses(t *testing.T) {
	r := newRig(t, answer(http.StatusOK))
	r.mustLoad(r.withAdmin())
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"unknown registry", []string{"add", "registry", "internal", "--reason", "x"}, 1, `registry "internal" is not configured, expected one of [internal-pypi]`},
		{"unknown registry of a package", []string{"add", "package", "other/acme-widget", "--reason", "x"}, 1, `registry "other" is not configured`},
		{"no package name", []string{"add", "package", "internal-pypi/???", "--reason", "x"}, 1, "???"},
		{"unknown issuer", []string{"add", "issuer", "gitlab", "--reason", "x"}, 1, `issuer "gitlab" is not configured, expected one of [github]`},
		{"unknown issuer of a key", []string{"add", "kid", "k1", "--issuer", "gitlab", "--reason", "x"}, 1, `issuer "gitlab" is not configured`},
		{"no reason", []string{"add", "issuer", "github"}, 2, "reason is empty"},
		{"unknown kind", []string{"add", "user", "alice", "--reason", "x"}, 2, `kind is "user"`},
		{"no value", []string{"add", "issuer", "--reason", "x"}, 2, "expected a kind"},
		{"over already", []string{"add", "issuer", "github", "--reason", "x", "--until", "2001-01-01T00:00:00Z"}, 2, "expected a time to come"},
		{"no moment", []string{"add", "issuer", "github", "--reason", "x", "--until", "tomorrow"}, 2, `--until is "tomorrow"`},
		{"two ends", []string{"add", "issuer", "github", "--reason", "x", "--until", "2099-01-01T00:00:00Z", "--for", "1h"}, 2, "expected one of them"},
		{"unknown form", []string{"list", "--format", "xml"}, 2, `--format is "xml"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if code, out := r.deny(tc.args...); code != tc.code || !strings.Contains(out, tc.want) {
				t.Errorf("exit %d, %q; want %d and %q", code, out, tc.code, tc.want)
			}
		})
	}
	if code, out := r.deny("list"); code != 0 || !strings.Contains(out, "nothing is stopped") {
		t.Errorf("something was stopped all the same: %s", out)
	}
	for name, body := range map[string]string{
		"no JSON": "stop", "an unknown field": `{"kind":"issuer","value":"github","reason":"x","scope":"all"}`,
		"two": `{"kind":"issuer","value":"github","reason":"x"}{}`, "too long": `{"reason":"` + strings.Repeat("x", maxSwitchBody) + `"}`,
	} {
		if err := serveDeny(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, denyPath, strings.NewReader(body))); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if err := serveDeny(httptest.NewRecorder(), httptest.NewRequest(http.MethodPut, denyPath, nil)); err == nil {
		t.Error("PUT was accepted")
	}
}

// Without a gateway, the command says where it looked.
func TestDenyWithoutAGateway(t *testing.T) {
	r := newRig(t, answer(http.StatusOK))
	if code, out := r.deny("list"); code != 1 || !strings.Contains(out, "is the gateway running here") {
		t.Errorf("exit %d, %q", code, out)
	}
	if err := serveDeny(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, denyPath, nil)); err == nil {
		t.Error("a list without a configuration")
	}
}

// stop ends Caddy and waits until its last line is written.
func (r *rig) stop() {
	r.t.Helper()
	if err := caddy.Stop(); err != nil {
		r.t.Fatal(err)
	}
	r.settle()
}
