package policies

import (
	"slices"

	"github.com/trustpub/trustpub/internal/provider"
)

// FieldNames are the fields of a policy in the order in which they are documented and written.
func FieldNames() []string { return slices.Clone(policyFields) }

// PublisherFieldNames are the fields below a provider's name in a publisher, in their order; nil for an unknown provider.
func PublisherFieldNames(name string) []string {
	p, known := provider.Get(name)
	if !known {
		return nil
	}
	return fieldNames(p)
}

// Files lists the policy files that paths name, as Load reads them: files, directories (every *.yaml and *.yml below) and
// globs. The error, of type Errors, tells what was not found; the files that were found are there all the same.
func Files(paths []string) ([]string, error) {
	found := list(paths)
	return found.files, found.errs.orNil()
}
