package mintapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

// TestLentCalls: a library gets the answers of the calls that it was lent, and makes no others.
func TestLentCalls(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a call elsewhere was made") }))
	t.Cleanup(elsewhere.Close)
	a := api(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			t.Error("the library's own header is gone")
		}
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/base/token":
			w.Header().Set("Set-Cookie", quoted)
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"got":"`+string(body)+r.URL.RawQuery+`"}`)
		case "/base/refused":
			http.Error(w, `{"error":"invalid_grant","text":"`+quoted+`"}`, http.StatusBadRequest)
		case "/base/down":
			http.Error(w, quoted, http.StatusServiceUnavailable)
		case "/base/unfit":
			_, _ = io.WriteString(w, quoted)
		case "/base/moved":
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}
	})
	lent := func(path string) Lent {
		return Lent{API: a, Call: Call{
			Method: "POST", Path: path, Expect: []int{200}, Read: func(b []byte) error { return JSON(new(map[string]string))(b) },
			Refusal: func(_ int, answer []byte) string {
				if strings.Contains(string(answer), "invalid_grant") {
					return "our own words"
				}
				return ""
			},
		}}
	}
	for name, tc := range map[string]struct {
		method, url string
		want        string // of the error; empty: a success
		status      int
	}{
		"lent":           {"POST", a.Base() + "/token?q=1", "", 0},
		"refused":        {"POST", a.Base() + "/refused", "got 400, expected 200: our own words", 400},
		"down":           {"POST", a.Base() + "/down", "got 503, expected 200", 503},
		"unfit":          {"POST", a.Base() + "/unfit", "the answer is not the JSON", 0},
		"redirected":     {"POST", a.Base() + "/moved", "redirects are not followed", 307},
		"another method": {"GET", a.Base() + "/token", "not one of this source's", 0},
		"another path":   {"POST", a.Base() + "/other", "not one of this source's", 0},
		"an escape":      {"POST", a.Base() + "/x/../token", "not one of this source's", 0},
		"another host":   {"POST", elsewhere.URL + "/base/token", "not one of this source's", 0},
		"metadata":       {"PUT", "http://169.254.169.254/latest/api/token", "not one of this source's", 0},
	} {
		t.Run(name, func(t *testing.T) {
			client := Lend(lent("/token"), lent("/refused"), lent("/down"), lent("/unfit"), lent("/moved"))
			req, err := http.NewRequestWithContext(t.Context(), tc.method, tc.url, strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "signature")
			res, err := (&http.Client{Transport: client}).Do(req)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				body, _ := io.ReadAll(res.Body)
				if string(body) != `{"got":"bodyq=1"}` || res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Set-Cookie") != "" {
					t.Errorf("got %s %v %s", res.Status, res.Header, body)
				}
				return
			}
			cause := client.Cause(errors.New("the library quotes " + quoted))
			if err == nil || !strings.Contains(cause.Error(), tc.want) || strings.Contains(cause.Error(), quoted) || statusOf(cause) != tc.status {
				t.Errorf("got %v and cause %v, expected %q and status %d", err, cause, tc.want, tc.status)
			}
			var denial *model.Denial
			if down := errors.As(cause, &denial); down != (tc.status == 503) {
				t.Errorf("got a denial: %t", down)
			}
		})
	}
}

// TestLentCause: what the library says by itself is not shown.
func TestLentCause(t *testing.T) {
	client := Lend()
	if err := client.Cause(nil); err != nil {
		t.Errorf("got %v, expected none", err)
	}
	if err := client.Cause(errors.New(quoted)); err == nil || strings.Contains(err.Error(), quoted) {
		t.Errorf("got %v, expected an error that does not quote the library's", err)
	}
	if err := client.Cause(context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, expected that the caller has gone", err)
	}
}
