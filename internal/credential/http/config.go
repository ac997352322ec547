package http

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/credential/mintapi"
	"github.com/trustpub/trustpub/internal/model"
)

// Config is the configuration.
type Config struct {
	// URL is where the gateway reaches the API: `url https://registry.example.com/api`. Required.
	URL string `json:"url"`
	// CA is a PEM file with the certificate authority of the API's own certificate. Default: the system's.
	CA string `json:"ca,omitempty"`
	// Basic, Bearer and Header are how the gateway logs in at the API; at most one of them.
	Basic  *Basic       `json:"basic,omitempty"`
	Bearer model.Secret `json:"bearer,omitempty"`
	Header *Header      `json:"header,omitempty"`
	// Mint is the call that makes a credential: `mint POST /tokens`. Required.
	Mint *Call `json:"mint,omitempty"`
	// Body is its JSON document, a template. Form are the fields of a form instead: `form grant_type=client_credentials scope={scope}`.
	Body string   `json:"body,omitempty"`
	Form []string `json:"form,omitempty"`
	// Token is the JSON pointer to the credential in the answer: `token /data/token`. Required.
	Token string `json:"token"`
	// Expiry is the JSON pointer to its end, and how that is written: `expiry /expires_in seconds`. Default: nobody knows.
	Expiry *Expiry `json:"expiry,omitempty"`
	// Present is how the registry takes it: `present bearer` (the default), `present basic USER` or `present header NAME`.
	Present []string `json:"present,omitempty"`
	// Scope is what {scope} stands for.
	Scope string `json:"scope,omitempty"`
	// Reads says that reads get a credential too. ReadScope is their {scope}; default: Scope.
	Reads     bool   `json:"reads,omitempty"`
	ReadScope string `json:"read_scope,omitempty"`
	// Revoke is the call that ends a credential: `revoke DELETE /tokens/{answer:/id}`, and RevokeBody its JSON document.
	Revoke     *Call  `json:"revoke,omitempty"`
	RevokeBody string `json:"revoke_body,omitempty"`
	// Lifetime is the life that is asked for, and the longest that is believed. Default: 15m.
	Lifetime model.Duration `json:"lifetime,omitempty"`

	// now is the clock of tests.
	now func() time.Time
}

// Basic is a user's name and the password.
type Basic struct {
	User     string       `json:"user"`
	Password model.Secret `json:"password"`
}

// Header is a header's name and its value.
type Header struct {
	Name  string       `json:"name"`
	Value model.Secret `json:"value"`
}

// Call is a method and a path below the URL, with a query where it needs one. Both may have placeholders.
type Call struct {
	Method string `json:"method"`
	Path   string `json:"path"`
}

// Expiry is where the end of a credential is, and how it is written: rfc3339, unix or seconds.
type Expiry struct {
	Pointer string `json:"pointer"`
	Form    string `json:"form"`
}

// placeholders are what a template may have, beside the parts of an answer where there is one.
var placeholders = append(mintapi.TargetNames(), "scope", "lifetime_seconds", "expires", "expires_unix", "random")

func (c *Config) source(registry string) (*source, error) {
	s := &source{registry: registry, scope: c.Scope, reads: c.ReadScope, readable: c.Reads, token: c.Token, expiry: c.Expiry, now: c.now}
	if s.now == nil {
		s.now = time.Now
	}
	if s.reads == "" {
		s.reads = c.Scope
	}
	var err error
	if s.lifetime, err = c.Lifetime.Within("lifetime", DefaultLifetime, MinLifetime, MaxLifetime); err != nil {
		return nil, err
	}
	if c.ReadScope != "" && !c.Reads {
		return nil, errors.New("read_scope without reads: reads get no credential")
	}
	base, err := mintapi.CheckURL(c.URL, "https://registry.example.com/api")
	if err != nil {
		return nil, err
	}
	for _, part := range []func(*source) error{c.logsIn, c.mints, c.answers, c.revokes} {
		if err := part(s); err != nil {
			return nil, err
		}
	}
	s.api, err = mintapi.New(base, mintapi.Options{CAFile: c.CA, Now: s.now})
	return s, err
}

// login is how the gateway shows itself to the API.
type login struct {
	user, header string
	secret       model.Secret // empty: it doesn't
}

func (c *Config) logsIn(s *source) error {
	given := 0
	if c.Bearer != "" {
		given++
		s.login = login{secret: c.Bearer}
	}
	if c.Basic != nil {
		given++
		if err := credential.CheckUser(c.Basic.User); err != nil {
			return fmt.Errorf("basic: %w", err)
		}
		s.login = login{user: c.Basic.User, secret: c.Basic.Password}
	}
	if c.Header != nil {
		given++
		name, err := credential.CheckHeader(c.Header.Name)
		if err != nil {
			return fmt.Errorf("header: %w", err)
		}
		s.login = login{header: name, secret: c.Header.Value}
	}
	switch {
	case given > 1:
		return fmt.Errorf("got %d of basic, bearer and header, expected one at most: it is how the gateway logs in at the API", given)
	case given == 0:
		return nil
	}
	if err := s.login.secret.Validate(); err != nil {
		return fmt.Errorf("the secret of the API: %w", err)
	}
	return nil
}

