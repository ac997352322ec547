package publishtoken

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/model"
)

// An identity token inside a publish token is packed before it is sealed: base64url is a third longer than what it says, and a
// publish token must fit a header. Strict base64url has one spelling, so unpacking gives the same bytes.

// pack decodes the three parts of a compact JWS, each behind its length.
func pack(raw string) ([]byte, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, errors.New("the identity token does not have three parts")
	}
	var b bytes.Buffer
	for _, p := range parts {
		decoded, err := base64.RawURLEncoding.Strict().DecodeString(p)
		if err != nil || len(decoded) > 1<<16-1 || strings.ContainsAny(p, "\r\n") {
			return nil, errors.New("a part of the identity token is not base64url")
		}
		b.Write([]byte{byte(len(decoded) >> 8), byte(len(decoded))}) //nolint:gosec // two bytes hold it, as was checked
		b.Write(decoded)
	}
	return b.Bytes(), nil
}

// unpack undoes pack.
func unpack(b []byte) (string, error) {
	var parts []string
	for len(b) > 0 {
		if len(b) < 2 || len(b)-2 < int(b[0])<<8|int(b[1]) {
			return "", errors.New("the sealed identity token is cut")
		}
		n := int(b[0])<<8 | int(b[1])
		parts = append(parts, base64.RawURLEncoding.EncodeToString(b[2:2+n]))
		b = b[2+n:]
	}
	if len(parts) != 3 {
		return "", errors.New("the sealed identity token does not have three parts")
	}
	return strings.Join(parts, "."), nil
}

// innerBinding ties a sealed identity token to the publish token that carries it.
func innerBinding(issuer, kid, id string) string { return issuer + "\x00" + kid + "\x00" + id }

// sealInner seals the grant's identity token, and ends the grant no later than it.
func sealInner(g *model.Grant, issuer string, k key, now time.Time) ([]byte, error) {
	if g.Token.Empty() {
		return nil, nil
	}
	for _, end := range []time.Time{g.Identity.Expiry, g.Identity.TokenExpiry} {
		if end = end.Truncate(time.Second); end.Before(g.Expiry) {
			g.Expiry = end.UTC()
		}
	}
	if !now.Before(g.Expiry) {
		return nil, model.Deny(model.CodeExpired).
			Differ("exp", g.Expiry.Format(time.RFC3339), "later than "+now.UTC().Format(time.RFC3339)).
			Hinted("request a new identity token right before publishing: a registry in scope needs it until the upload")
	}
	packed, err := pack(g.Token.Reveal())
	if err != nil {
		return nil, model.Deny(model.CodeInternal).Because(err)
	}
	sealed, err := k.inner.seal(packed, innerBinding(issuer, k.id, g.ID))
	if err != nil {
		return nil, model.Deny(model.CodeInternal).Because(err)
	}
	return sealed, nil
}

// openInner opens what sealInner sealed into this token.
func openInner(p *payload, k key) (model.IdentityToken, error) {
	if len(p.Sealed) == 0 {
		return model.IdentityToken{}, nil
	}
	packed, ok := k.inner.unseal(p.Sealed, innerBinding(p.Issuer, k.id, p.ID))
	if !ok {
		return model.IdentityToken{}, errors.New("the identity token inside does not open")
	}
	raw, err := unpack(packed)
	if err != nil {
		return model.IdentityToken{}, err
	}
	return model.NewIdentityToken(raw), nil
}
