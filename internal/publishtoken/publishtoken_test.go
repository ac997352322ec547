package publishtoken

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

const audience = "https://pypi.example.com/root/prod/"

func exampleGrant() *model.Grant {
	id := &model.Identity{
		Issuer: "github", Provider: "github", KeyID: "k1", JTI: "8f1d-\"<&>", Audience: "pypi.example.com",
		Digest:   [32]byte{1, 2, 3, 255},
		IssuedAt: time.Date(2026, 11, 23, 19, 59, 58, 250, time.UTC), Expiry: time.Date(2026, 11, 23, 20, 5, 0, 0, time.UTC),
		TokenExpiry: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC),
		Claims: map[string]any{
			"repository": "acme/widget", "repository_owner_id": "222", "run_id": json.Number("90071992547409931234"),
			"ratio": json.Number("1.10"), "ref_protected": true, "nothing": nil, "unicode": "zażółć <b>&\u2028",
			"list": []any{"a", json.Number("1e400"), false}, "deep": map[string]any{"Deep": "x", "deep": "y"},
		},
	}
	return &model.Grant{Identity: id, Registries: []string{"internal-pypi", "other"}}
}

func mint(t testing.TB, m *Minter) string {
	t.Helper()
	raw, err := m.Mint(t.Context(), exampleGrant(), []string{audience})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestRoundTrip(t *testing.T) {
	c := newClock()
	m := node(t, newMemory(), c)
	for _, change := range []func(*model.Grant){
		func(*model.Grant) {},
		func(g *model.Grant) { g.Packages, g.SingleUse = []string{"@acme/widget"}, true },
		func(g *model.Grant) { g.Identity.JTI, g.Identity.IssuedAt = "", time.Time{} },
	} {
		want := exampleGrant()
		change(want)
		raw, err := m.Mint(t.Context(), want, []string{"https://npm.example.com/", audience})
		if err != nil {
			t.Fatal(err)
		}
		if want.ID == "" || want.Expiry.Sub(want.IssuedAt) != DefaultLifetime || !m.Ours(raw) {
			t.Errorf("got id %q, %s to %s", want.ID, want.IssuedAt, want.Expiry)
		}
		for _, aud := range []string{audience, ""} {
			got, err := m.Verify(t.Context(), raw, aud)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the grant changed on the way (-minted +verified):\n%s", diff)
			}
			if got.Identity.ReplayKey() != want.Identity.ReplayKey() {
				t.Error("the replay key changed on the way")
			}
		}
	}
}

func TestNewTouchesNothing(t *testing.T) {
	s := newMemory()
	node(t, s, newClock())
	if loads, stores := s.counts(); loads+stores != 0 {
		t.Errorf("got %d loads and %d stores at construction, expected none", loads, stores)
	}
}

func TestNewRefuses(t *testing.T) {
	good := Options{Storage: newMemory(), Logger: quiet()}
	for name, tc := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"no storage":    {func(o *Options) { o.Storage = nil }, "storage"},
		"no logger":     {func(o *Options) { o.Logger = nil }, "logger"},
		"too long":      {func(o *Options) { o.Lifetime = time.Hour + time.Second }, "token_lifetime is 1h0m1s"},
		"negative":      {func(o *Options) { o.Lifetime = -time.Second }, "token_lifetime"},
		"literal key":   {func(o *Options) { o.KeyFile = "hunter2" }, "placeholder"},
		"relative path": {func(o *Options) { o.KeyFile = "{file.key}" }, "absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			tc.change(&o)
			_, err := New(o)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, expected an error with %q", err, tc.want)
			}
		})
	}
}

// forge signs any header and payload with a key of the ring.
func forge(t *testing.T, k key, header map[jose.HeaderKey]any, body string) string {
	t.Helper()
	h := map[string]any{"alg": "EdDSA", "kid": k.id, "typ": tokenType}
	for name, v := range header {
		if h[string(name)] = v; v == nil {
			delete(h, string(name))
		}
	}
	hb, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	in := base64.RawURLEncoding.EncodeToString(hb) + "." + base64.RawURLEncoding.EncodeToString([]byte(body))
	return Prefix + in + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(k.private, []byte(in)))
}

