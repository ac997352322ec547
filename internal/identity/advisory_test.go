package identity

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// The tests below bear the names of classes of advisories about other verifiers; docs/advisories.md says which.

// stranger is a server of an attacker's, and how often anybody asked it for something.
func stranger(t *testing.T) (address string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(s.Close)
	return s.URL, asked
}

// forged is a token of that header and those claims, signed by nobody.
func forged(t *testing.T, header, claims map[string]any) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return part(header) + "." + part(claims) + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 256))
}

// TestAdvisoryTokenChoosesNoURL: nothing in a token makes the verifier ask somebody: not its issuer, nor an address of keys in its header.
func TestAdvisoryTokenChoosesNoURL(t *testing.T) {
	r := sharedRig(t, nil)
	r.accept(t, r.token())
	address, asked := stranger(t)
	own := r.dev.URL()
	for _, raw := range []string{
		forged(t, map[string]any{"alg": "RS256", "kid": "x"}, map[string]any{"iss": address, "aud": audience}),
		forged(t, map[string]any{"alg": "RS256", "kid": "x"}, map[string]any{"iss": own + "/@" + strings.TrimPrefix(address, "http://")}),
		forged(t, map[string]any{"alg": "RS256", "kid": "x"}, map[string]any{"iss": []string{own, address}}),
		forged(t, map[string]any{"alg": "RS256", "kid": "x", "jku": address + "/keys"}, map[string]any{"iss": own}),
		forged(t, map[string]any{"alg": "RS256", "kid": "x", "x5u": address + "/cert"}, map[string]any{"iss": own}),
		forged(t, map[string]any{"alg": "RS256", "kid": address + "/keys"}, map[string]any{"iss": own}),
		forged(t, map[string]any{"alg": "RS256", "kid": "../../../" + address}, map[string]any{"iss": own}),
	} {
		_ = r.deny(t, raw)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the stranger was asked %d times", n)
	}
}

// TestAdvisoryDiscoveryRedirects: an issuer that sends the verifier elsewhere, by a redirect or by the address of its keys, is not followed.
func TestAdvisoryDiscoveryRedirects(t *testing.T) {
	for _, at := range []string{"/.well-known/openid-configuration", "keys"} {
		address, asked := stranger(t)
		clock := newClock()
		dev := newDev(t, clock)
		dev.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
			if at == "keys" == strings.Contains(req.URL.Path, "well-known/openid-configuration") {
				return false
			}
			http.Redirect(w, req, address+req.URL.Path, http.StatusFound)
			return true
		})
		r := rigOn(t, clock, dev, nil)
		want(t, r.deny(t, r.token()), model.CodeIssuerUnavailable, "")
		if n := asked.Load(); n != 0 {
			t.Errorf("%s: the stranger was asked %d times", at, n)
		}
	}
}

// TestAdvisoryTokensOfDots: a text of nothing but dots, or of many parts, costs no memory and no time.
func TestAdvisoryTokensOfDots(t *testing.T) {
	r := sharedRig(t, nil)
	r.accept(t, r.token())
	for name, raw := range map[string]string{
		"dots":        strings.Repeat(".", 1<<20),
		"many parts":  strings.Repeat("eyJh.", 1<<18),
		"long":        "eyJhbGciOiJSUzI1NiJ9." + strings.Repeat("A", 4<<20) + ".AA",
		"nested":      "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat(`{"a":`, 5000))) + ".AA",
		"nested list": "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":`+strings.Repeat("[", 20_000))) + ".AA",
	} {
		began := time.Now()
		got := testing.AllocsPerRun(1, func() {
			r.Ours(raw)
			_, err := r.Verify(t.Context(), raw, audiences)
			if err == nil {
				t.Errorf("%s is accepted", name)
			}
		})
		if got > 1000 {
			t.Errorf("%s: %.0f allocations", name, got)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s took %s", name, took)
		}
	}
}

// TestAdvisoryEncryptedTokens: a token that is encrypted is refused before a password's rounds are counted or anything is unpacked.
func TestAdvisoryEncryptedTokens(t *testing.T) {
	r := sharedRig(t, nil)
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	claims := part(`{"iss":"` + r.dev.URL() + `"}`)
	for _, raw := range []string{
		part(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}`) + "." + claims + ".AAAA.AAAA.AAAA",
		part(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA","kid":"x"}`) + "." + claims + ".AAAA",
		part(`{"alg":"RSA-OAEP","enc":"A128GCM","zip":"DEF"}`) + "." + claims + ".AAAA.AAAA.AAAA",
		part(`{"alg":"dir","enc":"A128GCM","kid":"x"}`) + "." + claims + ".AAAA",
	} {
		if d := r.deny(t, raw); d.Code != model.CodeInvalidToken {
			t.Errorf("%v", d)
		}
	}
}

// TestAdvisoryAlgorithms: what a header says of its algorithm never weakens a key's.
func TestAdvisoryAlgorithms(t *testing.T) {
	r := sharedRig(t, nil)
	good := r.token()
	head, rest, _ := strings.Cut(good, ".")
	header, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	payload, _, _ := strings.Cut(rest, ".")
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "", "HS256", "HS512", "RS512", "PS256", "ES256", "EdDSA", "RS256 ", "rs256"} {
		other := strings.Replace(string(header), `"RS256"`, `"`+alg+`"`, 1)
		if other == string(header) {
			t.Fatalf("no algorithm in %s", header)
		}
		changed := base64.RawURLEncoding.EncodeToString([]byte(other))
		for _, signature := range []string{"", "AA", good[strings.LastIndexByte(good, '.')+1:]} {
			if d := r.deny(t, changed+"."+payload+"."+signature); d.Code != model.CodeInvalidToken {
				t.Errorf("%q: %v", alg, d)
			}
		}
	}
}

// TestAdvisoryExpiredAndForged: a token with two faults is not accepted for one of them that is forgiven.
func TestAdvisoryExpiredAndForged(t *testing.T) {
	r := newRig(t, nil)
	raw := r.token()
	r.accept(t, raw)
	cut := strings.LastIndexByte(raw, '.') + 1
	bad := raw[:cut] + strings.Repeat("A", len(raw)-cut)
	want(t, r.deny(t, bad), model.CodeInvalidToken, "signature") // though the good one is remembered
	r.clock.advance(2 * time.Hour)
	_ = r.deny(t, bad)
	want(t, r.deny(t, raw), model.CodeExpired, "expiry")
}
