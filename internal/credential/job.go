package credential

import (
	"fmt"

	"github.com/trustpub/trustpub/internal/model"
)

// IssueForJob is the frame of IssueFederated in a source that has something to give only for the identity token of a job: absent without
// it, and nothing for a read that names no package. issue makes the rest, and its error says of which source it is.
func IssueForJob(
	source string, absent error, targets []model.Target, token model.IdentityToken, issue func() (model.Credential, error),
) (model.Credential, error) {
	if len(targets) == 0 || token.Empty() {
		return model.Credential{}, absent
	}
	if targets[0].Action == model.ActionRead && targets[0].Package == "" {
		return model.Credential{}, nil
	}
	c, err := issue()
	if err != nil {
		return model.Credential{}, fmt.Errorf("credential %s: %w", source, err)
	}
	return c, nil
}