// add puts the login into a call. The secret is read anew, so that a replaced one acts at the next upload.
func (l login) add(c *mintapi.Call) error {
	if l.secret == "" {
		return nil
	}
	secret, err := l.secret.Resolve()
	if err != nil {
		return err
	}
	if err := credential.CheckValue(secret); err != nil {
		return fmt.Errorf("secret %s %w", l.secret, err)
	}
	switch {
	case l.user != "":
		c.User, c.Password = l.user, secret
	case l.header != "":
		c.Header.Set(l.header, secret)
	default:
		c.Bearer = secret
	}
	return nil
}

func (c *Config) mints(s *source) error {
	if c.Mint == nil {
		return errors.New("mint is absent, expected the call that makes a credential: mint POST /tokens")
	}
	if c.Body != "" && len(c.Form) > 0 {
		return errors.New("got body and form, expected one at most")
	}
	var err error
	if s.mint, err = c.Mint.parse(c.Body, false); err != nil {
		return fmt.Errorf("mint: %w", err)
	}
	s.mint.expect = []int{http.StatusOK, http.StatusCreated}
	for _, line := range c.Form {
		name, value, ok := strings.Cut(line, "=")
		if !ok || name == "" {
			return fmt.Errorf("form has %q, expected NAME=VALUE", model.OneLine(line, 60))
		}
		t, err := mintapi.ParseTemplate(value, mintapi.Allowed{Names: placeholders})
		if err != nil {
			return fmt.Errorf("form: %s has %w", model.OneLine(name, 60), err)
		}
		s.mint.form = append(s.mint.form, field{name, t})
	}
	return nil
}

func (c *Config) revokes(s *source) error {
	if c.Revoke == nil {
		if c.RevokeBody != "" {
			return errors.New("revoke_body without revoke")
		}
		return nil
	}
	parsed, err := c.Revoke.parse(c.RevokeBody, true)
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	// One that is gone already is as good.
	parsed.expect = []int{http.StatusNoContent, http.StatusOK, http.StatusAccepted, http.StatusNotFound, http.StatusGone}
	s.revoke = &parsed
	return nil
}

func (c *Call) parse(document string, answered bool) (call, error) {
	p := call{method: c.Method}
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, c.Method) {
		return p, fmt.Errorf("the method is %q, expected GET, POST, PUT, PATCH or DELETE", model.OneLine(c.Method, 20))
	}
	var err error
	allowed := mintapi.Allowed{Names: placeholders, Answer: answered}
	if p.path, err = mintapi.ParsePath(c.Path, allowed); err != nil {
		return p, fmt.Errorf("the path has %w", err)
	}
	if document == "" {
		return p, nil
	}
	parsed, err := mintapi.ParseBody(document, allowed)
	if err != nil {
		return p, fmt.Errorf("the body has %w", err)
	}
	p.json = &parsed
	return p, nil
}

func (c *Config) answers(s *source) error {
	if c.Token == "" {
		return errors.New("token is absent, expected the pointer to the credential in the answer: token /token")
	}
	if err := mintapi.CheckPointer(c.Token); err != nil {
		return fmt.Errorf("token has %w", err)
	}
	if c.Expiry != nil {
		if err := errors.Join(mintapi.CheckPointer(c.Expiry.Pointer), checkForm(c.Expiry.Form)); err != nil {
			return fmt.Errorf("expiry has %w", err)
		}
	}
	var err error
	s.present, err = parsePresent(c.Present)
	return err
}

// present is how the registry takes the credential.
type present struct {
	basic  *mintapi.Template // the user
	header string            // empty: Authorization: Bearer
}

func parsePresent(words []string) (present, error) {
	switch {
	case len(words) == 0, len(words) == 1 && words[0] == "bearer":
		return present{}, nil
	case len(words) == 2 && words[0] == "basic":
		t, err := mintapi.ParseTemplate(words[1], mintapi.Allowed{Names: placeholders, Answer: true})
		if err == nil && t.Constant() {
			err = credential.CheckUser(words[1])
		}
		if err != nil {
			return present{}, fmt.Errorf("present basic: %w", err)
		}
		return present{basic: &t}, nil
	case len(words) == 2 && words[0] == "header":
		name, err := credential.CheckHeader(words[1])
		if err != nil {
			return present{}, fmt.Errorf("present header: %w", err)
		}
		return present{header: name}, nil
	}
	return present{}, errors.New("present is neither bearer, basic USER nor header NAME")
}

func (p present) credential(v mintapi.Values, secret string) (model.Credential, error) {
	switch {
	case p.header != "":
		return model.Credential{Header: http.Header{p.header: {secret}}}, nil
	case p.basic == nil:
		return model.Bearer(secret), nil
	}
	user, err := p.basic.Text(v)
	if err != nil {
		return model.Credential{}, err
	}
	if err := credential.CheckUser(user); err != nil {
		return model.Credential{}, mintapi.Unfit("the user of the credential is empty, or has a colon, a brace or a control character")
	}
	return model.Basic(user, secret), nil
}
