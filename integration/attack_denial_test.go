package integration

import (
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/model"
)

// TestDenialOfALargeUpload refuses an upload long before its client has sent it all: each client still shows the denial, and
// not only a broken connection.
func TestDenialOfALargeUpload(t *testing.T) {
	t.Parallel()
	r := newRig(t, "devpi")
	w := bigWheel(t, "acme-gadget", "1.0", 96<<20)
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			got := way.publish(t, r, try{wheel: w})
			want := string(model.CodeNoMatchingPolicy)
			if way.name == "pdm-exchange" {
				want = "403" // all that pdm shows
			}
			// curl without --fail-with-body calls any answer a success.
			if got.Code == 0 && !way.fields || !strings.Contains(got.Output, want) {
				t.Errorf("exit status %d, expected the denial %s\n%s", got.Code, want, got.Output)
			}
			r.holds(t)
		})
	}
}
