package helper

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// cargoRequest is a question of cargo's credential provider protocol, version 1.
type cargoRequest struct {
	V         int    `json:"v"`
	Kind      string `json:"kind"`
	Operation string `json:"operation"`
	Registry  struct {
		IndexURL string `json:"index-url"`
		Name     string `json:"name"`
	} `json:"registry"`
}

// cargoError is an answer that is no credential.
type cargoError struct {
	Kind    string `json:"kind"`
	Message string `json:"message,omitempty"`
}

// Cargo answers questions until cargo has no more. registry is where the token comes from if the index does not say it, as with an index
// in git.
func (h *Helper) Cargo(ctx context.Context, registry string) error {
	if err := h.line(`{"v":[1]}`); err != nil {
		return err
	}
	in := bufio.NewReaderSize(io.LimitReader(h.In, 16*maxQuestion), maxQuestion)
	for {
		line, err := in.ReadString('\n')
		if strings.TrimSpace(line) != "" {
			answer, err := json.Marshal(h.cargo(ctx, line, registry))
			if err != nil {
				return err
			}
			if err := h.line(string(answer)); err != nil {
				return err
			}
		}
		if err != nil {
			return nil // the end
		}
	}
}

// cargo answers one question.
func (h *Helper) cargo(ctx context.Context, line, registry string) any {
	failed := func(kind, message string) any {
		return map[string]cargoError{"Err": {kind, message}}
	}
	var q cargoRequest
	if err := json.Unmarshal([]byte(line), &q); err != nil || q.V != 1 {
		return failed("other", "the question is none of version 1 of the protocol")
	}
	if q.Kind != "get" {
		return failed("operation-not-supported", "")
	}
	place := registry
	if place == "" {
		var sparse bool
		if place, sparse = strings.CutPrefix(q.Registry.IndexURL, "sparse+"); !sparse {
			return failed("other", fmt.Sprintf("the index %q does not say where the registry is: set TRUSTPUB_REGISTRY to its URL", q.Registry.IndexURL))
		}
	}
	m, err := h.token(ctx, place)
	if err != nil {
		return failed("other", err.Error())
	}
	return map[string]any{"Ok": map[string]any{
		"kind": "get", "token": m.Token.Value, "cache": "expires", "expiration": m.Token.Expiry.Unix(), "operation_independent": true,
	}}
}
