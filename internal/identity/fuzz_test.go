package identity

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/demo/issuer"
)

// Whatever parseToken accepts has one spelling: encoding the decoded parts again gives the same text, and another decoder
// reads the same claims. Whatever it accepts of a known issuer is also ours.
func FuzzToken(f *testing.F) {
	dev, err := issuer.New("https://issuer.example.com", issuer.Options{})
	if err != nil {
		f.Fatal(err)
	}
	good := dev.Token(audience, nil)
	h, rest, _ := strings.Cut(good, ".")
	p, s, _ := strings.Cut(rest, ".")
	for _, seed := range []string{
		good, dev.TokenAlg(issuer.ES256, audience, nil), "", ".", "..", "a.b.c", h + "." + p + ".", good + ".", good + "\n",
		h + "=." + p + "." + s, h + "." + p[:5] + "\n" + p[5:] + "." + s,
		b64(`{"alg":"none"}`) + "." + p + ".", b64(`{"alg":"RS256","kid":"a","crit":["exp"]}`) + "." + p + "." + s,
		h + "." + b64(`{"iss":"a","iss":"b"}`) + "." + s, h + "." + b64(`{"iss":"a","\u0069ss":"b"}`) + "." + s,
		h + "." + b64(`{"a":1e999,"b":-0,"c":1.0}`) + "." + s, h + "." + b64(strings.Repeat(`{"a":`, 40)) + "." + s,
		h + "." + b64("{\"a\":\"\xff\"}") + "." + s, h + "." + b64(`{} {}`) + "." + s,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		_, digest, _ := tokenKey(raw)
		parsed, err := parseToken(raw, digest)
		if err != nil {
			for part := range strings.SplitSeq(raw, ".") {
				if len(part) >= 24 && strings.Contains(err.Error(), part) {
					t.Errorf("the error holds a part of the token: %v", err)
				}
			}
			return
		}
		parts := strings.Split(raw, ".")
		if len(parts) != 3 || parsed.alg == "" || parsed.kid == "" {
			t.Fatalf("accepted %q", raw)
		}
		for _, part := range parts {
			decoded, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil || base64.RawURLEncoding.EncodeToString(decoded) != part {
				t.Fatalf("a second spelling was accepted: %q", part)
			}
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		var other map[string]any
		if err := json.Unmarshal(payload, &other); err != nil && !strings.Contains(err.Error(), "number") {
			t.Fatalf("another decoder refuses the claims: %v", err)
		} else if err == nil && len(other) != len(parsed.claims) {
			t.Fatalf("another decoder reads %d claims, we read %d", len(other), len(parsed.claims))
		}
		if iss, ok := parsed.claims["iss"].(string); ok && !looseIssuer(raw, func(s string) bool { return s == iss }) {
			t.Fatalf("an accepted token is not ours: %q", raw)
		}
	})
}

// What the fast reading of JSON gives is what the reading by tokens gives, and nothing that the latter refuses.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { "a" : [ ] , "b":[1,-2.5e+3,true,false,null,"x"]}	`, `{"a":{"b":{"c":[[],{}]}}}`, `{"\u0061\n\"\\":"\ud83d\ude00\/","é":"ü"}`,
		`{"a":1,"\u0061":2}`, `{"a":"\ud800"}`, `{"a":01}`, `{"a":1}x`, `{"a":1,}`, `{"a"}`, `[]`, `"a"`, ``, `{`, `{"a":tru}`, "{\"a\":\"\xff\"}",
		strings.Repeat(`{"a":`, maxDepth) + "1" + strings.Repeat("}", maxDepth), strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseObject(data)
		want, wanted := parseTokens(data)
		if (err == nil) != (wanted == nil) || err != nil && err.Error() != wanted.Error() {
			t.Fatalf("got error %v, want %v", err, wanted)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Reading a key set of a stranger never panics, and never gives more or other keys than allowed.
func FuzzKeySet(f *testing.F) {
	dev, err := issuer.New("https://issuer.example.com", issuer.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(dev.JWKS())
	for _, seed := range []string{
		`{"keys":[]}`, `{"keys":[{}]}`, `{"keys":[1]}`, `{"keys":{}}`, `[]`, ``,
		`{"keys":[{"kty":"oct","kid":"a","k":"c2VjcmV0"}]}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
		`{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"AA","y":"AA"}]}`,
		`{"keys":[{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, _, err := parseKeySet(data)
		if err != nil {
			return
		}
		if len(keys) == 0 || len(keys) > maxKeys {
			t.Fatalf("%d keys", len(keys))
		}
		for kid, key := range keys {
			if kid == "" || checkKey(key.key) != nil {
				t.Fatalf("key %q is used", kid)
			}
		}
		fingerprint(keys)
	})
}
