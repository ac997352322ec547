package archtest

import (
	"bytes"
	"strings"
	"testing"
)

// mayReveal are the rooms that see an identity token itself: sources that federate, and what seals it into a publish token.
var mayReveal = []string{"internal/credential/", "internal/publishtoken/"}

// TestInvariantSecretsStayInsideRooms: everywhere else an identity token is a value that never prints, and nobody asks it for more.
func TestInvariantSecretsStayInsideRooms(t *testing.T) {
	seen := 0
	for _, name := range tracked(t) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, _ := read(t, name)
		if !bytes.Contains(b, []byte(".Reveal()")) {
			continue
		}
		seen++
		allowed := false
		for _, room := range mayReveal {
			allowed = allowed || strings.HasPrefix(name, room)
		}
		if !allowed {
			t.Errorf("%s reveals an identity token: got it outside %s", name, strings.Join(mayReveal, " and "))
		}
	}
	if seen == 0 {
		t.Error("nobody reveals an identity token, so that nothing was looked at")
	}
}