// TestVerifyRefuses has one broken thing per case.
func TestVerifyRefuses(t *testing.T) {
	c := newClock()
	m := node(t, newMemory(), c)
	raw := mint(t, m)
	r := m.ring.Load()
	k := r.keys[0]
	other := node(t, newMemory(), c)
	parts := strings.Split(strings.TrimPrefix(raw, Prefix), ".")
	bodyBytes, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	body := string(bodyBytes)
	sub := func(old, new string) string {
		t.Helper()
		if !strings.Contains(body, old) {
			t.Fatalf("the payload has no %s", old)
		}
		return strings.Replace(body, old, new, 1)
	}
	join := func(p ...string) string { return Prefix + strings.Join(p, ".") }
	last := len(parts[2]) - 1
	swap := func(s string, i int) string {
		b := byte('A')
		if s[i] == 'A' {
			b = 'B'
		}
		return s[:i] + string(b) + s[i+1:]
	}
	exp := time.Unix(r.keys[0].created.Unix(), 0).Add(DefaultLifetime).Unix()
	for name, tc := range map[string]struct {
		raw  string
		aud  string
		want model.Code
	}{
		"empty":                  {"", audience, model.CodeInvalidToken},
		"prefix alone":           {Prefix, audience, model.CodeInvalidToken},
		"no prefix":              {strings.TrimPrefix(raw, Prefix), audience, model.CodeInvalidToken},
		"prefix twice":           {Prefix + raw, audience, model.CodeInvalidToken},
		"prefix in capitals":     {"TPUB_" + strings.TrimPrefix(raw, Prefix), audience, model.CodeInvalidToken},
		"two parts":              {join(parts[0], parts[1]), audience, model.CodeInvalidToken},
		"four parts":             {raw + ".AA", audience, model.CodeInvalidToken},
		"detached payload":       {join(parts[0], "", parts[2]), audience, model.CodeInvalidToken},
		"padded":                 {raw + "==", audience, model.CodeInvalidToken},
		"line break at the end":  {raw + "\n", audience, model.CodeInvalidToken},
		"line break inside":      {join(parts[0], parts[1][:4]+"\r\n"+parts[1][4:], parts[2]), audience, model.CodeInvalidToken},
		"space before":           {" " + raw, audience, model.CodeInvalidToken},
		"spare bits":             {join(parts[0], parts[1], parts[2][:last]+nextChar(parts[2][last])), audience, model.CodeInvalidToken},
		"standard alphabet":      {join(parts[0], parts[1], "+/"+parts[2][2:]), audience, model.CodeInvalidToken},
		"signature changed":      {join(parts[0], parts[1], swap(parts[2], 0)), audience, model.CodeInvalidToken},
		"payload changed":        {join(parts[0], swap(parts[1], 40), parts[2]), audience, model.CodeInvalidToken},
		"too long":               {raw + strings.Repeat("A", maxToken), audience, model.CodeInvalidToken},
		"typ of identity tokens": {forge(t, k, map[jose.HeaderKey]any{"typ": "JWT"}, body), audience, model.CodeInvalidToken},
		"typ absent":             {forge(t, k, map[jose.HeaderKey]any{"typ": nil}, body), audience, model.CodeInvalidToken},
		"kid absent":             {forge(t, k, map[jose.HeaderKey]any{"kid": nil}, body), audience, model.CodeInvalidToken},
		"alg none":               {forge(t, k, map[jose.HeaderKey]any{"alg": "none"}, body), audience, model.CodeInvalidToken},
		"alg HS256":              {forge(t, k, map[jose.HeaderKey]any{"alg": "HS256"}, body), audience, model.CodeInvalidToken},
		"own key in the header":  {forge(t, k, map[jose.HeaderKey]any{"jwk": map[string]string{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(k.public)}}, body), audience, model.CodeInvalidToken},
		"jku in the header":      {forge(t, k, map[jose.HeaderKey]any{"jku": "https://evil.example/"}, body), audience, model.CodeInvalidToken},
		"crit in the header":     {forge(t, k, map[jose.HeaderKey]any{"crit": []string{"b64"}, "b64": false}, body), audience, model.CodeInvalidToken},
		"another gateway":        {mint(t, other), audience, model.CodeInvalidToken},
		"issuer":                 {forge(t, k, nil, sub(r.id, "trustpub:other")), audience, model.CodeInvalidToken},
		"no id":                  {forge(t, k, nil, sub(`"jti":"`, `"jti":"","packages":[],"jti":"`)), audience, ""}, // the last one counts; control
		"empty id":               {forge(t, k, nil, emptyID(t, body)), audience, model.CodeInvalidToken},
		"lives too long":         {forge(t, k, nil, sub(`"exp":`+num(exp), `"exp":`+num(exp+7200))), audience, model.CodeInvalidToken},
		"issued in the future":   {forge(t, k, nil, strings.Replace(sub(`"exp":`+num(exp), `"exp":`+num(exp+60)), `"iat":`+num(exp-900), `"iat":`+num(exp-840), 1)), audience, model.CodeNotYetValid},
		"expired":                {forge(t, k, nil, strings.Replace(sub(`"exp":`+num(exp), `"exp":`+num(exp-900)), `"iat":`+num(exp-900), `"iat":`+num(exp-1800), 1)), audience, model.CodeExpired},
		"unknown member":         {forge(t, k, nil, sub(`{"iss"`, `{"admin":true,"iss"`)), audience, model.CodeInvalidToken},
		"not JSON":               {forge(t, k, nil, "x"), audience, model.CodeInvalidToken},
		"two documents":          {forge(t, k, nil, body+"{}"), audience, model.CodeInvalidToken},
		"short digest":           {forge(t, k, nil, sub(`"digest":"`, `"digest":"AAAA","digest2":"`)), audience, model.CodeInvalidToken},
		"other audience":         {raw, "https://pypi.example.com/root/test/", model.CodeOutOfScope},
		"audience prefix":        {raw, strings.TrimSuffix(audience, "/"), model.CodeOutOfScope},
		"control":                {raw, audience, ""},
		"control, forged":        {forge(t, k, nil, body), audience, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := m.Verify(t.Context(), tc.raw, tc.aud)
			if got := codeOf(t, err); got != tc.want {
				t.Fatalf("got %q (%v), expected %q", got, err, tc.want)
			}
			if err != nil && len(parts[2]) > 20 && strings.Contains(err.Error(), parts[2][:20]) {
				t.Errorf("the error quotes the token: %v", err)
			}
		})
	}
}

