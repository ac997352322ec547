package mintapi

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/model"
)

const quoted = "canary-secret-of-the-answer"

// api is one of a handler's server.
func api(t testing.TB, handler http.HandlerFunc, change ...func(*Options)) *API {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	o := Options{}
	for _, f := range change {
		f(&o)
	}
	a, err := New(s.URL+"/base", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Kept().Open().Close() })
	return a
}

func TestDoSendsWhatTheCallSays(t *testing.T) {
	type seen struct{ Method, URI, Authorization, Accept, ContentType, Extra, Body string }
	for name, tc := range map[string]struct {
		call Call
		want seen
	}{
		"JSON and Basic": {
			Call{Method: "POST", Path: "/a%2Fb?q=1", User: "bot", Password: "pass", JSON: map[string]any{"b": 1, "a": "<x>"}},
			seen{"POST", "/base/a%2Fb?q=1", "Basic Ym90OnBhc3M=", "application/json", "application/json", "", `{"a":"<x>","b":1}`},
		},
		"form and bearer": {
			Call{Method: "POST", Path: "/t", Bearer: "tok", Form: map[string][]string{"grant_type": {"x y"}}},
			seen{"POST", "/base/t", "Bearer tok", "application/json", "application/x-www-form-urlencoded", "", "grant_type=x+y"},
		},
		"a header of its own": {
			Call{Method: "GET", Path: "/", Header: http.Header{"accept": {"text/plain"}, "X-Extra": {"1"}}},
			seen{"GET", "/base/", "", "text/plain", "", "1", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got seen
			a := api(t, func(w http.ResponseWriter, r *http.Request) {
				b := make([]byte, 1024)
				n, _ := r.Body.Read(b)
				h := r.Header
				got = seen{r.Method, r.RequestURI, h.Get("Authorization"), h.Get("Accept"), h.Get("Content-Type"), h.Get("X-Extra"), string(b[:n])}
				fmt.Fprint(w, `{"token":"abcdefgh"}`)
			})
			var answer struct {
				Token string `json:"token"`
			}
			tc.call.Expect, tc.call.Read = []int{http.StatusOK}, JSON(&answer)
			if status, err := a.Do(t.Context(), tc.call); err != nil || status != http.StatusOK || answer.Token != "abcdefgh" {
				t.Fatalf("got %d, %q, %v", status, answer.Token, err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("the request (-want +got):\n%s", diff)
			}
		})
	}
}

// TestErrors: each names the call, what was got and what to do, and quotes nothing.
// TestLook: the header of a success is looked at before its answer, which an error of Look leaves unread; of another status nothing is.
func TestLook(t *testing.T) {
	for name, tc := range map[string]struct {
		expect int
		look   error
		want   []string // what was called
		err    string
	}{
		"a success":      {http.StatusUnauthorized, nil, []string{"look Basic", "read {}"}, ""},
		"it is unfit":    {http.StatusUnauthorized, Unfit("no realm"), []string{"look Basic"}, "GET BASE/x: no realm"},
		"another status": {http.StatusOK, nil, nil, "GET BASE/x: got 401, expected 200"},
	} {
		t.Run(name, func(t *testing.T) {
			a := api(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", "Basic")
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprint(w, "{}")
			})
			var got []string
			_, err := a.Do(t.Context(), Call{
				Method: "GET", Path: "/x", Expect: []int{tc.expect},
				Look: func(h http.Header) error {
					got = append(got, "look "+h.Get("WWW-Authenticate"))
					return tc.look
				},
				Read: func(answer []byte) error {
					got = append(got, "read "+string(answer))
					return nil
				},
			})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("what was called (-want +got):\n%s", diff)
			}
			if want := strings.Replace(tc.err, "BASE", a.Base(), 1); want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
				t.Errorf("got %v, expected %q", err, want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); fmt.Fprint(w, body) }
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    string
		status  int
		down    bool
	}{
		"refused":         {answer(401, quoted), "got 401, expected 201: check the secret and its rights", 401, false},
		"forbidden":       {answer(403, quoted), "got 403, expected 201: check the secret and its rights", 403, false},
		"not found":       {answer(404, quoted), "got 404, expected 201: does url lead to the API?", 404, false},
		"a hint":          {answer(409, quoted), "got 409, expected 201: it is taken", 409, false},
		"a redirect":      {answer(302, quoted), "got 302, expected 201: redirects are not followed, write url as it is served", 302, false},
		"it fails":        {answer(500, quoted), "got 500, expected 201", 500, true},
		"it limits":       {answer(429, quoted), "got 429, expected 201", 429, true},
		"no JSON":         {answer(201, "<"+quoted), "the answer is not the JSON that was expected: does url lead to the API?", 0, false},
		"a number":        {answer(201, `{"token":1}`), "the answer is not the JSON that was expected: does url lead to the API?", 0, false},
		"twice":           {answer(201, `{"token":"a","token":"`+quoted+`"}`), "the answer is not the JSON that was expected: does url lead to the API?", 0, false},
		"another case":    {answer(201, `{"Token":"`+quoted+`"}`), "the answer has no token of 8 to 16384 bytes: does url lead to the API?", 0, false},
		"text behind":     {answer(201, `{"token":"abcdefgh"}`+quoted), "the answer is not the JSON that was expected: does url lead to the API?", 0, false},
		"bad UTF-8":       {answer(201, "{\"token\":\"abcdefgh\xff\"}"), "the answer is not the JSON that was expected: does url lead to the API?", 0, false},
		"a line break":    {answer(201, `{"token":"abcdefgh\r\nX: y"}`), "the answer's token has characters that no credential has", 0, false},
		"too large":       {answer(201, strings.Repeat(" ", 2048)), "the answer is larger than 1024 bytes", 0, true},
		"cut":             {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "the connection ended before the answer (EOF)", 0, true},
		"not HTTP":        {hijack(quoted + "\r\n\r\n"), "the connection broke, or what answers does not speak HTTP: does url lead to the API?", 0, true},
		"a cut body":      {hijack("HTTP/1.1 201 OK\r\nContent-Length: 100\r\n\r\n" + quoted), "the connection ended before the answer (EOF)", 0, true},
		"no whole status": {hijack("HTTP/1.1 " + quoted + "\r\n\r\n"), "the connection broke, or what answers does not speak HTTP: does url lead to the API?", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := api(t, tc.handler, func(o *Options) { o.MaxAnswer = 1024 })
			var made struct {
				Token string `json:"token"`
			}
			_, err := a.Do(t.Context(), Call{
				Method: "POST", Path: "/mint?who=x", Password: "canary-password", Expect: []int{201, 204},
				Read: func(b []byte) error {
					if err := JSON(&made)(b); err != nil {
						return err
					}
					return CheckSecret("token", made.Token)
				},
				Hint: func(status int) string { return map[int]string{409: "it is taken"}[status] },
			})
			if err == nil {
				t.Fatal("got no error")
			}
			if diff := cmp.Diff("POST "+a.Base()+"/mint: "+tc.want, err.Error()); diff != "" {
				t.Errorf("the error (-want +got):\n%s", diff)
			}
			if got := statusOf(err); got != tc.status {
				t.Errorf("got status %d, expected %d", got, tc.status)
			}
			var denial *model.Denial
			if errors.As(err, &denial) != tc.down || tc.down && (denial.RetryAfter <= 0 || strings.Contains(denial.Sentence(), "/mint")) {
				t.Errorf("got %v, expected a denial with a time: %t", denial, tc.down)
			}
		})
	}
}

