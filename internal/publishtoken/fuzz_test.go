package publishtoken

import (
	"strings"
	"testing"
)

// FuzzPublishToken feeds anything to the parser and the verification: nothing but the minted token itself verifies, so one
// token has one spelling.
func FuzzPublishToken(f *testing.F) {
	c := newClock()
	m := node(f, newMemory(), c)
	raw := mint(f, m)
	parts := strings.Split(raw, ".")
	for _, seed := range []string{
		"", Prefix, raw, raw + "\n", raw + "=", raw + ".", "x" + raw, strings.ToUpper(raw), parts[0] + ".." + parts[2],
		parts[0] + "." + parts[1] + ".", strings.Replace(raw, ".", "\r\n.", 1), Prefix + "e30.e30.", Prefix + "eyJhbGciOiJub25lIn0.e30.AA",
		Prefix + `{"payload":"e30","signatures":[]}`, mint(f, node(f, newMemory(), c)),
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, s string, graft bool) {
		if graft {
			// Reach behind the signature's header: a good first part with anything after it.
			s = parts[0] + "." + s
		}
		g, err := m.Verify(t.Context(), s, "")
		if err == nil && s != raw {
			t.Fatalf("a second spelling verifies: %q", s)
		}
		if err == nil && g.Identity == nil {
			t.Fatal("no identity")
		}
		_ = codeOf(t, err) // a denial, always
	})
}

func BenchmarkMint(b *testing.B) {
	m := node(b, newMemory(), newClock())
	g := exampleGrant()
	for b.Loop() {
		if _, err := m.Mint(b.Context(), g, []string{audience}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	m := node(b, newMemory(), newClock())
	raw := mint(b, m)
	for b.Loop() {
		if _, err := m.Verify(b.Context(), raw, audience); err != nil {
			b.Fatal(err)
		}
	}
}
