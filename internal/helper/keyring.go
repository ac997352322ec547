package helper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Keyring answers keyring's command line: get SERVICE USER, as pip and uv call it, with --mode creds and --output json as newer ones do.
// Nothing is ever kept.
func (h *Helper) Keyring(ctx context.Context, args []string) error {
	var plain []string
	creds, asJSON := false, false
	for i := 0; i < len(args); i++ {
		switch name, value, joined := strings.Cut(args[i], "="); {
		case name != "--mode" && name != "--output":
			plain = append(plain, args[i])
			continue
		default:
			if !joined && i+1 < len(args) {
				i++
				value = args[i]
			}
			creds, asJSON = creds || name == "--mode" && value == "creds", asJSON || name == "--output" && value == "json"
		}
	}
	if len(plain) == 0 || plain[0] != "get" {
		return fmt.Errorf("%q is not supported: there is only get, since nothing is kept", strings.Join(plain, " "))
	}
	if len(plain) < 2 || len(plain) > 3 || len(plain) == 2 && !creds {
		return errors.New("expected get SERVICE USER")
	}
	name := user
	if len(plain) == 3 && plain[2] != "" {
		name = plain[2]
	}
	m, err := h.token(ctx, plain[1])
	if err != nil {
		return err
	}
	switch {
	case asJSON:
		answer := map[string]string{"password": m.Token.Value}
		if creds {
			answer["username"] = name
		}
		b, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		return h.line(string(b))
	case creds:
		return h.line(name + "\n" + m.Token.Value)
	}
	return h.line(m.Token.Value)
}
