package exchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// site is a gateway's host: its answers by path, and what it was asked.
type site struct {
	*httptest.Server
	answers map[string]string
	status  map[string]int
	asked   []string
}

// newSite makes a site; ORIGIN in an answer is its address.
func newSite(t *testing.T, answers map[string]string) *site {
	t.Helper()
	s := &site{answers: answers, status: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		answer, ok := s.answers[r.URL.Path]
		switch status := s.status[r.URL.Path]; {
		case status != 0:
			w.WriteHeader(status)
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, strings.ReplaceAll(answer, "ORIGIN", s.URL))
	}))
	t.Cleanup(s.Close)
	return s
}

func entry(name, path string) string {
	return fmt.Sprintf(`{"name":%q,"ecosystem":"pypi","url":"ORIGIN%s","audience":"aud-%s","exchange":"ORIGIN/.well-known/trusted-publishing/exchange","revoke":"ORIGIN/.well-known/trusted-publishing/revoke"}`, name, path, name)
}

func listing(entries ...string) string {
	return `{"version":1,"new_member":true,"registries":[` + strings.Join(entries, ",") + `]}`
}

func TestDiscover(t *testing.T) {
	three := listing(entry("all", "/"), entry("prod", "/acme/prod/"), entry("test", "/acme/test/"))
	for _, tc := range []struct {
		name, listing, path string
		want, failure       string
	}{
		{name: "the longest", listing: three, path: "/acme/prod/", want: "prod"},
		{name: "without its slash", listing: three, path: "/acme/prod", want: "prod"},
		{name: "below it", listing: three, path: "/acme/test/+simple/widget/", want: "test"},
		{name: "a longer name", listing: three, path: "/acme/production/", want: "all"},
		{name: "the only one, by its host", listing: listing(entry("prod", "/acme/prod/")), path: "", want: "prod"},
		{name: "the only one, by its host and a slash", listing: listing(entry("prod", "/acme/prod/")), path: "/", want: "prod"},
		{name: "none", listing: listing(entry("prod", "/acme/prod/")), path: "/elsewhere/", failure: "has no registry at ORIGIN/elsewhere/, expected the URL of one of these: ORIGIN/acme/prod/"},
		{name: "one of two, by the host", listing: listing(entry("a", "/a/"), entry("b", "/b/")), path: "/", failure: "has no registry at"},
		{name: "an exchange elsewhere", listing: strings.Replace(listing(entry("prod", "/")), `"exchange":"ORIGIN`, `"exchange":"https://evil.example`, 1), path: "/", failure: "exchange of the registry \"prod\" is elsewhere"},
		{name: "an exchange whose host only begins so", listing: strings.Replace(listing(entry("prod", "/")), `"exchange":"ORIGIN`, `"exchange":"ORIGIN.evil.example`, 1), path: "/", failure: "exchange of the registry \"prod\" is elsewhere"},
		{name: "a registry of another host", listing: strings.Replace(listing(entry("prod", "/"), entry("b", "/b/")), `"url":"ORIGIN/"`, `"url":"https://other.example/"`, 1), path: "/", failure: "has no registry"},
		{name: "no audience", listing: strings.Replace(listing(entry("prod", "/")), "aud-prod", "", 1), path: "/", failure: "has no audience"},
		{name: "a newer form", listing: `{"version":2,"registries":[]}`, path: "/", failure: "version 2 of the discovery"},
		{name: "no JSON", listing: `<html>`, path: "/", failure: "answered no JSON"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, map[string]string{wellKnown: tc.listing})
			got, err := New(nil, "test").Discover(t.Context(), s.URL+tc.path)
			if tc.failure != "" {
				if want := strings.ReplaceAll(tc.failure, "ORIGIN", s.URL); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
				return
			}
			if err != nil || got.Name != tc.want || got.Audience != "aud-"+tc.want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestCheckURL(t *testing.T) {
	for raw, ok := range map[string]bool{
		"https://pypi.example.com/acme/prod/": true, "http://localhost:8080/": true, "http://127.0.0.1:8080/x/": true, "http://[::1]:80/": true,
		"http://pypi.example.com/": false, "https://user@pypi.example.com/": false, "https://:secret@pypi.example.com/": false,
		"pypi.example.com": false, "ftp://pypi.example.com/": false, "": false, "http://localhost.evil.example/": false, "mailto:x": false,
	} {
		_, err := CheckURL(raw)
		if (err == nil) != ok {
			t.Errorf("%q: %v", raw, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error quotes a password", raw)
		}
	}
}

func TestExchangeAndRevoke(t *testing.T) {
	s := newSite(t, map[string]string{
		wellKnown:               listing(entry("prod", "/")),
		wellKnown + "/exchange": `{"token":"tpub_x","expires_at":"2026-01-01T00:00:00Z","expires_in":60,"registries":["prod"]}`,
		wellKnown + "/revoke":   "",
	})
	c := New(nil, "test")
	now := time.Now()
	c.now = func() time.Time { return now }
	reg, err := c.Discover(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Exchange(t.Context(), reg, "a.b.c")
	if err != nil {
		t.Fatal(err)
	}
	// The clocks of gateway and job may differ: only the span counts.
	if diff := cmp.Diff(Token{Value: "tpub_x", Expiry: now.Add(time.Minute), Registries: []string{"prod"}}, got); diff != "" {
		t.Error(diff)
	}
	if err := c.Revoke(t.Context(), reg, got.Value); err != nil {
		t.Error(err)
	}
	want := []string{
		"GET " + wellKnown, "POST " + wellKnown + `/exchange {"registry":"prod","token":"a.b.c"}`, "POST " + wellKnown + `/revoke {"token":"tpub_x"}`,
	}
	if diff := cmp.Diff(want, s.asked); diff != "" {
		t.Error(diff)
	}
}

// TestPEP807: an index that has nothing but Python's own discovery works too.
func TestPEP807(t *testing.T) {
	s := newSite(t, map[string]string{
		"/.well-known/pytp": `{"audience-endpoint":"ORIGIN/aud","token-mint-endpoint":"ORIGIN/mint","features":[]}`,
		"/aud":              `{"audience":"some-index"}`, "/mint": `{"token":"pypi-x","expires":4102444800}`,
	})
	c := New(nil, "test")
	c.now = func() time.Time { return time.Unix(4102444800-900, 0) }
	reg, err := c.Discover(t.Context(), s.URL+"/legacy/")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Registry{Name: "index", Ecosystem: "pypi", URL: s.URL + "/legacy/", Audience: "some-index", Exchange: s.URL + "/mint"}, reg); diff != "" {
		t.Error(diff)
	}
	token, err := c.Exchange(t.Context(), reg, "a.b.c")
	if err != nil || token.Value != "pypi-x" || token.Expiry.Unix() != 4102444800 {
		t.Errorf("%v %v", token.Expiry, err)
	}
	if err := c.Revoke(t.Context(), reg, token.Value); err != nil {
		t.Error(err)
	}
	want := []string{"GET " + wellKnown, "GET /.well-known/pytp?discover=%2Flegacy%2F", "GET /aud", `POST /mint {"token":"a.b.c"}`}
	if diff := cmp.Diff(want, s.asked); diff != "" {
		t.Error(diff)
	}
}

func TestRefusals(t *testing.T) {
	c := New(nil, "test")
	for name, tc := range map[string]struct {
		status  int
		answer  string
		refusal Refusal
		text    string
	}{
		"a problem": {
			403, `{"title":"Forbidden","detail":"no policy allows this [no_matching_policy]","code":"no_matching_policy","event":"e1"}`,
			Refusal{"exchange", 403, "no_matching_policy", "no policy allows this [no_matching_policy]", "e1"},
			"exchange: the gateway answered 403: no policy allows this [no_matching_policy]",
		},
		"a page":     {502, "<html>bad gateway</html>", Refusal{What: "exchange", Status: 502}, "exchange: the gateway answered 502"},
		"a redirect": {302, "", Refusal{What: "exchange", Status: 302}, "exchange: the gateway answered 302"},
		"a terminal's escapes": {
			400, `{"detail":"\u001b[31mred\nline"}`, Refusal{"exchange", 400, "", " [31mred line", ""}, "exchange: the gateway answered 400:  [31mred line",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, map[string]string{wellKnown: listing(entry("prod", "/")), wellKnown + "/exchange": tc.answer})
			s.status[wellKnown+"/exchange"] = tc.status
			reg, err := c.Discover(t.Context(), s.URL)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Exchange(t.Context(), reg, "a.b.c")
			var got *Refusal
			if !errors.As(err, &got) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(tc.refusal, *got); diff != "" || err.Error() != tc.text {
				t.Errorf("%q\n%s", err, diff)
			}
		})
	}
	for name, answer := range map[string]string{"no token": "{}", "no JSON": "tpub_secret", "a line break": `{"token":"a\nb"}`} {
		s := newSite(t, map[string]string{wellKnown: listing(entry("prod", "/")), wellKnown + "/exchange": answer})
		reg, err := c.Discover(t.Context(), s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exchange(t.Context(), reg, "a.b.c"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Run("neither discovery", func(t *testing.T) {
		s := newSite(t, nil)
		if _, err := c.Discover(t.Context(), s.URL+"/"); err == nil || !strings.Contains(err.Error(), "is trustpub in front of this host?") {
			t.Error(err)
		}
	})
}

// FuzzDiscovery: whatever a host answers, no endpoint is taken that is elsewhere.
func FuzzDiscovery(f *testing.F) {
	f.Add(`{"version":1,"registries":[{"name":"a","url":"https://h.example/","audience":"a","exchange":"https://h.example/x","revoke":"https://h.example/y"}]}`)
	f.Add(`{"registries":[{"url":"https://h.example/","audience":"a","exchange":"https://h.example.evil/","revoke":"https://h.example/"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var answer struct {
			Registries []Registry `json:"registries"`
		}
		if json.Unmarshal([]byte(text), &answer) != nil {
			return
		}
		u, _ := CheckURL("https://h.example/")
		reg, err := choose(u, "https://h.example", answer.Registries)
		if err != nil {
			return
		}
		for _, at := range []string{reg.Exchange, reg.Revoke, reg.URL} {
			if !strings.HasPrefix(at, "https://h.example/") {
				t.Errorf("%q is taken", at)
			}
		}
	})
}
