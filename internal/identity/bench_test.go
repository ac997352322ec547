package identity

import (
	"errors"
	"testing"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

// BenchmarkVerify measures a token that is remembered, one that is verified anew, and tokens that are refused.
func BenchmarkVerify(b *testing.B) {
	r := sharedRig(b, nil)
	other, err := issuer.New(r.dev.URL(), issuer.Options{Now: r.clock.now})
	if err != nil {
		b.Fatal(err)
	}
	accepted := func(raw string, forget bool) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if forget {
					r.cache.Purge()
				}
				if _, err := r.Verify(b.Context(), raw, audiences); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	refused := func(raw string) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var d *model.Denial
				if _, err := r.Verify(b.Context(), raw, audiences); !errors.As(err, &d) {
					b.Fatalf("got %v, want a denial", err)
				}
			}
		}
	}
	ec := r.dev.TokenAlg(issuer.ES256, audience, nil)
	b.Run("remembered", accepted(r.token(), false))
	b.Run("RS256", accepted(r.token(), true))
	b.Run("ES256", accepted(ec, true))
	b.Run("forged", refused(other.Token(audience, nil)))
	b.Run("unknown_key", refused(r.forged("made-up")))
	b.Run("unknown_issuer", refused(r.dev.Token(audience, map[string]any{"iss": "https://issuer.example.com"})))
}

func BenchmarkOurs(b *testing.B) {
	r := sharedRig(b, nil)
	for name, raw := range map[string]string{
		"token": r.token(), "foreign": r.dev.Token(audience, map[string]any{"iss": "https://issuer.example.com"}), "password": "correct horse battery staple",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Ours(raw)
			}
		})
	}
}
