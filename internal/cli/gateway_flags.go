package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/policies"
)

// gatewayFlags tell a command what the gateway has that policies refer to.
type gatewayFlags struct {
	registries, issuers []string
	config              string
}

// gatewayParts is what they tell; nil: anything may exist.
type gatewayParts struct {
	registries map[string]string
	issuers    []policies.Issuer
}

func (f *gatewayFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.registries, "registries", nil, "the gateway's registries, as NAME=ECOSYSTEM,...")
	cmd.Flags().StringSliceVar(&f.issuers, "issuers", nil, "the gateway's issuers, as NAME=PROVIDER,... or PROVIDER,...")
	cmd.Flags().StringVar(&f.config, "config", "", "the gateway's configuration as JSON ('caddy adapt' prints it), which names both")
}

// read reads the flags and the configuration; what both name must agree.
func (f *gatewayFlags) read() (gatewayParts, error) {
	var parts gatewayParts
	if f.config != "" {
		if len(f.registries) > 0 || len(f.issuers) > 0 {
			return parts, usagef("got --config beside --registries or --issuers, expected one of them: the configuration names both")
		}
		return readConfig(f.config)
	}
	for _, pair := range f.registries {
		name, ecosystem, ok := strings.Cut(pair, "=")
		if !ok || name == "" || ecosystem == "" {
			return parts, usagef("--registries has %q, expected NAME=ECOSYSTEM", pair)
		}
		if _, twice := parts.registries[name]; twice {
			return parts, usagef("--registries names %q twice", name)
		}
		if parts.registries == nil {
			parts.registries = map[string]string{}
		}
		parts.registries[name] = ecosystem
	}
	for _, pair := range f.issuers {
		issuer, err := parseIssuer(pair)
		if err != nil {
			return parts, err
		}
		if slices.ContainsFunc(parts.issuers, func(i policies.Issuer) bool { return i.Name == issuer.Name }) {
			return parts, usagef("--issuers names %q twice", issuer.Name)
		}
		parts.issuers = append(parts.issuers, issuer)
	}
	return parts, nil
}

// maxConfig bounds a configuration, in bytes.
const maxConfig = 64 << 20

// readConfig finds registries and issuers in Caddy's configuration: those of the app, and those of every handler wherever
// its routes put it.
func readConfig(path string) (gatewayParts, error) {
	parts := gatewayParts{registries: map[string]string{}, issuers: []policies.Issuer{}}
	data, err := readUpTo(path, maxConfig)
	if err != nil {
		return parts, err
	}
	var config struct {
		Apps map[string]json.RawMessage `json:"apps"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return parts, fmt.Errorf("%s is not a configuration in JSON: %w; make one with 'caddy adapt'", path, err)
	}
	app, there := config.Apps["trusted_publishing"]
	if !there {
		return parts, fmt.Errorf("%s has no apps.trusted_publishing: expected the configuration of a gateway, as 'caddy adapt' prints it", path)
	}
	if err := parts.addIssuers(app); err != nil {
		return parts, fmt.Errorf("%s: apps.trusted_publishing: %w", path, err)
	}
	var all any
	if err := json.Unmarshal(data, &all); err != nil {
		return parts, err
	}
	parts.addRegistries(all)
	return parts, nil
}

// addIssuers reads the app's issuers; one without a name is called like its provider.
func (p *gatewayParts) addIssuers(app json.RawMessage) error {
	var have struct {
		Issuers []struct {
			Name     string `json:"name"`
			Provider string `json:"provider"`
			Disabled bool   `json:"disabled"`
		} `json:"issuers"`
	}
	if err := json.Unmarshal(app, &have); err != nil {
		return err
	}
	for _, i := range have.Issuers {
		if i.Name == "" {
			i.Name = i.Provider
		}
		p.issuers = append(p.issuers, policies.Issuer{Name: i.Name, Provider: i.Provider, Disabled: i.Disabled})
	}
	return nil
}

// addRegistries walks a configuration for handlers.
func (p *gatewayParts) addRegistries(v any) {
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			p.addRegistries(one)
		}
	case map[string]any:
		if v["handler"] == "trusted_publishing" {
			list, _ := v["registries"].([]any)
			for _, one := range list {
				registry, _ := one.(map[string]any)
				name, _ := registry["name"].(string)
				ecosystem, _ := registry["ecosystem"].(string)
				if name != "" && ecosystem != "" {
					p.registries[name] = ecosystem
				}
			}
		}
		for _, one := range v {
			p.addRegistries(one)
		}
	}
}