func hijack(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = conn.Write([]byte(text))
			_ = conn.Close()
		}
	}
}

// TestUnreachable: nobody listens, nobody answers in time, and the caller goes.
func TestUnreachable(t *testing.T) {
	get := Call{Method: "GET", Path: "/", Expect: []int{200}}
	gone := httptest.NewServer(nil)
	gone.Close()
	a, err := New(gone.URL, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Do(t.Context(), get); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v, expected a refused connection", err)
	}
	release := make(chan struct{})
	hang := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	slow := api(t, hang, func(o *Options) { o.Timeout = 50 * time.Millisecond })
	if _, err := slow.Do(t.Context(), get); err == nil || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("got %v, expected the end of the time", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	left := api(t, hang)
	for range 5 { // says nothing about the API
		if _, err := left.Do(ctx, get); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, expected the caller's end", err)
		}
	}
	close(release)
	if _, err := left.Do(t.Context(), get); err != nil {
		t.Errorf("got %v after callers went away, expected an answer", err)
	}
}

// TestCA: a private certificate authority is trusted where it is configured, and nobody else's.
func TestCA(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = nil
	defer s.Close()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	get := Call{Method: "GET", Path: "/", Expect: []int{200}}
	for ca, want := range map[string]string{path: "", "": "is its certificate authority in ca?"} {
		a, err := New(s.URL, Options{CAFile: ca})
		if err != nil {
			t.Fatal(err)
		}
		_, err = a.Do(t.Context(), get)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("ca %q: got %v, expected %q", ca, err, want)
		}
		_ = a.Kept().Open().Close()
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{empty, "/nowhere/ca.pem"} {
		if _, err := New(s.URL, Options{CAFile: bad}); err == nil || !strings.Contains(err.Error(), "ca") || !strings.Contains(err.Error(), bad) {
			t.Errorf("got %v, expected an error that names ca and the file", err)
		}
	}
}

