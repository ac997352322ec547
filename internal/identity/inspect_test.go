package identity

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/demo/issuer"
)

// TestInspect: an issuer is asked anew, its keys are counted by what they are for, and its clock is compared with ours.
func TestInspect(t *testing.T) {
	at := func(d time.Duration, headers ...string) issuer.Interceptor {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Date", noon.Add(d).Format(http.TimeFormat))
			for n := 0; n < len(headers); n += 2 {
				w.Header().Set(headers[n], headers[n+1])
			}
			return false
		}
	}
	found := func(skew time.Duration) Inspection {
		return Inspection{Keys: 2, Usable: []string{"RS256", "ES256"}, Dated: true, Skew: skew}
	}
	undated := found(0)
	undated.Dated = false
	for _, tc := range []struct {
		name   string
		answer issuer.Interceptor
		want   Inspection
		err    string
	}{
		{"well", at(0), found(0), ""},
		{"within the second that it shows", at(-time.Second), found(0), ""},
		{"ahead", at(10 * time.Minute), found(10 * time.Minute), ""},
		{"behind", at(-10 * time.Minute), found(-10*time.Minute + time.Second), ""},
		{"out of a cache", at(-10*time.Minute, "Age", "600"), found(0), ""},
		{"out of a cache of no age", at(10*time.Minute, "Age", "-600"), found(10 * time.Minute), ""},
		{"without a time", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header()["Date"] = nil
			return false
		}, undated, ""},
		{"down", func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}, Inspection{}, "status 503, expected 200"},
		{"another issuer", func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte(`{"issuer":"https://other.example.com"}`))
			return true
		}, Inspection{}, `issuer is "https://other.example.com", expected "`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			r.dev.Intercept(tc.answer)
			got, err := r.issuer.Inspect(t.Context())
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got error %v, expected %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			tc.want.KeysURL = r.dev.URL() + issuer.JWKSPath
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestInspectAlgorithms: keys that no configured algorithm fits are no keys.
func TestInspectAlgorithms(t *testing.T) {
	r := sharedRig(t, func(c *Config) { c.Algorithms = []string{"EdDSA", "ES256"} })
	got, err := r.issuer.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ES256"}, got.Usable); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
