package gateway

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// unlimited are the limits of a gateway that has none.
type unlimited struct{}

// Begin implements Limits.
func (unlimited) Begin(string) error { return nil }

// Grow implements Limits.
func (unlimited) Grow(string, int64) error { return nil }

// End implements Limits.
func (unlimited) End(string, int64) {}

// Attempt implements Limits.
func (unlimited) Attempt(string) error { return nil }

// Disbelieved implements Limits.
func (unlimited) Disbelieved(string) {}

// Refused implements Limits.
func (unlimited) Refused(string) (quiet bool, missed int64) { return false, 0 }

// Exchange implements Limits.
func (unlimited) Exchange(string) error { return nil }

// Grant implements Limits.
func (unlimited) Grant(string) error { return nil }

// spools are the limits of one client's uploads.
type spools struct {
	limits Limits
	client string
}

// Begin implements upload.Quota.
func (s spools) Begin() error { return s.limits.Begin(s.client) }

// Grow implements upload.Quota.
func (s spools) Grow(n int64) error { return s.limits.Grow(s.client, n) }

// End implements upload.Quota.
func (s spools) End(bytes int64) { s.limits.End(s.client, bytes) }

// disk is where a body is spooled, at the expense of whoever shows a token that is believed, else of the address.
func (t *transaction) disk() upload.Disk {
	client := t.event.ClientIP
	if t.id != nil {
		client = t.g.Verifier.Whose(t.id)
	}
	return upload.Disk{Dir: t.g.SpoolDir, Quota: spools{t.g.Limits, client}}
}

// identify verifies an identity token, unless its sender has sent too many that were not believed.
func (t *transaction) identify(seen model.Sighting, audiences []string) (*model.Identity, error) {
	if err := t.g.Limits.Attempt(t.event.ClientIP); err != nil {
		return nil, err
	}
	id, err := t.g.Verifier.VerifySeen(t.r.Context(), seen, audiences)
	t.doubt(incredible(err))
	return id, err
}

// redeem verifies a publish token in the same way.
func (t *transaction) redeem(raw, audience string) (*model.Grant, error) {
	if err := t.g.Limits.Attempt(t.event.ClientIP); err != nil {
		return nil, err
	}
	grant, err := t.g.Tokens.Verify(t.r.Context(), raw, audience)
	t.doubt(incredible(err))
	return grant, err
}

// doubt counts a request whose token was not believed, once, and before its sender hears of it.
func (t *transaction) doubt(so bool) {
	if so && !t.doubted {
		t.doubted = true
		t.g.Limits.Disbelieved(t.event.ClientIP)
	}
}

// quiet tells whether a refusal is counted only: where the audit has the like already, or has no room for more about senders whom nobody
// knows. A request that was let through is always on record.
func (t *transaction) quiet(d *model.Denial) bool {
	if d.Quiet || t.recorded || t.id != nil {
		return d.Quiet
	}
	quiet, missed := t.g.Limits.Refused(t.event.ClientIP)
	if missed > 0 {
		t.event.Detail = map[string]string{"unrecorded": strconv.FormatInt(missed, 10)}
	}
	return quiet
}

// incredible is true for the refusal of a token that anybody could have made up: the token is at fault, or its key is one that nobody
// knows.
func incredible(err error) bool {
	var denial *model.Denial
	return errors.As(err, &denial) && (denial.Status == http.StatusUnauthorized || denial.Code == model.CodeUnknownKey)
}

var (
	_ Limits       = unlimited{}
	_ upload.Quota = spools{}
)
