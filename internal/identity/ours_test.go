package identity

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/demo/issuer"
)

// A token of ours in any spelling that some decoder accepts is ours, so that it is refused instead of being passed on.
func TestOurs(t *testing.T) {
	r := sharedRig(t, nil)
	h, p, s := r.parts()
	iss := r.dev.URL()
	compact := func(payload string) string { return h + "." + b64(payload) + "." + s }
	tests := []struct {
		name string
		raw  string
		want bool
	}{
		{"a good token", r.token(), true},
		{"an expired one", r.dev.Token(audience, map[string]any{"exp": 1}), true},
		{"a forged one", r.forged("x"), true},
		{"alg none", b64(`{"alg":"none"}`) + "." + p + ".", true},
		{"padding", h + "." + p + "==." + s, true},
		{"standard alphabet", h + "." + base64.StdEncoding.EncodeToString([]byte(`{"x":"???>>>","iss":"`+iss+`"}`)) + "." + s, true},
		{"line breaks", h + "." + p[:8] + "\r\n" + p[8:] + "." + s, true},
		{"spaces around", " " + r.token() + " ", true},
		{"four parts", r.token() + ".x", true},
		{"broken header", "x." + p + "." + s, true},
		{"broken signature", h + "." + p + ".%%%", true},
		{"iss twice, ours first", compact(`{"iss":"` + iss + `","iss":"https://issuer.example.com"}`), true},
		{"iss twice, ours last", compact(`{"iss":"https://issuer.example.com","iss":"` + iss + `"}`), true},
		{"iss escaped", compact(`{"\u0069ss":"` + iss + `"}`), true},
		{"broken after iss", compact(`{"iss":"` + iss + `","x":`), true},
		{"iss after other claims", compact(`{"a":[1,{"iss":"x"}],"iss":"` + iss + `"}`), true},
		{"invalid UTF-8 before iss", compact("{\"a\":\"\xff\",\"iss\":\"" + iss + "\"}"), true},
		{"empty", "", false},
		{"a password", "correct horse battery staple", false},
		{"a registry's token", "devpi-AgEIbG9jYWxob3N0", false},
		{"two dots", "..", false},
		{"another issuer", r.dev.Token(audience, map[string]any{"iss": "https://issuer.example.com"}), false},
		{"no iss", r.dev.Token(audience, map[string]any{"iss": nil}), false},
		{"iss is a list", r.dev.Token(audience, map[string]any{"iss": []string{iss}}), false},
		{"iss deeper inside", compact(`{"a":{"iss":"` + iss + `"}}`), false},
		{"payload is a list", compact(`["iss","` + iss + `"]`), false},
		{"payload is no base64", h + ".%%%." + s, false},
		{"huge", h + "." + strings.Repeat("A", 2<<20) + "." + s, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := r.Ours(test.raw); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
	raw := r.token()
	r.accept(t, raw)
	if !r.Ours(raw) {
		t.Error("a remembered token is not ours")
	}
}

func TestActive(t *testing.T) {
	on := newIssuer(t, Config{Provider: "github"}, Options{})
	off := newIssuer(t, Config{Provider: "gitlab", Disabled: true}, Options{})
	v := newVerifier(t, newClock(), on, off)
	got := map[string]bool{}
	for _, name := range []string{"github", "gitlab", "oidc", ""} {
		got[name] = v.Active(name)
	}
	if diff := cmp.Diff(map[string]bool{"github": true, "gitlab": false, "oidc": false, "": false}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRun(t *testing.T) {
	r := sharedRig(t, nil)
	id := r.accept(t, r.dev.Token(audience, map[string]any{"environment": nil, "actor": ""}))
	want := map[string]string{}
	for _, name := range []string{
		"repository", "repository_id", "repository_owner", "repository_owner_id", "workflow_ref", "job_workflow_ref", "ref",
		"ref_type", "ref_protected", "sha", "event_name", "runner_environment", "run_id", "run_attempt", "actor_id",
	} {
		want[name] = issuer.DefaultClaims()[name].(string)
	}
	if diff := cmp.Diff(want, r.Run(id)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	id.Provider = "unknown"
	if r.Run(id) != nil || r.Run(nil) != nil {
		t.Error("a run of no provider has claims")
	}
}
