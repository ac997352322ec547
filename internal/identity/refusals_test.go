package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// header is the header of a good token with some members replaced; nil removes one.
func (r *rig) header(over map[string]any) map[string]any {
	h := map[string]any{"alg": "RS256", "typ": "JWT", "kid": r.dev.KeyID(issuer.RS256)}
	maps.Copy(h, over)
	maps.DeleteFunc(h, func(_ string, v any) bool { return v == nil })
	return h
}

// payload is the JSON of a good token's claims with some replaced.
func (r *rig) payload(t *testing.T, over map[string]any) string {
	t.Helper()
	data, err := json.Marshal(r.dev.Claims(audience, over))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// withHeader signs good claims under another header.
func (r *rig) withHeader(t *testing.T, over map[string]any) string {
	t.Helper()
	return r.dev.Sign(issuer.RS256, r.header(over), []byte(r.payload(t, nil)))
}

// parts takes a good token apart.
func (r *rig) parts() (header, payload, signature string) {
	p := strings.Split(r.token(), ".")
	return p[0], p[1], p[2]
}

// hmacWithPublicKey signs with HS256 and the issuer's public key as the secret.
func (r *rig) hmacWithPublicKey(t *testing.T, asPEM bool) string {
	t.Helper()
	secret, err := x509.MarshalPKIXPublicKey(r.dev.PublicKey(issuer.RS256))
	if err != nil {
		t.Fatal(err)
	}
	if asPEM {
		secret = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: secret})
	}
	header, err := json.Marshal(r.header(map[string]any{"alg": "HS256"}))
	if err != nil {
		t.Fatal(err)
	}
	input := b64(string(header)) + "." + b64(r.payload(t, nil))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + b64(string(mac.Sum(nil)))
}

