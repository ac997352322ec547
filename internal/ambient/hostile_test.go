package ambient

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestEndpointsDoNotRedirect: the secret with which a token is asked for goes to the platform's own endpoint and nowhere else.
func TestEndpointsDoNotRedirect(t *testing.T) {
	var strangers []string
	stranger := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		strangers = append(strangers, r.Header.Get("Authorization"))
		fmt.Fprintf(w, `{"value":%[1]q,"oidcToken":%[1]q}`, jwt(`{"aud":"x"}`))
	})
	at := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, stranger, http.StatusTemporaryRedirect)
	})
	for name, env := range map[string]map[string]string{
		"github":       {"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": at, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "secret"},
		"azure-devops": {"TF_BUILD": "True", "SYSTEM_OIDCREQUESTURI": at, "SYSTEM_ACCESSTOKEN": "secret"},
		"google":       {"GCE_METADATA_HOST": strings.TrimPrefix(at, "http://")},
	} {
		source, err := Find(job(t, env, nil), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := source.Token(t.Context(), audience); err == nil || !strings.Contains(err.Error(), "answered 307") {
			t.Errorf("%s: %v, want that it answered 307", name, err)
		}
	}
	if len(strangers) != 0 {
		t.Errorf("a stranger was asked with %q", strangers)
	}
}

// TestErrorsHoldNoCommands: what an endpoint or a program says gets no command, escape or token into the job's log.
func TestErrorsHoldNoCommands(t *testing.T) {
	const evil = "##vso[task.setvariable variable=PATH]/tmp ##[stop-commands]x\x1b[2J\n::stop-commands::y"
	for name, said := range map[string]string{"commands": evil, "a token": "so sorry: " + jwt(`{"aud":"x"}`)} {
		at := endpoint(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, said)
		})
		source, err := Find(job(t, map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": at, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "secret"}, nil), "github")
		if err != nil {
			t.Fatal(err)
		}
		_, err = source.Token(t.Context(), audience)
		if err == nil || strings.Contains(err.Error(), "##") || strings.ContainsAny(err.Error(), "\x1b\n") || strings.Contains(err.Error(), "eyJ") {
			t.Errorf("%s: %q", name, err)
		}
	}
	program(t, "buildkite-agent", `printf '##vso[x]\033[2J\n::stop-commands::y\n' >&2; exit 1`)
	source, err := Find(job(t, nil, nil), "buildkite")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = source.Token(t.Context(), audience); err == nil || strings.Contains(err.Error(), "##") || strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("a program: %q", err)
	}
}