// TestNoProxyOfTheEnvironment: the secret is for the API alone.
func TestNoProxyOfTheEnvironment(t *testing.T) {
	if a := api(t, nil); a.live.Load().client.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy of the environment is used")
	}
}

// TestCallsAtOnce: no more than the limit are under way.
func TestCallsAtOnce(t *testing.T) {
	arrived, release := make(chan struct{}, 2*maxCalls), make(chan struct{})
	a := api(t, func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-release })
	var wg sync.WaitGroup
	for range 2 * maxCalls {
		wg.Go(func() {
			if _, err := a.Do(t.Context(), Call{Method: "GET", Path: "/", Expect: []int{200}}); err != nil {
				t.Error(err)
			}
		})
	}
	for range maxCalls {
		<-arrived
	}
	if got := len(a.live.Load().calls); got != maxCalls {
		t.Errorf("got %d calls under way, expected %d", got, maxCalls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Do(ctx, Call{Method: "GET", Path: "/", Expect: []int{200}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v from one that waits and goes, expected its end", err)
	}
	close(release)
	wg.Wait()
}

// TestKept: sources of one base share what is known of it, over a reload; others don't.
func TestKept(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	calls := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { calls++; w.WriteHeader(503) }))
	defer s.Close()
	first, _ := New(s.URL, Options{Now: clock})
	second, _ := New(s.URL, Options{Now: clock})
	other, _ := New(s.URL+"/other", Options{Now: clock})
	pool := map[string]credential.Kept{}
	for _, a := range []*API{first, second, other} {
		k := a.Kept()
		if old, ok := pool[k.Key]; ok {
			k.Use(old.Open())
		} else {
			pool[k.Key] = k
			k.Use(k.Open())
		}
	}
	get := Call{Method: "GET", Path: "/", Expect: []int{200}}
	for range patience {
		_, _ = first.Do(t.Context(), get)
	}
	if _, err := second.Do(t.Context(), get); err == nil || !strings.Contains(err.Error(), "left alone for a while") || calls != patience {
		t.Errorf("got %v and %d calls, expected that the second leaves it alone too", err, calls)
	}
	if _, err := other.Do(t.Context(), get); statusOf(err) != 503 {
		t.Errorf("got %v, expected a call of another base", err)
	}
}

func TestCheckURL(t *testing.T) {
	for text, want := range map[string]string{
		"http://gitea:3000": "http://gitea:3000", "https://a.example.com/sub//": "https://a.example.com/sub",
	} {
		if got, err := CheckURL(text, "http://x"); got != want || err != nil {
			t.Errorf("%s: got %q, %v, expected %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "gitea", "ftp://x", "http://", "http://x?y", "http://x?", "http://x#y", "http://u:canary@x", "http://x\x7f"} {
		if _, err := CheckURL(text, "http://x"); err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "url") {
			t.Errorf("%q: got %v, expected a refusal without the password", text, err)
		}
	}
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-1": 0, "x": 0, "99999": maxRetryAfter, "99999999999999999999": 0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0, now.Add(time.Hour).Format(http.TimeFormat): maxRetryAfter,
	} {
		if got := parseRetryAfter(text, now); got != want {
			t.Errorf("%q: got %s, expected %s", text, got, want)
		}
	}
}

// TestBreaker walks through the life of an API that goes down and comes back.
func TestBreaker(t *testing.T) {
	now := time.Now()
	b := newBreaker(func() time.Time { return now })
	call := func(how outcome) bool {
		probe, wait := b.enter()
		if wait > 0 {
			return false
		}
		b.leave(probe, how, 0)
		return true
	}
	for i := range patience {
		if !call(failed) {
			t.Fatalf("failure %d was not let through", i+1)
		}
	}
	wait := firstWait
	for range 8 {
		if call(ended) {
			t.Fatalf("a call was let through after a failure, expected a wait of %s", wait)
		}
		now = now.Add(wait - time.Millisecond)
		if call(ended) {
			t.Fatalf("a call was let through before %s", wait)
		}
		now = now.Add(wait/4 + 2*time.Millisecond)
		probe, w := b.enter()
		if !probe || w != 0 {
			t.Fatalf("got no try after %s", wait)
		}
		if _, w := b.enter(); w == 0 {
			t.Fatal("two try at the same time")
		}
		b.leave(probe, failed, 0)
		wait = min(2*wait, lastWait)
	}
	now = now.Add(2 * lastWait)
	if !call(unknown) || !call(ended) || !call(failed) || !call(failed) || !call(ended) {
		t.Error("an API that answers again is not used, or one failure ends it")
	}
}

// statusOf is the status of a call that the API refused; zero for every other error.
func statusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}