// Each case breaks one thing of a good token. The cases of the OpenID conformance suite for relying parties are among them
// (no signature, wrong signature, HS256, wrong issuer, missing and wrong claims, absent kid), read from its specification.
func TestRefusedTokens(t *testing.T) {
	r := sharedRig(t, nil)
	h, p, s := r.parts()
	claim := func(name string, value any) string { return r.dev.Token(audience, map[string]any{name: value}) }
	at := func(d time.Duration) int64 { return noon.Add(d).Unix() }
	other, err := issuer.New(r.dev.URL(), issuer.Options{Now: r.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	rawPayload := func(json string) string { return r.dev.Sign(issuer.RS256, r.header(nil), []byte(json)) }
	good := r.payload(t, nil)
	insert := func(members string) string { return rawPayload("{" + members + "," + good[1:]) }

	tests := []struct {
		name  string
		raw   string
		code  model.Code
		field string
	}{
		// The spelling.
		{"empty", "", model.CodeInvalidToken, ""},
		{"one part", h, model.CodeInvalidToken, ""},
		{"two parts", h + "." + p, model.CodeInvalidToken, ""},
		{"four parts", r.token() + "." + s, model.CodeInvalidToken, ""},
		{"five parts, as encrypted", h + ".a.b.c.d", model.CodeInvalidToken, ""},
		{"padding", h + "." + p + "." + s + "==", model.CodeInvalidToken, ""},
		{"line break at the end", r.token() + "\n", model.CodeInvalidToken, ""},
		{"line break inside", h + "." + p[:10] + "\r\n" + p[10:] + "." + s, model.CodeInvalidToken, ""},
		{"space before", " " + r.token(), model.CodeInvalidToken, ""},
		{"standard alphabet", h + "." + p + "." + s[:len(s)-4] + "++//", model.CodeInvalidToken, ""},
		{"spare bits in the signature", h + "." + p + "." + spareBits(s), model.CodeInvalidToken, ""},
		{"JSON serialisation", `{"protected":"` + h + `","payload":"` + p + `","signature":"` + s + `"}`, model.CodeInvalidToken, ""},
		{"longer than any token", h + "." + strings.Repeat("A", maxToken) + "." + s, model.CodeInvalidToken, ""},
		{"header is no JSON", b64("alg") + "." + p + "." + s, model.CodeInvalidToken, ""},
		{"header is a list", b64("[]") + "." + p + "." + s, model.CodeInvalidToken, ""},
		{"header with a key twice", b64(`{"alg":"none","alg":"RS256","kid":"x"}`) + "." + p + "." + s, model.CodeInvalidToken, ""},
		{"header with something after it", b64(`{"alg":"RS256","kid":"x"}{}`) + "." + p + "." + s, model.CodeInvalidToken, ""},
		{"payload is no JSON", rawPayload("claims"), model.CodeInvalidToken, ""},
		{"payload is a string", rawPayload(`"claims"`), model.CodeInvalidToken, ""},
		{"payload with something after it", rawPayload(good + "x"), model.CodeInvalidToken, ""},
		{"payload with a byte order mark", rawPayload("\ufeff" + good), model.CodeInvalidToken, ""},
		{"payload with invalid UTF-8", insert("\"actor_name\":\"\xff\""), model.CodeInvalidToken, ""},
		{"payload with half a surrogate", insert(`"actor_name":"\ud800"`), model.CodeInvalidToken, ""},
		{"a claim twice", insert(`"repository":"acme/gadget"`), model.CodeInvalidToken, ""},
		{"a claim twice, once escaped", insert(`"reposi\u0074ory":"acme/gadget"`), model.CodeInvalidToken, ""},
		{"a key twice deep inside", insert(`"x":{"y":[{"z":1,"z":2}]}`), model.CodeInvalidToken, ""},
		{"nested too deep", insert(`"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40)), model.CodeInvalidToken, ""},

		// The header.
		{"crit", r.withHeader(t, map[string]any{"crit": []string{"exp"}}), model.CodeInvalidToken, ""},
		{"jku", r.withHeader(t, map[string]any{"jku": r.dev.URL() + issuer.JWKSPath}), model.CodeInvalidToken, ""},
		{"x5u", r.withHeader(t, map[string]any{"x5u": r.dev.URL()}), model.CodeInvalidToken, ""},
		{"x5c", r.withHeader(t, map[string]any{"x5c": []string{}}), model.CodeInvalidToken, ""},
		{"jwk", r.withHeader(t, map[string]any{"jwk": map[string]any{"kty": "RSA"}}), model.CodeInvalidToken, ""},
		{"b64", r.withHeader(t, map[string]any{"b64": false}), model.CodeInvalidToken, ""},
		{"typ of an access token", r.withHeader(t, map[string]any{"typ": "at+jwt"}), model.CodeInvalidToken, ""},
		{"typ is a number", r.withHeader(t, map[string]any{"typ": 1}), model.CodeInvalidToken, ""},
		{"no alg", r.withHeader(t, map[string]any{"alg": nil}), model.CodeInvalidToken, ""},
		{"alg is a list", r.withHeader(t, map[string]any{"alg": []string{"RS256"}}), model.CodeInvalidToken, ""},
		{"no kid", r.withHeader(t, map[string]any{"kid": nil}), model.CodeInvalidToken, ""},
		{"kid is empty", r.withHeader(t, map[string]any{"kid": ""}), model.CodeInvalidToken, ""},
		{"kid is a number", r.withHeader(t, map[string]any{"kid": 7}), model.CodeInvalidToken, ""},

		// The algorithm and the signature.
		{"alg none", r.withHeader(t, map[string]any{"alg": "none"}), model.CodeInvalidToken, "alg"},
		{"alg none without signature", b64(`{"alg":"none","kid":"x"}`) + "." + p + ".", model.CodeInvalidToken, ""},
		{"alg None", r.withHeader(t, map[string]any{"alg": "None"}), model.CodeInvalidToken, "alg"},
		{"alg rs256", r.withHeader(t, map[string]any{"alg": "rs256"}), model.CodeInvalidToken, "alg"},
		{"HS256 with the public key", r.hmacWithPublicKey(t, false), model.CodeInvalidToken, "alg"},
		{"HS256 with the public key as PEM", r.hmacWithPublicKey(t, true), model.CodeInvalidToken, "alg"},
		{"an algorithm that is not configured", r.withHeader(t, map[string]any{"alg": "RS512"}), model.CodeInvalidToken, "alg"},
		{"ES256 with the RSA key", r.withHeader(t, map[string]any{"alg": "ES256"}), model.CodeInvalidToken, "alg"},
		{"RS256 with the EC key", r.withHeader(t, map[string]any{"kid": r.dev.KeyID(issuer.ES256)}), model.CodeInvalidToken, "alg"},
		{"signed by another key", other.Token(audience, nil), model.CodeInvalidToken, "signature"},
		{"ES256 signed by another key", other.TokenAlg(issuer.ES256, audience, nil), model.CodeInvalidToken, "signature"},
		{"signature of another token", h + "." + p + "." + s[:len(s)-8] + "AAAAAAAA", model.CodeInvalidToken, "signature"},
		{"claims of another token", h + "." + b64(r.payload(t, map[string]any{"repository": "evil/widget"})) + "." + s, model.CodeInvalidToken, "signature"},
		{"signature cut off", h + "." + p + "." + s[:8], model.CodeInvalidToken, "signature"},
		{"no signature", h + "." + p + ".", model.CodeInvalidToken, ""},

		// The issuer.
		{"no iss", claim("iss", nil), model.CodeUnknownIssuer, "iss"},
		{"iss is a list", claim("iss", []string{r.dev.URL()}), model.CodeUnknownIssuer, "iss"},
		{"another iss", claim("iss", "https://issuer.example.com"), model.CodeUnknownIssuer, "iss"},
		{"iss with a slash", claim("iss", r.dev.URL()+"/"), model.CodeUnknownIssuer, "iss"},
		{"iss in upper case", claim("iss", strings.ToUpper(r.dev.URL())), model.CodeUnknownIssuer, "iss"},
		{"iss below ours", claim("iss", r.dev.URL()+"/enterprise"), model.CodeUnknownIssuer, "iss"},
		{"ISS", r.dev.Token(audience, map[string]any{"iss": nil, "ISS": r.dev.URL()}), model.CodeUnknownIssuer, "iss"},

		// The audience.
		{"no aud", claim("aud", nil), model.CodeMissingClaim, "aud"},
		{"another aud", claim("aud", "https://npm.example.com"), model.CodeWrongAudience, "aud"},
		{"aud with a slash", claim("aud", audience+"/"), model.CodeWrongAudience, "aud"},
		{"aud in upper case", claim("aud", strings.ToUpper(audience)), model.CodeWrongAudience, "aud"},
		{"aud is empty", claim("aud", ""), model.CodeWrongAudience, "aud"},
		{"aud is a list", claim("aud", []string{audience}), model.CodeWrongAudience, "aud"},
		{"aud is an object", claim("aud", map[string]any{"a": audience}), model.CodeWrongAudience, "aud"},
		{"aud is a number", claim("aud", 1), model.CodeWrongAudience, "aud"},

		// The times.
		{"no exp", claim("exp", nil), model.CodeMissingClaim, "exp"},
		{"no iat", claim("iat", nil), model.CodeMissingClaim, "iat"},
		{"exp is a string", claim("exp", "1795435500"), model.CodeInvalidToken, "exp"},
		{"exp is no time", claim("exp", 1e300), model.CodeInvalidToken, "exp"},
		{"iat is zero", claim("iat", 0), model.CodeInvalidToken, "iat"},
		{"nbf is a string", claim("nbf", "now"), model.CodeInvalidToken, "nbf"},
		{"nbf is null", rawPayload(strings.Replace(good, `"nbf":1795435200`, `"nbf":null`, 1)), model.CodeInvalidToken, "nbf"},
		{"expired by the leeway", r.dev.Token(audience, map[string]any{"iat": at(-time.Minute), "nbf": at(-time.Minute), "exp": at(-30 * time.Second)}), model.CodeExpired, "expiry"},
		{"older than the longest life", r.dev.Token(audience, map[string]any{"iat": at(-time.Hour - 30*time.Second), "exp": at(time.Hour)}), model.CodeExpired, "expiry"},
		{"nbf beyond the leeway", claim("nbf", at(31*time.Second)), model.CodeNotYetValid, "nbf"},
		{"iat beyond the leeway", claim("iat", at(31*time.Second)), model.CodeNotYetValid, "iat"},
		{"exp before iat", r.dev.Token(audience, map[string]any{"iat": at(20 * time.Second), "exp": at(10 * time.Second)}), model.CodeInvalidToken, "exp"},

		// What GitHub always sends.
		{"no sub", claim("sub", nil), model.CodeMissingClaim, "sub"},
		{"no jti", claim("jti", nil), model.CodeMissingClaim, "jti"},
		{"jti is empty", claim("jti", ""), model.CodeMissingClaim, "jti"},
		{"jti is a number", claim("jti", 7), model.CodeMissingClaim, "jti"},
		{"no repository_owner_id", claim("repository_owner_id", nil), model.CodeMissingClaim, "repository_owner_id"},
		{"repository_id is a number", claim("repository_id", 111), model.CodeMissingClaim, "repository_id"},
		{"Repository_ID", r.dev.Token(audience, map[string]any{"repository_id": nil, "Repository_ID": "111"}), model.CodeMissingClaim, "repository_id"},
		{"no event_name", claim("event_name", nil), model.CodeMissingClaim, "event_name"},
		{"no job_workflow_ref", claim("job_workflow_ref", nil), model.CodeMissingClaim, "job_workflow_ref"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want(t, r.deny(t, test.raw), test.code, test.field)
		})
	}
	r.accept(t, r.token())
	if got := r.cache.Len(); got != 1 {
		t.Errorf("%d tokens are remembered, want only the good one", got)
	}
}

// spareBits sets a bit of the last character that decodes to nothing, for a text of 2 or 3 characters over a multiple of 4.
func spareBits(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return s[:len(s)-1] + string(alphabet[strings.IndexByte(alphabet, s[len(s)-1])|1])
}

// The clock's borders, on the side where the token is still good.
func TestAcceptedTimes(t *testing.T) {
	r := sharedRig(t, nil)
	at := func(d time.Duration) int64 { return noon.Add(d).Unix() }
	tests := []struct {
		name   string
		claims map[string]any
		expiry time.Time
	}{
		{"expired within the leeway", map[string]any{"iat": at(-time.Minute), "nbf": nil, "exp": at(-29 * time.Second)}, noon.Add(-29 * time.Second)},
		{"nbf within the leeway", map[string]any{"nbf": at(30 * time.Second)}, noon.Add(5 * time.Minute)},
		{"iat within the leeway", map[string]any{"iat": at(30 * time.Second)}, noon.Add(5 * time.Minute)},
		{"no nbf", map[string]any{"nbf": nil}, noon.Add(5 * time.Minute)},
		{"a fraction of a second", map[string]any{"exp": float64(at(60*time.Second)) + 0.5}, noon.Add(time.Minute)},
		{"a long life is cut", map[string]any{"exp": at(12 * time.Hour)}, noon.Add(time.Hour)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			id := r.accept(t, r.dev.Token(audience, test.claims))
			if diff := cmp.Diff(test.expiry, id.Expiry); diff != "" {
				t.Errorf("effective expiry (-want +got):\n%s", diff)
			}
		})
	}
}

// Platforms that may send a list must send a list of one.
func TestAudienceLists(t *testing.T) {
	r := sharedRig(t, func(c *Config) { c.Provider = "oidc" })
	tests := []struct {
		name string
		aud  any
		code model.Code
	}{
		{"one text", audience, ""},
		{"a list of one", []string{audience}, ""},
		{"a foreign audience beside ours", []string{audience, "https://elsewhere.example.com"}, model.CodeWrongAudience},
		{"ours behind a foreign one", []string{"https://elsewhere.example.com", audience}, model.CodeWrongAudience},
		{"two of ours", []string{audience, "pypi.example.com"}, model.CodeWrongAudience},
		{"the same twice", []string{audience, audience}, model.CodeWrongAudience},
		{"an empty list", []string{}, model.CodeWrongAudience},
		{"a list of numbers", []int{1}, model.CodeWrongAudience},
		{"a list in a list", [][]string{{audience}}, model.CodeWrongAudience},
		{"a foreign one", []string{"https://elsewhere.example.com"}, model.CodeWrongAudience},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			raw := r.dev.Token("", map[string]any{"aud": test.aud})
			if test.code == "" {
				if id := r.accept(t, raw); id.Audience != audience {
					t.Errorf("audience %q", id.Audience)
				}
				return
			}
			want(t, r.deny(t, raw), test.code, "aud")
		})
	}
}

// A token that names no audience that is accepted now is refused, remembered or not, and without audiences every token is.
func TestAudienceIsAskedEachTime(t *testing.T) {
	r := sharedRig(t, nil)
	raw := r.token()
	r.accept(t, raw)
	for _, accepted := range [][]string{nil, {}, {""}, {"https://npm.example.com"}} {
		_, err := r.Verify(t.Context(), raw, accepted)
		want(t, asDenial(t, raw, err), model.CodeWrongAudience, "aud")
	}
	r.accept(t, raw)
}

func TestTokenIDs(t *testing.T) {
	tests := []struct {
		name, provider string
		jti            any
		want           string
	}{
		{"always, as GitHub", "github", "id-1", "id-1"},
		{"sometimes, and here", "oidc", "id-1", "id-1"},
		{"sometimes, and not here", "oidc", nil, ""},
		{"sometimes, and of another kind", "oidc", 7, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := sharedRig(t, func(c *Config) { c.Provider = test.provider })
			id := r.accept(t, r.dev.Token(audience, map[string]any{"jti": test.jti}))
			if id.JTI != test.want {
				t.Errorf("jti %q, want %q", id.JTI, test.want)
			}
		})
	}
}
