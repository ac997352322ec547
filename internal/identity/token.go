package identity

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// maxToken bounds an identity token, in bytes. The longest known, with two hundred group names, are a third of it.
const maxToken = 32 << 10

// strict decodes base64url without padding and without spare bits, so that one token has one spelling.
var strict = base64.RawURLEncoding.Strict()

// token is an identity token that is well-formed and not verified.
type token struct {
	raw string
	// alg and kid are the header's, of which nothing else is used.
	alg, kid string
	claims   map[string]any
	// payload and signature are the decoded parts; signed is "header.payload", and digest its SHA-256.
	payload, signature []byte
	signed             string
	digest             [sha256.Size]byte
}

// tokenKey names a token in the memory of verified ones, and digest is the SHA-256 of what is signed of it: one is made of the other, so
// that a token is hashed once. False for what has not the form of a token.
func tokenKey(raw string) (key, digest [sha256.Size]byte, ok bool) {
	if len(raw) > maxToken || strings.Count(raw, ".") != 2 {
		return key, digest, false
	}
	var room [4 << 10]byte // of nearly every one; a copy on the stack is cheaper than one more piece of memory
	at := strings.LastIndexByte(raw, '.')
	digest = sha256.Sum256(append(room[:0], raw[:at]...))
	return sha256.Sum256(append(append(room[:0], digest[:]...), raw[at+1:]...)), digest, true
}

// refusedHeaders bring a key, an address of a key, or rules of their own into the header of a token.
var refusedHeaders = []string{"crit", "jku", "x5u", "jwk", "x5c", "b64"}

// parseToken decodes a compact JWS strictly. Its errors say what is wrong and quote nothing of the token. The digest is that of
// tokenKey.
func parseToken(raw string, digest [sha256.Size]byte) (*token, error) {
	if len(raw) > maxToken {
		return nil, fmt.Errorf("it is longer than %d bytes", maxToken)
	}
	header, rest, ok1 := strings.Cut(raw, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || strings.Contains(signature, ".") {
		return nil, errors.New("it is not three parts with dots between them")
	}
	t := &token{raw: raw, signed: raw[:len(raw)-len(signature)-1], digest: digest}
	headerJSON, err := decodePart("header", header)
	if err != nil {
		return nil, err
	}
	if t.payload, err = decodePart("payload", payload); err != nil {
		return nil, err
	}
	if t.signature, err = decodePart("signature", signature); err != nil {
		return nil, err
	}
	fields, err := parseObject(headerJSON)
	if err != nil {
		return nil, fmt.Errorf("its header: %w", err)
	}
	if err := t.readHeader(fields); err != nil {
		return nil, err
	}
	if t.claims, err = parseObject(t.payload); err != nil {
		return nil, fmt.Errorf("its payload: %w", err)
	}
	return t, nil
}

// decodePart decodes one part. The standard decoder skips line breaks, so these are looked for.
func decodePart(name, part string) ([]byte, error) {
	if part == "" {
		return nil, fmt.Errorf("its %s is empty", name)
	}
	decoded, err := strict.DecodeString(part)
	if err == nil && strings.IndexByte(part, '\n') < 0 && strings.IndexByte(part, '\r') < 0 {
		return decoded, nil
	}
	for i := range len(part) {
		if c := part[i]; !isBase64URL(c) {
			return nil, fmt.Errorf("its %s is not base64url without padding or line breaks", name)
		}
	}
	return nil, fmt.Errorf("its %s is not base64url without spare bits", name)
}

func isBase64URL(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// readHeader takes algorithm and key id out of the header, and refuses headers that would change how it is verified.
func (t *token) readHeader(fields map[string]any) error {
	for _, name := range refusedHeaders {
		if _, there := fields[name]; there {
			return fmt.Errorf("its header has %q, which no identity token needs", name)
		}
	}
	var ok bool
	if t.alg, ok = fields["alg"].(string); !ok || t.alg == "" {
		return errors.New("its header names no alg")
	}
	if t.kid, ok = fields["kid"].(string); !ok || t.kid == "" {
		return errors.New("its header names no kid")
	}
	if typ, there := fields["typ"]; there {
		// Tokens of other kinds (access tokens, logout tokens, our own) say so here.
		if s, ok := typ.(string); !ok || !strings.EqualFold(s, "JWT") {
			return errors.New(`its typ is not "JWT"`)
		}
	}
	return nil
}

// looseIssuer is true where raw could be read as a JWT of a known issuer by any decoder, the strict one or not.
func looseIssuer(raw string, known func(string) bool) bool {
	if len(raw) > 1<<20 {
		return false
	}
	_, rest, ok := strings.Cut(raw, ".")
	if !ok {
		return false
	}
	payload, _, ok := strings.Cut(rest, ".")
	if !ok || payload == "" {
		return false
	}
	decoded, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		decoded, err = base64.RawURLEncoding.DecodeString(loosened.Replace(payload))
	}
	return err == nil && mentionsIssuer(decoded, known)
}

// loosened turns the spellings that lenient decoders accept into the one of base64url.
var loosened = strings.NewReplacer("+", "-", "/", "_", "=", "", " ", "", "\t", "", "%3D", "", "%3d", "")
