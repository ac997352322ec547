package courier

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/handover"
)

// formats are the forms in which a token is printed.
var formats = map[string]func(m *Minted, g handover.Grant) (string, error){
	"token": func(_ *Minted, g handover.Grant) (string, error) { return g.Token + "\n", nil },
	"env":   printEnv,
	"json":  printJSON,
	"netrc": func(_ *Minted, g handover.Grant) (string, error) { return handover.Netrc(g), nil },
	"npmrc": func(_ *Minted, g handover.Grant) (string, error) {
		return "registry=" + g.URL + "\n" + handover.Npmrc(g), nil
	},
	"pypirc":         printPypirc,
	"maven-settings": func(_ *Minted, g handover.Grant) (string, error) { return handover.MavenSettings(g, "") },
	"docker-config":  func(_ *Minted, g handover.Grant) (string, error) { return handover.DockerConfig(g, "") },
}

// Formats are the words that Print takes.
func Formats() []string {
	names := make([]string, 0, len(formats))
	for name := range formats {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// CheckFormat refuses a form that is not known, before anything is minted.
func CheckFormat(format string) error {
	if formats[format] == nil {
		return fmt.Errorf("--format is %q, expected one of %s", format, strings.Join(Formats(), ", "))
	}
	return nil
}

// Print is a token in one of the forms. name is what the client calls the registry; empty: as the gateway does.
func Print(m *Minted, format, name string) (string, error) {
	if err := CheckFormat(format); err != nil {
		return "", err
	}
	if name == "" {
		name = m.Registry.Name
	}
	return formats[format](m, handover.Grant{Name: name, URL: m.Registry.URL, Token: m.Token.Value})
}

// printEnv is for a file of variables, such as GITHUB_ENV: nothing in a token or URL needs a quote.
func printEnv(_ *Minted, g handover.Grant) (string, error) {
	vars := handover.Plain(g)
	names := make([]string, 0, len(vars))
	for name := range vars {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%s=%s\n", name, vars[name])
	}
	return b.String(), nil
}

func printJSON(m *Minted, g handover.Grant) (string, error) {
	b, err := json.MarshalIndent(struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
		Registry  string    `json:"registry"`
		Ecosystem string    `json:"ecosystem"`
		URL       string    `json:"url"`
	}{g.Token, m.Token.Expiry.UTC().Truncate(time.Second), m.Registry.Name, m.Registry.Ecosystem, g.URL}, "", "  ")
	return string(b) + "\n", err
}

func printPypirc(_ *Minted, g handover.Grant) (string, error) {
	return fmt.Sprintf("[distutils]\nindex-servers =\n    %s\n\n[%s]\nrepository = %s\nusername = %s\npassword = %s\n", g.Name, g.Name, g.URL, handover.User, g.Token), nil
}
