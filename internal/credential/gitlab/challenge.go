package gitlab

import (
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/credential/mintapi"
)

// challenge is what a registry of containers asks for.
type challenge struct{ realm, service string }

// challengePart is one parameter, with the comma before it but for the first.
var challengePart = regexp.MustCompile(`^[ \t]*,?[ \t]*([A-Za-z_]+)="([^"\\]*)"[ \t]*`)

// readChallenge reads the one challenge of a 401, as in Bearer realm="https://gitlab.example.com/jwt/auth",service="container_registry".
// What it has beside these two is passed over; nothing of it is quoted.
func readChallenge(headers []string) (challenge, error) {
	if len(headers) != 1 {
		return challenge{}, mintapi.Unfit("it has %d challenges (WWW-Authenticate), expected one", len(headers))
	}
	scheme, rest, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return challenge{}, mintapi.Unfit("its challenge is not of the scheme Bearer: does registry lead to GitLab's registry of containers?")
	}
	seen := map[string]string{}
	for rest != "" {
		m := challengePart.FindStringSubmatch(rest)
		if m == nil {
			return challenge{}, mintapi.Unfit("its challenge is not a list of names with quoted values")
		}
		name := strings.ToLower(m[1])
		if _, twice := seen[name]; twice {
			return challenge{}, mintapi.Unfit("its challenge has a name twice")
		}
		seen[name], rest = m[2], rest[len(m[0]):]
	}
	out := challenge{realm: seen["realm"], service: seen["service"]}
	if out.realm == "" || out.service == "" {
		return challenge{}, mintapi.Unfit("its challenge has no realm or no service")
	}
	return out, nil
}
