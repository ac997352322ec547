package exchange

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestHostileDiscovery: what a gateway says of itself can't be more than a name, an audience and URLs of its own, wherever it is written to.
func TestHostileDiscovery(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"a line break in the URL":               func(m map[string]any) { m["url"] = "ORIGIN/\nLD_PRELOAD=/tmp/x" },
		"a command in the URL":                  func(m map[string]any) { m["url"] = "ORIGIN/$(id)/" },
		"a backquote in the URL":                func(m map[string]any) { m["url"] = "ORIGIN/`id`/" },
		"a quote in the URL":                    func(m map[string]any) { m["url"] = `ORIGIN/"/` },
		"a space in the URL":                    func(m map[string]any) { m["url"] = "ORIGIN/ x/" },
		"a semicolon in the URL":                func(m map[string]any) { m["url"] = "ORIGIN/;id/" },
		"a variable of npm in the URL":          func(m map[string]any) { m["url"] = "ORIGIN/${NPM_TOKEN}/" },
		"a user in the URL":                     func(m map[string]any) { m["url"] = strings.Replace(m["url"].(string), "://", "://user:x@", 1) },
		"a line break in the exchange":          func(m map[string]any) { m["exchange"] = "ORIGIN/x\r\nX: y" },
		"a line break in the name":              func(m map[string]any) { m["name"] = "prod]\n[other" },
		"an assignment in the name":             func(m map[string]any) { m["name"] = "x=y" },
		"no name":                               func(m map[string]any) { m["name"] = "" },
		"a long name":                           func(m map[string]any) { m["name"] = strings.Repeat("n", 200) },
		"an element in the name":                func(m map[string]any) { m["name"] = "</id>" },
		"a line break in the ecosystem":         func(m map[string]any) { m["ecosystem"] = "pypi\n" },
		"a command of the CI's in the audience": func(m map[string]any) { m["audience"] = "x\n::stop-commands::y" },
		"an escape in the audience":             func(m map[string]any) { m["audience"] = "x\x1b[2J" },
		"a quote in the audience":               func(m map[string]any) { m["audience"] = `x","sub":"y` },
	} {
		t.Run(name, func(t *testing.T) {
			const base = "ORIGIN/.well-known/trusted-publishing"
			one := map[string]any{
				"name": "prod", "ecosystem": "pypi", "url": "ORIGIN/", "audience": "aud", "exchange": base + "/exchange", "revoke": base + "/revoke",
			}
			s := newSite(t, nil)
			one["url"] = s.URL + "/"
			change(one)
			text, err := json.Marshal(one)
			if err != nil {
				t.Fatal(err)
			}
			s.answers = map[string]string{wellKnown: listing(string(text))}
			reg, err := New(nil, "test").Discover(t.Context(), s.URL)
			if err == nil {
				t.Fatalf("it was taken: %+v", reg)
			}
			plain(t, err)
		})
	}
}

// plain fails the test where an error is more than one line of ASCII, or has a command of a CI platform.
func plain(t *testing.T, err error) {
	t.Helper()
	if text := err.Error(); strings.Contains(text, "##") || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("the error could be read as a command or an escape: %q", text)
	}
}

// TestHostileTokens: a token has the characters of one, and an end that a clock can reach.
func TestHostileTokens(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	for _, tc := range []struct {
		answer string
		life   time.Duration // 0: refused
	}{
		{`{"token":"tpub_x","expires_in":60}`, time.Minute},
		{`{"token":"tpub_x","expires_in":9223372036854775807}`, 24 * time.Hour},
		{`{"token":"tpub_x","expires_in":9300000000}`, 24 * time.Hour},
		{`{"token":"tpub_x","expires":9223372036854775807}`, 24 * time.Hour},
		{`{"token":"tpub_x","expires_in":-1}`, 15 * time.Minute},
		{`{"token":"tpub_x\nLD_PRELOAD=/tmp/x"}`, 0},
		{`{"token":"tpub_x\" \"y"}`, 0},
		{`{"token":"tpub_$(id)"}`, 0},
		{`{"token":"${HOME}"}`, 0},
		{`{"token":"tpub_x%0A::stop-commands::y"}`, 0},
		{`{"token":"tpub_\u001b[2J"}`, 0},
		{`{"token":""}`, 0},
		{`{"token":["tpub_x"]}`, 0},
	} {
		s := newSite(t, map[string]string{wellKnown + "/exchange": tc.answer})
		c := New(nil, "test")
		c.now = func() time.Time { return now }
		got, err := c.Exchange(t.Context(), &Registry{Exchange: s.URL + wellKnown + "/exchange"}, "a.b.c")
		if tc.life == 0 {
			if err == nil {
				t.Errorf("%s was taken: %q", tc.answer, got.Value)
			} else {
				plain(t, err)
			}
			continue
		}
		if err != nil || got.Expiry.Sub(now).Round(time.Second) != tc.life {
			t.Errorf("%s: it ends after %s, %v, want %s", tc.answer, got.Expiry.Sub(now), err, tc.life)
		}
	}
}

