package doctor

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// say is a check that finds what it is given.
func say(area string, found ...Finding) Check {
	return Check{Area: area, What: area, Run: func(context.Context) []Finding { return found }}
}

// TestRun: findings come in the order of the checks, whatever each of them does, and hold no secret.
func TestRun(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	network := say("network", ok("asked"))
	network.Network = true
	checks := []Check{
		{Area: "deaf", What: "an answer", Run: func(context.Context) []Finding { <-hang; return nil }},
		{Area: "slow", What: "an answer", Run: func(ctx context.Context) []Finding { <-ctx.Done(); return []Finding{failure("wait", "no answer")} }},
		{Area: "broken", What: "a thing", Run: func(context.Context) []Finding { panic("oh") }},
		network,
		say("named", Finding{Area: "other", Subject: "one", Status: Warn, Message: "a\nb", Help: "c"}),
		say("secret", failure("use hunter22", "the password hunter22 is wrong, and so is x")),
		say("nothing"),
	}
	got := Run(t.Context(), checks, Options{Offline: true, Timeout: 2 * time.Second, Secrets: []string{"hunter22", "x"}})
	want := &Report{
		Findings: []Finding{
			{Area: "deaf", Status: Fail, Message: "an answer: no answer within 2s", Help: "find out why it does not answer, or give it longer with --timeout"},
			{Area: "slow", Status: Fail, Message: "no answer", Help: "wait"},
			{Area: "broken", Status: Fail, Message: "a thing: the check itself failed: oh", Help: "please report this"},
			{Area: "network", Status: Skip, Message: "network: not looked at, since --offline is given"},
			{Area: "other", Subject: "one", Status: Warn, Message: "a?b", Help: "c"},
			{Area: "secret", Status: Fail, Message: "the password [secret] is wrong, and so is x", Help: "use [secret]"},
		},
		Warnings: 1, Failures: 4, Skipped: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if r := Run(ended, checks[5:6], Options{}); r.Skipped != 1 {
		t.Errorf("after an interrupt: %+v", r)
	}
}

func TestReport(t *testing.T) {
	r := Run(t.Context(), []Check{say("a", ok("well")), say("bcd", Finding{Subject: "x", Status: Warn, Message: "weak", Help: "do it"})}, Options{})
	var text, json bytes.Buffer
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("ok    a      well\nwarn  bcd x  weak\n             to do: do it\n1 ok, 1 warning, 0 failures, 0 not proved\n", text.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if err := r.JSON(&json); err != nil {
		t.Fatal(err)
	}
	want := `{
  "findings": [
    {
      "area": "a",
      "status": "ok",
      "message": "well"
    },
    {
      "area": "bcd",
      "subject": "x",
      "status": "warn",
      "message": "weak",
      "help": "do it"
    }
  ],
  "ok": 1,
  "warnings": 1,
  "failures": 0,
  "skipped": 0
}
`
	if diff := cmp.Diff(want, json.String()); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	if r.Fails(Fail) || !r.Fails(Warn) {
		t.Errorf("Fails(fail) is %t and Fails(warn) %t, expected false and true", r.Fails(Fail), r.Fails(Warn))
	}
}

// TestCompare: what three answers say of a credential.
func TestCompare(t *testing.T) {
	for _, tc := range []struct {
		name            string
		ours, bad, none int
		want            Status
	}{
		{"accepted", 200, 401, 401, OK},
		{"accepted where reading is open", 200, 401, 200, OK},
		{"accepted, of nothing", 404, 403, 403, OK},
		{"known, and may not read", 403, 401, 401, OK},
		{"refused", 401, 401, 401, Fail},
		{"refused where reading is open", 401, 401, 200, Fail},
		{"forbidden where reading is open", 403, 403, 200, Fail},
		{"forbidden to all", 403, 403, 403, Skip},
		{"nobody looks", 200, 200, 200, Skip},
		{"nobody looks, of nothing", 404, 404, 404, Skip},
		{"the registry breaks", 500, 401, 401, Fail},
		{"the registry breaks for all", 502, 502, 502, Fail},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := (Registry{SourceName: "static"}).compare("/", tc.ours, tc.bad, tc.none); got.Status != tc.want || got.Message == "" || got.Status != OK && got.Help == "" {
				t.Errorf("got %+v, expected %s", got, tc.want)
			}
		})
	}
}

