package cli

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
)

// maxToken bounds what is read, in bytes.
const maxToken = 64 << 10

// publishPrefix begins publish tokens.
const publishPrefix = "tpub_"

func tokenInspectCommand(opts Options) *cobra.Command {
	return &cobra.Command{
		Use:   "inspect",
		Short: "Show the claims, issuer and times of a token from the standard input",
		Long: `Show the claims, issuer and times of an identity token or a publish token from the standard input.

The token itself is never printed, and its signature is not checked: what is shown is what the token says, which the gateway
may not believe. Take the token from a variable or a file, so that it does not land in the shell's history:

  printenv ID_TOKEN | ` + opts.Name + ` token inspect`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("got %d arguments, expected none: the token comes from the standard input, where no process list shows it", len(args))
			}
			if f, ok := cmd.InOrStdin().(*os.File); ok {
				if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
					fmt.Fprintln(cmd.ErrOrStderr(), "Paste a token, then press Enter and Ctrl-D.")
				}
			}
			raw, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxToken+1))
			if err != nil {
				return fmt.Errorf("standard input: %w", err)
			}
			t, err := parseToken(string(raw))
			if err != nil {
				return err
			}
			t.print(cmd.OutOrStdout(), opts.Now())
			return nil
		},
	}
}

// object is a JSON object whose values were read strictly and not interpreted yet.
type object map[string]jsontext.Value

// token is a token that was taken apart, without its signature.
type token struct {
	publish         bool
	header, payload object
}

// parseToken takes a compact JWS apart. Its errors never quote the input.
func parseToken(raw string) (*token, error) {
	if len(raw) > maxToken {
		return nil, fmt.Errorf("the input is longer than %d bytes, expected one token", maxToken)
	}
	raw = strings.TrimSpace(raw)
	body, publish := strings.CutPrefix(raw, publishPrefix)
	switch {
	case raw == "":
		return nil, errors.New("the input is empty, expected a token")
	case strings.HasPrefix(raw, "{"):
		return nil, errors.New("the input is a JSON document, expected the token alone: pick it out first, as with jq -r .value")
	case strings.ContainsAny(raw, " \t\r\n"):
		return nil, errors.New("the input has white space inside, expected one token alone, without the word Bearer")
	}
	parts := strings.Split(body, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("the input has %d parts between dots, expected the 3 of a signed token", len(parts))
	}
	t := &token{publish: publish}
	for i, part := range []struct {
		name string
		into *object
	}{{"header", &t.header}, {"payload", &t.payload}} {
		decoded, err := base64.RawURLEncoding.Strict().DecodeString(parts[i])
		if err != nil || strings.ContainsAny(parts[i], "\r\n") {
			return nil, fmt.Errorf("the %s is not strict base64url without padding: the gateway refuses the token", part.name)
		}
		if err := json.Unmarshal(decoded, part.into); err != nil || *part.into == nil {
			return nil, notAnObject(part.name, err)
		}
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(parts[2]); err != nil {
		return nil, errors.New("the signature is not strict base64url without padding: the gateway refuses the token")
	}
	return t, nil
}

// notAnObject says what is wrong with a part, but not what it holds, except for the place of a name that occurs twice.
func notAnObject(part string, err error) error {
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) && errors.Is(err, jsontext.ErrDuplicateName) {
		return fmt.Errorf("the %s has the name %q twice: the gateway refuses the token", part, string(syntactic.JSONPointer))
	}
	return fmt.Errorf("the %s is not a JSON object: the gateway refuses the token", part)
}
