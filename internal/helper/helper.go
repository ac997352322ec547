// Package helper speaks the protocols by which clients ask a program of the user's for a credential: docker's credential helpers,
// cargo's credential providers, and keyring's command line, which pip and uv call. Each answers with a token of the CI job.
package helper

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/trustpub/trustpub/internal/courier"
	"github.com/trustpub/trustpub/internal/handover"
)

// Helper answers one client.
type Helper struct {
	// Errand makes the way to a registry's token.
	Errand func(registry string) courier.Errand
	In     io.Reader
	Out    io.Writer
}

// maxQuestion bounds what is read of a question, in bytes.
const maxQuestion = 64 << 10

// withScheme turns a host, with or without a path, into a URL; a host of this machine may be without TLS.
func withScheme(place string) []string {
	if strings.Contains(place, "://") {
		return []string{place}
	}
	host, _, _ := strings.Cut(place, "/")
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	urls := []string{"https://" + place}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		urls = append(urls, "http://"+place)
	}
	return urls
}

// token gets a publish token for the first of the places that answers.
func (h *Helper) token(ctx context.Context, place string) (m *courier.Minted, err error) {
	for _, url := range withScheme(place) {
		errand := h.Errand(url)
		if m, err = errand.Mint(ctx); err == nil {
			return m, nil
		}
	}
	return nil, err
}

// line writes one line of an answer.
func (h *Helper) line(text string) error {
	_, err := fmt.Fprintln(h.Out, text)
	return err
}

// user is the name beside a token.
const user = handover.User
