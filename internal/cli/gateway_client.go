package cli

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trustpub/trustpub/internal/ambient"
	"github.com/trustpub/trustpub/internal/courier"
	"github.com/trustpub/trustpub/internal/exchange"
)

// The variables that stand in for flags, so that a helper that is called by name alone knows where to ask.
const (
	envRegistry = "TRUSTPUB_REGISTRY"
	envIdentity = "TRUSTPUB_IDENTITY_SOURCE"
	envCA       = "TRUSTPUB_CA_FILE"
)

// gatewayClient is what each command needs that asks a gateway for a token.
type gatewayClient struct {
	registry, identity, audience, ca string
}

func (g *gatewayClient) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&g.registry, "registry", os.Getenv(envRegistry), "the registry's `URL`, as its clients have it; default: "+envRegistry)
	g.identityFlags(cmd)
}

func (g *gatewayClient) identityFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&g.identity, "identity", os.Getenv(envIdentity), "where the identity token is: "+strings.Join(ambient.Names(), ", ")+", env:NAME or file:PATH; default: the first that fits")
	cmd.Flags().StringVar(&g.audience, "audience", "", "the `audience` that the identity token is asked for, where that of the gateway does not name its own host")
	cmd.Flags().StringVar(&g.ca, "ca", os.Getenv(envCA), "a `file` with the certificate authority of the gateway, beside those of the system; default: "+envCA)
}

// environmentClient is for helpers, which get no flags.
func environmentClient() *gatewayClient {
	return &gatewayClient{registry: os.Getenv(envRegistry), identity: os.Getenv(envIdentity), ca: os.Getenv(envCA)}
}

// errand checks the flags and puts the neighbours together.
func (g *gatewayClient) errand(cmd *cobra.Command, opts Options) (courier.Errand, error) {
	client, err := g.client(opts)
	return courier.Errand{
		Registry: g.registry, Named: true, Audience: g.audience, Identity: g.identity, Job: ambient.Here(), Gateway: client, Notes: cmd.ErrOrStderr(),
	}, err
}

// needRegistry is for commands that are not told by somebody else.
func (g *gatewayClient) needRegistry() error {
	if g.registry == "" {
		return usagef("--registry is missing, expected the registry's URL, as in --registry https://pypi.example.com/publisher/prod/")
	}
	if _, err := exchange.CheckURL(g.registry); err != nil {
		return usagef("--registry: %w", err)
	}
	return nil
}

func (g *gatewayClient) client(opts Options) (*exchange.Client, error) {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, fmt.Errorf("the default transport is a %T", http.DefaultTransport)
	}
	transport = transport.Clone()
	if g.ca != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pem, err := os.ReadFile(g.ca)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca: %s has no certificate, expected PEM", g.ca)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return exchange.New(transport, "trustpub/"+versionOf(opts)), nil
}
