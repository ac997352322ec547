package caddymodule

import (
	"context"

	"github.com/trustpub/trustpub/internal/audit"
)

// openFingerprints makes ready what names old passwords in the audit. A storage that is away costs those names and nothing
// else, so the gateway serves without them.
func (a *App) openFingerprints(ctx context.Context, s *services) error {
	prints, err := audit.OpenFingerprinter(ctx, a.ctx.Storage())
	if err != nil {
		relayLogger.Warn("the audit cannot tell credentials of the registries apart until the next start or reload", "error", err)
		return nil
	}
	s.prints = prints
	return nil
}
