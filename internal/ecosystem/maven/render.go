package maven

import (
	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
)

// Render writes a denial as one line of text. Maven prints the reason phrase and never the body; Gradle and curl print what they
// like of both. It asks without a credential first for the index of a snapshot, and sends one only after a 401.
func (*protocol) Render(_ model.Operation, d *model.Denial) model.Reply { return ecosystem.Line(d) }
