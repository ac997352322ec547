package helper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/trustpub/trustpub/internal/ambient"
)

// errNotFound is what docker takes for a host without a password; any other text is an error.
var errNotFound = errors.New("credentials not found in native keychain")

// Docker answers a credential helper's verb. The password is the identity token itself: container clients ask anew for each command
// and repository, and the gateway's realm takes it as often as they like, bound to what is pushed first.
func (h *Helper) Docker(ctx context.Context, verb string) error {
	question, err := io.ReadAll(io.LimitReader(h.In, maxQuestion))
	if err != nil && verb != "list" {
		return err
	}
	switch verb {
	case "get":
		return h.dockerGet(ctx, strings.TrimSpace(string(question)))
	case "list":
		return h.line("{}")
	case "store", "erase":
		return nil // nothing is kept; docker login and logout are to succeed
	}
	return fmt.Errorf("the verb is %q, expected get, store, erase or list", verb)
}

func (h *Helper) dockerGet(ctx context.Context, place string) error {
	if place == "" {
		return errors.New("the standard input is empty, expected a registry's host")
	}
	var err error
	for _, url := range withScheme(strings.TrimSuffix(place, "/")) {
		errand := h.Errand(url)
		_, token, tokenErr := errand.IdentityToken(ctx)
		if tokenErr != nil {
			err = errors.Join(err, tokenErr)
			continue
		}
		answer, err := json.Marshal(struct { //nolint:gosec // docker asks for the secret
			ServerURL string
			Username  string
			Secret    string
		}{place, "oidc", token})
		if err != nil {
			return err
		}
		return h.line(string(answer))
	}
	// Docker reads errors from the standard output, and takes just this text for a host of which nothing is known.
	said := errNotFound.Error()
	var missing *ambient.Missing
	if errors.As(err, &missing) {
		said = missing.Error()
	}
	return errors.Join(h.line(said), fmt.Errorf("%w: %w", errNotFound, err))
}
