package vault

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// The longest life of a lease that is believed.
const (
	DefaultLifetime = time.Hour
	MinLifetime     = time.Minute
	MaxLifetime     = 24 * time.Hour
)

// Config is the configuration.
type Config struct {
	// URL is where the gateway reaches the vault: `url https://vault.example.com:8200`. Required.
	URL string `json:"url"`
	// CA is a PEM file with the certificate authority of its certificate. Default: the system's.
	CA string `json:"ca,omitempty"`
	// Namespace is sent as X-Vault-Namespace.
	Namespace string `json:"namespace,omitempty"`
	// JWT logs in with the identity token of the job: `jwt MOUNT ROLE`. One of JWT, AppRole and Token is required.
	JWT *JWT `json:"jwt,omitempty"`
	// AppRole logs in as the gateway: `approle MOUNT ROLE_ID SECRET`.
	AppRole *AppRole `json:"approle,omitempty"`
	// Token is a token of the vault, which somebody else keeps alive: `token SECRET`.
	Token model.Secret `json:"token,omitempty"`
	// Read is the path below /v1 that is read, a template: `read /secret/data/registry` or `read /artifactory/token/{package}`. Required.
	Read string `json:"read"`
	// Present is how the registry takes it, with pointers into the answer: `present bearer POINTER`, `present basic USER POINTER` (USER is a
	// pointer too where it begins with a slash) or `present header NAME POINTER`. Required.
	Present []string `json:"present"`
	// Reads says that reads get a credential too.
	Reads bool `json:"reads,omitempty"`
	// Lifetime is the longest life of a lease that is believed. Default: 1h.
	Lifetime model.Duration `json:"lifetime,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

// JWT is a mount of the auth method jwt and a role of it.
type JWT struct {
	Mount string `json:"mount"`
	Role  string `json:"role"`
}

// AppRole is a mount of the auth method approle, a role's id and its secret id.
type AppRole struct {
	Mount    string       `json:"mount"`
	RoleID   string       `json:"role_id"`
	SecretID model.Secret `json:"secret_id"`
}

// login is how the gateway comes in: a mount and a role, or a token alone.
type login struct {
	mount, role string
	secret      model.Secret
	federates   bool
}

// plainName is a mount's path, a role or a namespace: nothing that a URL or a header could read in another way.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$`)

func (c *Config) source(env credential.Env) (*source, error) {
	s := &source{registry: env.Registry, readable: c.Reads, now: c.now, logger: env.Logger, headers: http.Header{}}
	if s.now == nil {
		s.now = time.Now
	}
	var err error
	if s.lifetime, err = c.Lifetime.Within("lifetime", DefaultLifetime, MinLifetime, MaxLifetime); err != nil {
		return nil, err
	}
	base, err := mintapi.CheckURL(c.URL, "https://vault.example.com:8200")
	if err != nil {
		return nil, err
	}
	if c.Namespace != "" {
		if !plainName.MatchString(c.Namespace) {
			return nil, fmt.Errorf("namespace is %q, expected a name like team/release", model.OneLine(c.Namespace, 60))
		}
		s.headers.Set("X-Vault-Namespace", c.Namespace)
	}
	s.headers.Set("X-Vault-Request", "true") // the vault's own agents let nothing else through
	if s.login, err = c.logsIn(); err != nil {
		return nil, err
	}
	if s.read, err = c.reads(); err != nil {
		return nil, err
	}
	if s.present, err = parsePresent(c.Present); err != nil {
		return nil, err
	}
	s.api, err = mintapi.New(base, mintapi.Options{CAFile: c.CA, Now: s.now})
	return s, err
}

func (c *Config) logsIn() (login, error) {
	given := 0
	for _, have := range []bool{c.JWT != nil, c.AppRole != nil, c.Token != ""} {
		if have {
			given++
		}
	}
	if given != 1 {
		return login{}, fmt.Errorf("got %d of jwt, approle and token, expected exactly one: jwt MOUNT ROLE, approle MOUNT ROLE_ID SECRET or token SECRET", given)
	}
	l := login{secret: c.Token}
	switch {
	case c.JWT != nil:
		l = login{mount: c.JWT.Mount, role: c.JWT.Role, federates: true}
	case c.AppRole != nil:
		l = login{mount: c.AppRole.Mount, role: c.AppRole.RoleID, secret: c.AppRole.SecretID}
	}
	if c.Token == "" && (!plainName.MatchString(l.mount) || !plainName.MatchString(l.role)) {
		return l, fmt.Errorf("mount and role are %q and %q, expected names as in jwt jwt release", model.OneLine(l.mount, 60), model.OneLine(l.role, 60))
	}
	if l.federates {
		return l, nil
	}
	if err := l.secret.Validate(); err != nil {
		return l, fmt.Errorf("the secret of the login: %w", err)
	}
	return l, nil
}

func (c *Config) reads() (mintapi.Path, error) {
	if c.Read == "" {
		return mintapi.Path{}, errors.New("read is absent, expected the path of a secret: read /secret/data/registry")
	}
	path, err := mintapi.ParsePath(c.Read, mintapi.Allowed{Names: mintapi.TargetNames()})
	if err == nil && (strings.HasPrefix(c.Read, "/v1/") || strings.HasPrefix(c.Read, "/sys/") || strings.HasPrefix(c.Read, "/auth/")) {
		err = fmt.Errorf("a path %q, expected one of a secret, below /v1", model.OneLine(c.Read, 100))
	}
	if err != nil {
		return path, fmt.Errorf("read has %w", err)
	}
	return path, nil
}

func parsePresent(words []string) (p present, err error) {
	switch {
	case len(words) == 2 && words[0] == "bearer":
		p = present{secret: words[1]}
	case len(words) == 3 && words[0] == "basic":
		p = present{user: words[1], secret: words[2]}
		if strings.HasPrefix(p.user, "/") {
			err = mintapi.CheckPointer(p.user)
		} else {
			err = credential.CheckUser(p.user)
		}
	case len(words) == 3 && words[0] == "header":
		p.secret = words[2]
		p.header, err = credential.CheckHeader(words[1])
	default:
		return p, errors.New("present is neither bearer POINTER, basic USER POINTER nor header NAME POINTER")
	}
	if err == nil {
		err = mintapi.CheckPointer(p.secret)
	}
	if err != nil {
		return p, fmt.Errorf("present %s: %w", words[0], err)
	}
	return p, nil
}