// TestWrong: a wrong credential has the form of the right one and nothing of it, its user included.
func TestWrong(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("bot:hunter22"))
	header := http.Header{"Authorization": {basic, "Bearer hunter22"}, "X-Api-Key": {"hunter22"}}
	want := http.Header{
		"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("trustpub-doctor-nobody:wrong-on-purpose")), "Bearer wrong-on-purpose"},
		"X-Api-Key":     {"wrong-on-purpose"},
	}
	if diff := cmp.Diff(want, wrong(header)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text := "hunter22 and bot:hunter22 and " + basic
	if got := ok("%s", text).without(values(header)); strings.Contains(got.Message, "hunter22") || strings.Contains(got.Message, basic[6:]) {
		t.Errorf("a credential is not struck out: %s", got.Message)
	}
}

func address(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestParseDirect(t *testing.T) {
	one := []Registry{{Name: "a", Public: address(t, "https://a.example.com/")}}
	two := append(one, Registry{Name: "b", Public: address(t, "https://b.example.com/")})
	for _, tc := range []struct {
		name, text string
		registries []Registry
		want, err  string
	}{
		{"of the only one", "http://10.0.0.1:3141/root/", one, "a http://10.0.0.1:3141/root/", ""},
		{"with = in the query", "http://10.0.0.1/?a=b", one, "a http://10.0.0.1/?a=b", ""},
		{"named", "b=https://10.0.0.1/", two, "b https://10.0.0.1/", ""},
		{"which of two", "http://10.0.0.1/", two, "", "which registry is meant? Write NAME=URL with one of a, b"},
		{"unknown", "c=http://10.0.0.1/", two, "", `no registry is called "c", expected one of a, b`},
		{"the gateway", "a=https://a.example.com/x", two, "", "a.example.com is the gateway's own host"},
		{"no URL", "a=10.0.0.1:3141", two, "", "expected NAME=URL"},
		{"a password", "a=http://u:p@10.0.0.1/", two, "", "expected NAME=URL"},
		{"another scheme", "a=ftp://10.0.0.1/", two, "", "expected NAME=URL"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, u, err := ParseDirect(tc.text, tc.registries)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %v, expected %q", err, tc.err)
				}
				return
			}
			if err != nil || r.Name+" "+u.String() != tc.want {
				t.Errorf("got %s %s (%v), expected %s", r.Name, u, err, tc.want)
			}
		})
	}
}

// TestDirect: whatever answers at a registry's own address is judged by whether it answers as the registry does.
func TestDirect(t *testing.T) {
	answers := func(code int) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if code == http.StatusFound {
				w.Header().Set("Location", "https://elsewhere.example.com/")
			}
			w.WriteHeader(code)
		}))
	}
	for _, tc := range []struct {
		name         string
		code, inside int
		want         Status
	}{
		{"as the registry", 200, 200, Fail},
		{"as a registry that wants a password", 401, 401, Fail},
		{"open, where the registry wants a password", 200, 401, Fail},
		{"with a question for a password", 401, 200, Fail},
		{"elsewhere", 302, 200, Fail},
		{"with a refusal", 403, 200, Warn},
		{"with nothing", 404, 200, Warn},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := answers(tc.code)
			defer s.Close()
			r := Registry{Name: "a", Public: address(t, "https://a.example.com/x/"), Ask: func(_ context.Context, path string, header http.Header) (Answer, error) {
				if path != "/x/" || len(header) > 0 {
					t.Errorf("asked for %s with %v", path, header)
				}
				return Answer{Status: tc.inside}, nil
			}}
			if got := Direct(r, address(t, s.URL)).Run(t.Context()); len(got) != 1 || got[0].Status != tc.want || got[0].Help == "" {
				t.Errorf("got %+v, expected %s", got, tc.want)
			}
		})
	}
	s := answers(200)
	r := Registry{Name: "a", Public: address(t, "https://a.example.com/")}
	if got := Direct(r, address(t, strings.Replace(s.URL, "http:", "https:", 1))).Run(t.Context()); got[0].Status != Warn {
		t.Errorf("TLS where there is none: %+v", got)
	}
	s.Close()
	if got := Direct(r, address(t, s.URL)).Run(t.Context()); got[0].Status != OK {
		t.Errorf("nothing listens: %+v", got)
	}
}

func TestWhoami(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   bool
		fails  bool
	}{
		{"somebody", 200, `{"username":"bot"}`, true, false},
		{"nobody", 200, `{}`, false, false},
		{"refused", 401, ``, false, false},
		{"forbidden", 403, ``, false, false},
		{"a web page", 200, `<html>`, false, true},
		{"no such path", 404, `{}`, false, true},
		{"a failure", 500, ``, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := whoami(tc.status, []byte(tc.body)); got != tc.want || (err != nil) != tc.fails {
				t.Errorf("got %t, %v; want %t, an error %t", got, err, tc.want, tc.fails)
			}
		})
	}
}
