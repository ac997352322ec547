package gateway

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// framingHeaders say where a body ends and what it is, and are set by the gateway alone.
var framingHeaders = []string{"Host", "Content-Length", "Transfer-Encoding", "Content-Encoding", "Content-Range", "Expect"}

var headerToken = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

// CheckHeader refuses a name that an operator must not add to the headers of unsafe requests: what carries a credential,
// shapes the URL, names a user or frames the body. A '_' or '.' is refused too, since servers differ in how they read it.
func CheckHeader(name string) error {
	if !headerToken.MatchString(name) {
		return fmt.Errorf("%q is no header name of letters, digits and '-'", name)
	}
	canonical := http.CanonicalHeaderKey(name)
	for _, never := range [][]string{hopHeaders, shapingHeaders, credentialHeaders, framingHeaders} {
		if slices.ContainsFunc(never, func(n string) bool { return strings.EqualFold(n, canonical) }) {
			return fmt.Errorf("%s carries a credential, the body's framing or the request's address, and is never passed on", canonical)
		}
	}
	return nil
}

var queryKey = regexp.MustCompile(`^[A-Za-z0-9_.:~-]+$`)

// CheckQueryKey refuses a key that an operator must not add to the query of unsafe requests.
func CheckQueryKey(key string) error {
	if !queryKey.MatchString(key) {
		return fmt.Errorf("%q is no plain query key", key)
	}
	if isCredentialKey(key) {
		return fmt.Errorf("%s carries a credential and is never passed on", key)
	}
	return nil
}
