package publishtoken

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/trustpub/trustpub/internal/model"
)

// Prefix begins every publish token: it tells them from a registry's own tokens, and lets secret scanners find them.
const Prefix = "tpub_"

// tokenType is the typ of the JWS header. An identity token never has it, so neither can be taken for the other.
const tokenType = "trustpub-publish+jwt"

// maxToken bounds a token in bytes. As a Basic password it grows by a third and must fit a 16 KiB header block.
const maxToken = 11 << 10

// maxClaims bounds the payload in bytes, of which the identity's claims are nearly all.
const maxClaims = 8 << 10

// payload is what a token carries.
type payload struct {
	Issuer     string   `json:"iss"`
	Audiences  []string `json:"aud"`
	ID         string   `json:"jti"`
	IssuedAt   int64    `json:"iat"`
	Expiry     int64    `json:"exp"`
	Registries []string `json:"registries"`
	Packages   []string `json:"packages,omitempty"`
	SingleUse  bool     `json:"single_use,omitempty"`
	Bound      bool     `json:"bound,omitempty"`
	Identity   identity `json:"identity"`
	// Sealed is the identity token itself, sealed; absent where no registry in scope needs it.
	Sealed []byte `json:"sealed,omitempty"`
}

// identity is a model.Identity on the way.
type identity struct {
	Issuer      string         `json:"issuer"`
	Provider    string         `json:"provider"`
	JTI         string         `json:"jti,omitempty"`
	KeyID       string         `json:"kid,omitempty"`
	Audience    string         `json:"audience"`
	Digest      []byte         `json:"digest"`
	IssuedAt    instant        `json:"iat"`
	Expiry      instant        `json:"exp"`
	TokenExpiry instant        `json:"token_exp"`
	Claims      map[string]any `json:"claims"`
}

// instant is a time as seconds and nanoseconds since 1970: exact for every time, the zero one included.
type instant [2]int64

func instantOf(t time.Time) instant { return instant{t.Unix(), int64(t.Nanosecond())} }

func (i instant) time() time.Time { return time.Unix(i[0], i[1]).UTC() }

func payloadOf(g *model.Grant, issuer string, audiences []string) payload {
	id := g.Identity
	return payload{
		Issuer: issuer, Audiences: audiences, ID: g.ID, IssuedAt: g.IssuedAt.Unix(), Expiry: g.Expiry.Unix(),
		Registries: g.Registries, Packages: g.Packages, SingleUse: g.SingleUse, Bound: g.Bound,
		Identity: identity{
			Issuer: id.Issuer, Provider: id.Provider, JTI: id.JTI, KeyID: id.KeyID, Audience: id.Audience, Digest: id.Digest[:],
			IssuedAt: instantOf(id.IssuedAt), Expiry: instantOf(id.Expiry), TokenExpiry: instantOf(id.TokenExpiry),
			Claims: id.Claims,
		},
	}
}

func (p *payload) grant() (*model.Grant, error) {
	if len(p.Identity.Digest) != sha256.Size {
		return nil, fmt.Errorf("identity digest has %d bytes, expected %d", len(p.Identity.Digest), sha256.Size)
	}
	id := &model.Identity{
		Issuer: p.Identity.Issuer, Provider: p.Identity.Provider, JTI: p.Identity.JTI, KeyID: p.Identity.KeyID, Audience: p.Identity.Audience,
		Digest:   [sha256.Size]byte(p.Identity.Digest),
		IssuedAt: p.Identity.IssuedAt.time(), Expiry: p.Identity.Expiry.time(), TokenExpiry: p.Identity.TokenExpiry.time(),
		Claims: p.Identity.Claims,
	}
	return &model.Grant{
		ID: p.ID, Identity: id, Registries: p.Registries, Packages: p.Packages, SingleUse: p.SingleUse, Bound: p.Bound,
		IssuedAt: time.Unix(p.IssuedAt, 0).UTC(), Expiry: time.Unix(p.Expiry, 0).UTC(),
	}, nil
}

// encodePayload writes numbers as the identity token spelled them.
func encodePayload(p payload) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		return nil, fmt.Errorf("encode the claims: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decodePayload reads a payload whose signature was verified.
func decodePayload(b []byte) (*payload, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber() // a run id of 17 digits must stay what it is
	dec.DisallowUnknownFields()
	p := new(payload)
	if err := dec.Decode(p); err != nil {
		return nil, errors.New("the payload is not that of a publish token")
	}
	if dec.More() {
		return nil, errors.New("the payload is followed by other data")
	}
	return p, nil
}

// sign makes the compact form.
func sign(k key, payload []byte) (string, error) {
	opts := new(jose.SignerOptions).WithType(tokenType).WithHeader(jose.HeaderKey("kid"), k.id)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: k.private}, opts)
	if err != nil {
		return "", fmt.Errorf("make a signer: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("serialize: %w", err)
	}
	return Prefix + compact, nil
}

// parsed is a token whose form is right and whose signature was not looked at yet.
type parsed struct {
	jws *jose.JSONWebSignature
	kid string
}

// parse accepts exactly the spelling that sign produces: three segments of base64url without padding, line breaks or spare
// bits, and a header of alg, kid and typ.
func parse(raw string) (*parsed, error) {
	compact, ok := strings.CutPrefix(raw, Prefix)
	if !ok {
		return nil, errors.New("it lacks the prefix " + Prefix)
	}
	if len(raw) > maxToken {
		return nil, fmt.Errorf("it has %d bytes, expected at most %d", len(raw), maxToken)
	}
	if strings.Count(compact, ".") != 2 {
		return nil, errors.New("it does not have three parts")
	}
	for segment := range strings.SplitSeq(compact, ".") {
		if err := checkSegment(segment); err != nil {
			return nil, err
		}
	}
	jws, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, errors.New("it is not a compact EdDSA signature")
	}
	if len(jws.Signatures) != 1 {
		return nil, errors.New("it does not have one signature")
	}
	h := jws.Signatures[0].Protected
	typ, _ := h.ExtraHeaders[jose.HeaderType].(string)
	switch {
	case typ != tokenType:
		return nil, fmt.Errorf("header typ is %q, expected %q", model.OneLine(typ, 40), tokenType)
	case h.KeyID == "":
		return nil, errors.New("header kid is absent")
	case len(h.ExtraHeaders) != 1 || h.JSONWebKey != nil || h.Nonce != "":
		return nil, errors.New("its header has members other than alg, kid and typ")
	}
	return &parsed{jws: jws, kid: h.KeyID}, nil
}

// checkSegment refuses a second spelling of the same bytes. The decoder ignores line breaks, so they are looked for first.
func checkSegment(s string) error {
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return errors.New("a part is empty or has a line break")
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(s); err != nil {
		return errors.New("a part is not base64url without padding and spare bits")
	}
	return nil
}
