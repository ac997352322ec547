package policies

import "strings"

// IsTestFile is true for the names of files with tests of policies, *_test.yaml and *_test.yml. Directories and globs leave
// them out, so that tests can lie beside the policies that they test.
func IsTestFile(path string) bool {
	return strings.HasSuffix(path, "_test.yaml") || strings.HasSuffix(path, "_test.yml")
}
