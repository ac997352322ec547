package credential

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// CheckUser refuses what is no user of a Basic credential.
func CheckUser(user string) error {
	switch {
	case user == "":
		return errors.New("the user is empty")
	case strings.Contains(user, ":"):
		return fmt.Errorf("the user is %q, expected a name without a colon, which ends it in a Basic credential", user)
	case strings.ContainsAny(user, "{}"):
		return fmt.Errorf("the user is %q, expected a plain name: placeholders are for the secret only", user)
	case strings.ContainsFunc(user, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("the user has a control character")
	}
	return nil
}

// CheckSecret refuses a required secret that is absent or no placeholder; the field is its name, for the error.
func CheckSecret(field string, secret model.Secret) error {
	if secret == "" {
		return fmt.Errorf("%[1]s is absent, expected %[1]s {file./absolute/path} or %[1]s {env.NAME}", field)
	}
	if err := secret.Validate(); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	return nil
}

// CheckValue refuses a secret that no header can carry. The error goes on behind the secret's name, and doesn't quote it.
func CheckValue(secret string) error {
	if secret == "" {
		return errors.New("is empty")
	}
	if secret != strings.TrimSpace(secret) {
		return errors.New("begins or ends with a space")
	}
	for i := range len(secret) {
		if secret[i] < ' ' || secret[i] == 0x7f {
			return errors.New("has a control character")
		}
	}
	return nil
}

// refusedHeaders belong to the transport, to the body, or to the registry's idea of its own address; none is a credential.
var refusedHeaders = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Te": true, "Trailer": true, "Transfer-Encoding": true,
	"Upgrade": true, "Proxy-Authenticate": true, "Proxy-Authorization": true, "Alt-Svc": true, "Http2-Settings": true,
	"Host": true, "Content-Length": true, "Content-Type": true, "Content-Encoding": true, "Expect": true, "Via": true,
	"Forwarded": true, "X-Outside-Url": true,
}

// CheckHeader returns the canonical name of a header in which a registry may read a credential.
func CheckHeader(name string) (string, error) {
	if name == "" {
		return "", errors.New("the name is empty")
	}
	for i := range len(name) {
		if c := name[i]; !isTokenChar(c) {
			return "", fmt.Errorf("the name is %q, expected letters, digits and dashes", name)
		}
	}
	canonical := http.CanonicalHeaderKey(name)
	if refusedHeaders[canonical] || strings.HasPrefix(canonical, "X-Forwarded-") || strings.HasPrefix(canonical, "X-Trustpub-") {
		return "", fmt.Errorf("the name is %q, which belongs to the transport or to the gateway, expected a header in which the registry reads a credential", name)
	}
	return canonical, nil
}

// isTokenChar is tchar of RFC 9110, 5.6.2.
func isTokenChar(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
