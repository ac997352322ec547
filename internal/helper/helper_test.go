package helper

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/ambient"
	"github.com/trustpub/trustpub/internal/courier"
	"github.com/trustpub/trustpub/internal/exchange"
)

// identityFor is an identity token of an audience.
func identityFor(audience string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"aud":%q}`, audience)) + ".c2ln"
}

// host is a gateway's host over TLS, and a helper of its job.
func host(t *testing.T, in string) (*Helper, *bytes.Buffer, string) {
	t.Helper()
	var s *httptest.Server
	minted := 0
	s = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const base = "/.well-known/trusted-publishing"
		switch r.URL.Path {
		case base:
			fmt.Fprintf(w, `{"version":1,"registries":[{"name":"prod","ecosystem":"pypi","url":"%[1]s/prod/","audience":"%[3]s","exchange":"%[1]s%[2]s/exchange","revoke":"%[1]s%[2]s/revoke"}]}`, s.URL, base, strings.TrimPrefix(s.URL, "https://"))
		case base + "/exchange":
			minted++
			fmt.Fprintf(w, `{"token":"tpub_%d","expires_in":900}`, minted)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	job := ambient.Here()
	job.Getenv = func(name string) string {
		return map[string]string{"TRUSTPUB_ID_TOKEN": identityFor(strings.TrimPrefix(s.URL, "https://"))}[name]
	}
	gateway := exchange.New(s.Client().Transport, "test")
	out := &bytes.Buffer{}
	return &Helper{In: strings.NewReader(strings.ReplaceAll(in, "HOST", strings.TrimPrefix(s.URL, "https://"))), Out: out, Errand: func(registry string) courier.Errand {
		return courier.Errand{Registry: registry, Job: job, Gateway: gateway}
	}}, out, strings.TrimPrefix(s.URL, "https://")
}

func TestDocker(t *testing.T) {
	for _, tc := range []struct{ verb, in, want, failure string }{
		{verb: "get", in: "HOST\n", want: `{"ServerURL":"HOST","Username":"oidc","Secret":"TOKEN"}` + "\n"},
		{verb: "get", in: "https://HOST/prod/\n", want: `{"ServerURL":"https://HOST/prod/","Username":"oidc","Secret":"TOKEN"}` + "\n"},
		{verb: "get", in: "https://HOST/other/", want: "credentials not found in native keychain\n", failure: "credentials not found in native keychain"},
		{verb: "get", in: "", failure: "the standard input is empty"},
		{verb: "list", want: "{}\n"},
		{verb: "store", in: `{"ServerURL":"HOST","Username":"a","Secret":"b"}`},
		{verb: "erase", in: "HOST"},
		{verb: "steal", failure: `the verb is "steal"`},
	} {
		h, out, at := host(t, tc.in)
		err := h.Docker(t.Context(), tc.verb)
		if tc.failure == "" && err != nil || tc.failure != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.failure)) {
			t.Errorf("%s %q: %v, want %s", tc.verb, tc.in, err, tc.failure)
		}
		if diff := cmp.Diff(strings.NewReplacer("HOST", at, "TOKEN", identityFor(at)).Replace(tc.want), out.String()); diff != "" {
			t.Errorf("%s %q: %s", tc.verb, tc.in, diff)
		}
	}
}

// TestDockerSaysWhatIsMissing where docker shows it: of a host that has a gateway, in a job that has no token.
func TestDockerSaysWhatIsMissing(t *testing.T) {
	h, out, _ := host(t, "HOST")
	errand := h.Errand
	h.Errand = func(registry string) courier.Errand {
		e := errand(registry)
		e.Job.Getenv = func(name string) string { return map[string]string{"GITLAB_CI": "true"}[name] }
		return e
	}
	if err := h.Docker(t.Context(), "get"); err == nil || !strings.HasPrefix(out.String(), "GitLab CI: none of TRUSTPUB_ID_TOKEN, ") {
		t.Errorf("%v, printed %q", err, out)
	}
}

// TestCargo: questions in the order in which cargo asks them, several in one run.
func TestCargo(t *testing.T) {
	question := func(kind, index string) string {
		return fmt.Sprintf(`{"v":1,"registry":{"index-url":%q,"name":"prod","headers":[]},"kind":%q,"operation":"publish","name":"widget","vers":"1.0.0","cksum":"00","args":[]}`+"\n", index, kind)
	}
	for name, tc := range map[string]struct {
		in, registry string
		want         []string
	}{
		"a sparse index":                  {in: question("get", "sparse+https://HOST/prod/") + question("get", "sparse+https://HOST/prod/"), want: []string{"token tpub_1", "token tpub_2"}},
		"an index in git":                 {in: question("get", "https://git.example.com/index"), want: []string{"other the index \"https://git.example.com/index\" does not say where the registry is: set TRUSTPUB_REGISTRY to its URL"}},
		"an index in git, and a variable": {in: question("get", "https://git.example.com/index"), registry: "https://HOST/prod/", want: []string{"token tpub_1"}},
		"a login":                         {in: question("login", "sparse+https://HOST/prod/"), want: []string{"operation-not-supported "}},
		"another registry":                {in: question("get", "sparse+https://HOST/other/"), want: []string{"other https://HOST has no registry at https://HOST/other/, expected the URL of one of these: https://HOST/prod/"}},
		"no JSON":                         {in: "hello\n", want: []string{"other the question is none of version 1 of the protocol"}},
		"another version":                 {in: `{"v":2}` + "\n", want: []string{"other the question is none of version 1 of the protocol"}},
		"without its line's end":          {in: strings.TrimSpace(question("get", "sparse+https://HOST/prod/")), want: []string{"token tpub_1"}},
		"nothing":                         {},
	} {
		t.Run(name, func(t *testing.T) {
			h, out, at := host(t, tc.in)
			if err := h.Cargo(t.Context(), strings.ReplaceAll(tc.registry, "HOST", at)); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if lines[0] != `{"v":[1]}` {
				t.Errorf("it begins with %q", lines[0])
			}
			var got []string
			for _, line := range lines[1:] {
				var answer struct {
					Ok struct {
						Kind, Token, Cache string
						Expiration         int64
						Independent        bool `json:"operation_independent"`
					}
					Err struct{ Kind, Message string }
				}
				if err := json.Unmarshal([]byte(line), &answer); err != nil {
					t.Fatal(err)
				}
				switch {
				case answer.Err.Kind != "":
					got = append(got, answer.Err.Kind+" "+answer.Err.Message)
				case answer.Ok.Kind == "get" && answer.Ok.Cache == "expires" && answer.Ok.Expiration > 1700000000 && answer.Ok.Independent:
					got = append(got, "token "+answer.Ok.Token)
				default:
					got = append(got, line)
				}
			}
			for i, want := range tc.want {
				tc.want[i] = strings.ReplaceAll(want, "HOST", at)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKeyring(t *testing.T) {
	for args, tc := range map[string]struct{ want, failure string }{
		"get https://HOST/prod/ __token__":                      {want: "tpub_1\n"},
		"get HOST/prod someone":                                 {want: "tpub_1\n"},
		"get HOST someone":                                      {want: "tpub_1\n"},
		"--mode creds get https://HOST/prod/":                   {want: "__token__\ntpub_1\n"},
		"--mode=creds --output=json get https://HOST/prod/ bob": {want: `{"password":"tpub_1","username":"bob"}` + "\n"},
		"--output json get https://HOST/prod/ bob":              {want: `{"password":"tpub_1"}` + "\n"},
		"get https://HOST/other/ bob":                           {failure: "https://HOST has no registry at"},
		"get https://HOST/prod/":                                {failure: "expected get SERVICE USER"},
		"get a b c":                                             {failure: "expected get SERVICE USER"},
		"set a b":                                               {failure: `"set a b" is not supported`},
		"del a b":                                               {failure: `"del a b" is not supported`},
		"":                                                      {failure: `"" is not supported`},
	} {
		h, out, at := host(t, "")
		err := h.Keyring(t.Context(), strings.Fields(strings.ReplaceAll(args, "HOST", at)))
		if want := strings.ReplaceAll(tc.failure, "HOST", at); want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
		if out.String() != tc.want {
			t.Errorf("%s: %q", args, out)
		}
	}
}

func TestWithScheme(t *testing.T) {
	for place, want := range map[string]string{
		"oci.example.com": "https://oci.example.com", "http://x": "http://x", "localhost:5000": "https://localhost:5000 http://localhost:5000",
		"127.0.0.1/x": "https://127.0.0.1/x http://127.0.0.1/x", "localhost.example.com": "https://localhost.example.com",
	} {
		if got := strings.Join(withScheme(place), " "); got != want {
			t.Errorf("%s: %s", place, got)
		}
	}
}

// FuzzCargo: whatever cargo says, each line gets one line.
func FuzzCargo(f *testing.F) {
	f.Add(`{"v":1,"kind":"get","registry":{"index-url":"sparse+x"}}` + "\n")
	f.Add("\n\n{}\n")
	f.Fuzz(func(t *testing.T, in string) {
		out := &bytes.Buffer{}
		h := &Helper{In: strings.NewReader(in), Out: out, Errand: func(registry string) courier.Errand {
			return courier.Errand{Registry: registry, Job: ambient.Job{Getenv: func(string) string { return "" }, ReadFile: func(string) ([]byte, error) { return nil, http.ErrNotSupported }}}
		}}
		if err := h.Cargo(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		asked := 0
		for line := range strings.SplitSeq(in, "\n") {
			if strings.TrimSpace(line) != "" {
				asked++
			}
		}
		if got := strings.Count(out.String(), "\n"); got != asked+1 {
			t.Errorf("%d lines for %d questions", got, asked)
		}
	})
}
