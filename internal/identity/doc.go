// Package identity verifies identity tokens: it holds the configured issuers with their key sets, and decides whether a
// token was issued by one of them, for this gateway, and now.
//
// Nothing in a token that is not verified yet chooses anything but one of the configured issuers: no URL, no algorithm, no
// key. Signatures are checked by go-oidc, through a key set of this package that bounds what an issuer or a flood of forged
// tokens can cost. All errors are *model.Denial, and none holds a token.
package identity
