package publishtoken

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

// identityToken is one in form: three parts of base64url of about so many bytes.
func identityToken(size int) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"RS256","kid":"canary"}`)) + "." + enc([]byte(`{"sub":"`+strings.Repeat("canary-", size/9)+`"}`)) + "." + enc([]byte(strings.Repeat("\xff\x00s", 85)))
}

func federatedGrant(c *clock, size int) *model.Grant {
	g := exampleGrant()
	g.Token = model.NewIdentityToken(identityToken(size))
	g.Identity.Expiry = c.Now().Add(5 * time.Minute).Truncate(time.Second).UTC()
	g.Identity.TokenExpiry = g.Identity.Expiry.Add(time.Minute)
	return g
}

func TestIdentityTokenTravelsSealed(t *testing.T) {
	c := newClock()
	s := newMemory()
	m := node(t, s, c)
	want := federatedGrant(c, 2000)
	raw, err := m.Mint(t.Context(), want, []string{audience})
	if err != nil {
		t.Fatal(err)
	}
	got, err := node(t, s, c).Verify(t.Context(), raw, audience) // another node of the same gateway
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the grant changed on the way (-minted +verified):\n%s", diff)
	}
	if !got.Expiry.Equal(want.Identity.Expiry) {
		t.Errorf("got expiry %s, expected the identity token's %s", got.Expiry, want.Identity.Expiry)
	}
	c.Add(5 * time.Minute)
	if code := codeOf(t, second(m.Verify(t.Context(), raw, audience))); code != model.CodeExpired {
		t.Errorf("got %q after the identity token's end, expected expired", code)
	}
	if code := codeOf(t, second2(m.Mint(t.Context(), want, []string{audience}))); code != model.CodeExpired {
		t.Errorf("got %q at an exchange of an expired identity token, expected expired", code)
	}
	without := exampleGrant()
	without.Identity.Expiry = c.Now().Add(time.Minute)
	if raw, err = m.Mint(t.Context(), without, []string{audience}); err != nil || without.Expiry.Sub(without.IssuedAt) != DefaultLifetime {
		t.Errorf("without the token inside: got a life of %s, %v, expected %s", without.Expiry.Sub(without.IssuedAt), err, DefaultLifetime)
	}
	if strings.Contains(payloadText(t, raw), "sealed") {
		t.Error("a token that carries none says that it does")
	}
}

func payloadText(t *testing.T, raw string) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestInvariantSecretsStayInsideSealed: what a publish token carries of an identity token opens nowhere but at the gateway that minted
// it, in that token, and shows in no log, error or print.
func TestInvariantSecretsStayInsideSealed(t *testing.T) {
	c := newClock()
	var log strings.Builder
	logged := func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	ours, other := node(t, newMemory(), c, logged), node(t, newMemory(), c, logged)
	grant := federatedGrant(c, 1500)
	raw, err := ours.Mint(t.Context(), grant, []string{audience})
	if err != nil {
		t.Fatal(err)
	}
	mint(t, other)
	token := grant.Token.Reveal()
	carried := payloadText(t, raw)
	for _, part := range strings.Split(token, ".") {
		decoded, _ := base64.RawURLEncoding.DecodeString(part)
		for _, form := range []string{part, string(decoded), base64.StdEncoding.EncodeToString(decoded), "canary-canary-canary"} {
			if strings.Contains(carried, form) || strings.Contains(raw, form) {
				t.Error("the publish token shows a part of the identity token")
			}
		}
	}
	decoded, err := decodePayload([]byte(carried))
	if err != nil {
		t.Fatal(err)
	}
	p := *decoded
	key, _ := ours.ring.Load().newest()
	foreign, _ := other.ring.Load().newest()
	if got, err := openInner(&p, key); err != nil || got.Reveal() != token {
		t.Errorf("our key: got %v, %v", got, err)
	}
	for name, change := range map[string]func(*payload){
		"another gateway's id": func(p *payload) { p.Issuer = other.ring.Load().id },
		"another token's id":   func(p *payload) { p.ID = "0123456789abcdef0123456789abcdef" },
		"a changed byte":       func(p *payload) { p.Sealed = append([]byte(nil), p.Sealed...); p.Sealed[40] ^= 1 },
		"a cut":                func(p *payload) { p.Sealed = p.Sealed[:20] },
		"a short one":          func(p *payload) { p.Sealed = p.Sealed[:3] },
	} {
		moved := p
		change(&moved)
		if got, err := openInner(&moved, key); err == nil || !got.Empty() {
			t.Errorf("%s: it opened", name)
		}
	}
	if got, err := openInner(&p, foreign); err == nil || !got.Empty() {
		t.Error("another gateway's key opens it")
	}
	err = second(other.Verify(t.Context(), raw, audience))
	var denial *model.Denial
	if !errors.As(err, &denial) {
		t.Fatalf("got %v from another gateway, expected a denial", err)
	}
	again, err := ours.Verify(t.Context(), raw, audience)
	if err != nil {
		t.Fatal(err)
	}
	text := log.String() + denial.Error() + fmt.Sprint(denial.Cause) + fmt.Sprintf("%+v %#v", again, *again)
	if strings.Contains(text, token[strings.LastIndexByte(token, '.')+1:]) || strings.Contains(text, "canary-canary") {
		t.Error("the identity token shows in a log, an error or a print")
	}
}

// TestIdentityTokenOfSize: those of all platforms fit a header; one that doesn't is refused with what to do.
func TestIdentityTokenOfSize(t *testing.T) {
	c := newClock()
	m := node(t, newMemory(), c)
	for _, size := range []int{500, 2000, 4000} {
		raw, err := m.Mint(t.Context(), federatedGrant(c, size), []string{audience})
		if err != nil || len(raw) > maxToken {
			t.Errorf("an identity token of %d bytes: got %d bytes, %v", len(identityToken(size)), len(raw), err)
		}
	}
	if code := codeOf(t, second2(m.Mint(t.Context(), federatedGrant(c, 9000), []string{audience}))); code != model.CodeTooLarge {
		t.Errorf("got %q for one that does not fit, expected too_large", code)
	}
}

func FuzzPack(f *testing.F) {
	f.Add(identityToken(20))
	f.Add("..")
	f.Add("YQ.YR.YQ")
	f.Add("a\n.b.c")
	f.Fuzz(func(t *testing.T, raw string) {
		packed, err := pack(raw)
		if err != nil {
			return
		}
		if got, err := unpack(packed); err != nil || got != raw {
			t.Fatalf("%q came back as %q, %v", raw, got, err)
		}
	})
}

func FuzzUnpack(f *testing.F) {
	good, _ := pack(identityToken(20))
	f.Add(good)
	f.Add([]byte{0, 5, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		raw, err := unpack(b)
		if err != nil {
			return
		}
		if got, err := pack(raw); err != nil || string(got) != string(b) {
			t.Fatalf("%x came back as %x, %v", b, got, err)
		}
	})
}