func num(n int64) string { b, _ := json.Marshal(n); return string(b) }

func emptyID(t *testing.T, body string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, `"jti":"`)
	if !ok {
		t.Fatal("no jti")
	}
	return strings.Replace(body, `"jti":"`+rest[:32], `"jti":"`, 1)
}

// nextChar changes the spare bits of a last character only.
func nextChar(b byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, b)+1])
}

func TestMintRefuses(t *testing.T) {
	m := node(t, newMemory(), newClock())
	for name, tc := range map[string]struct {
		change func(*model.Grant)
		auds   []string
		want   model.Code
	}{
		"no identity":    {func(g *model.Grant) { g.Identity = nil }, []string{audience}, model.CodeInternal},
		"no registry":    {func(g *model.Grant) { g.Registries = nil }, []string{audience}, model.CodeInternal},
		"no audience":    {func(*model.Grant) {}, nil, model.CodeInternal},
		"empty audience": {func(*model.Grant) {}, []string{""}, model.CodeInternal},
		"bad number":     {func(g *model.Grant) { g.Identity.Claims["n"] = json.Number("zz") }, []string{audience}, model.CodeInternal},
		"large claims":   {func(g *model.Grant) { g.Identity.Claims["x"] = strings.Repeat("x", maxClaims) }, []string{audience}, model.CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			g := exampleGrant()
			tc.change(g)
			_, err := m.Mint(t.Context(), g, tc.auds)
			if got := codeOf(t, err); got != tc.want {
				t.Errorf("got %q (%v), expected %q", got, err, tc.want)
			}
		})
	}
}

// The largest claims that are minted must verify, and fit a Basic password within the gateway's header limit.
func TestLargestTokenFits(t *testing.T) {
	m := node(t, newMemory(), newClock())
	g := exampleGrant()
	body, err := encodePayload(payloadOf(g, "trustpub:"+randomID(), []string{audience}))
	if err != nil {
		t.Fatal(err)
	}
	g.Identity.Claims["x"] = strings.Repeat("x", maxClaims-len(body)-80)
	raw, err := m.Mint(t.Context(), g, []string{audience})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Verify(t.Context(), raw, audience); err != nil {
		t.Error(err)
	}
	if basic := base64.StdEncoding.EncodedLen(len("__token__:") + maxToken); basic > 15<<10 {
		t.Errorf("got %d bytes of Basic credential, expected at most 15 KiB", basic)
	}
}

func TestExpiry(t *testing.T) {
	c := newClock()
	m := node(t, newMemory(), c, func(o *Options) { o.Lifetime = 2 * time.Minute })
	raw := mint(t, m)
	c.Add(2*time.Minute - 200*time.Millisecond)
	if _, err := m.Verify(t.Context(), raw, audience); err != nil {
		t.Errorf("just before its expiry: %v", err)
	}
	c.Add(time.Second)
	if got := codeOf(t, second(m.Verify(t.Context(), raw, audience))); got != model.CodeExpired {
		t.Errorf("got %q, expected expired", got)
	}
}

func second(_ *model.Grant, err error) error { return err }

func TestConcurrentUse(t *testing.T) {
	s, c := newMemory(), newClock()
	nodes := []*Minter{node(t, s, c), node(t, s, c)}
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			raw, err := nodes[i%2].Mint(t.Context(), exampleGrant(), []string{audience})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := nodes[i%2].Verify(t.Context(), raw, audience); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, stores := s.counts(); stores != 1 {
		t.Errorf("got %d keys made by two nodes at the same time, expected 1", stores)
	}
}

// SecretsStayInside: neither the log nor a denial shows a token or a key.
func TestSecretsStayInside(t *testing.T) {
	var log strings.Builder
	s, c := newMemory(), newClock()
	m := node(t, s, c, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(io.Writer(&log), &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	raw := mint(t, m)
	c.Add(rotateAfter)
	s.setAway(true)
	mint(t, m)
	err := second(m.Verify(t.Context(), raw[:len(raw)-3]+"AAA", audience))
	seed := base64.StdEncoding.EncodeToString(m.ring.Load().keys[0].private.Seed())
	for _, secret := range []string{raw[len(raw)-40 : len(raw)-3], seed} {
		if strings.Contains(log.String(), secret) || strings.Contains(err.Error(), secret) {
			t.Errorf("a secret is in the log or the error")
		}
	}
	if !strings.Contains(log.String(), "rotated") {
		t.Errorf("the failed rotation is not in the log: %s", log.String())
	}
}