// TestHostileErrors: neither an answer nor what breaks the protocol gets a command, an escape or a line of its own into a job's log.
func TestHostileErrors(t *testing.T) {
	const evil = "##vso[task.setvariable variable=PATH]/tmp ##[stop-commands]x\x1b[2J"
	body, err := json.Marshal(map[string]string{"detail": evil + "\n::stop-commands::x", "code": evil, "event": evil})
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]string{
		"a refusal":            fmt.Sprintf("HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"no HTTP":              evil + "\r\n\r\n",
		"a status that is odd": "HTTP/1.1 " + evil + "\r\n\r\n",
		"a header that is odd": "HTTP/1.1 200 OK\r\n" + evil + "\r\n\r\n",
		"a redirect elsewhere": "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://evil.example/" + "##vso[x]" + "\r\nContent-Length: 0\r\n\r\n",
		"a registry elsewhere": "HTTP/1.1 200 OK\r\n\r\n" + `{"version":1,"registries":[{"url":"https://evil.example/##vso[x]"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			at := answering(t, answer)
			c := New(nil, "test")
			for _, err := range []error{
				only(c.Discover(t.Context(), at+"/acme/")),
				only(c.Exchange(t.Context(), &Registry{Exchange: at + wellKnown + "/exchange"}, "a.b.c")),
				c.Revoke(t.Context(), &Registry{Revoke: at + wellKnown + "/revoke"}, "tpub_x"),
			} {
				if err == nil {
					if name != "a registry elsewhere" {
						t.Error("want an error")
					}
					continue
				}
				plain(t, err)
			}
		})
	}
}

func only[T any](_ T, err error) error { return err }

// answering is a server that answers everything with these bytes.
func answering(t *testing.T, answer string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(conn, answer)
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// TestNames: an audience belongs to the host that it begins with, and to no other.
func TestNames(t *testing.T) {
	for _, tc := range []struct {
		audience, registry string
		want               bool
	}{
		{"pypi.example.com", "https://pypi.example.com/acme/prod/", true},
		{"PyPI.example.com", "https://pypi.example.com/", true},
		{"pypi.example.com/acme/prod", "https://pypi.example.com/acme/prod/", true},
		{"https://pypi.example.com", "https://pypi.example.com/", true},
		{"https://pypi.example.com/acme", "https://pypi.example.com/", true},
		{"localhost:8443", "https://localhost:8443/", true},
		{"npm:npm.example.com", "https://npm.example.com:8443/", true},
		{"npm:npm.example.com:8443", "https://npm.example.com:8443/", true},
		{"npm:evil.example", "https://npm.example.com/", false},
		{"pypi.example.com", "https://evil.example/pypi.example.com/", false},
		{"pypi.example.com", "https://pypi.example.com.evil.example/", false},
		{"pypi.example.com.evil.example", "https://pypi.example.com/", false},
		{"pypi.example.com@evil.example", "https://pypi.example.com/", false},
		{"http://pypi.example.com", "https://pypi.example.com/", false},
		{"localhost", "https://localhost:8443/", false},
		{"pypi", "https://pypi.example.com/", false},
		{"sts.amazonaws.com", "https://pypi.example.com/", false},
		{"api://AzureADTokenExchange", "https://pypi.example.com/", false},
		{"", "https://pypi.example.com/", false},
		{"", "", false},
		{"/x", "no URL", false},
	} {
		if got := Names(tc.audience, tc.registry); got != tc.want {
			t.Errorf("Names(%q, %q) = %t", tc.audience, tc.registry, got)
		}
	}
	if !SameHost("https://a.example/x", "https://A.example/y") || SameHost("https://a.example", "http://a.example") || SameHost("https://a.example", "https://b.example") || SameHost("", "") {
		t.Error("SameHost says something else")
	}
}
