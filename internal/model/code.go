package model

import "sort"

// Code is the stable name of a refusal. docs/errors.md lists them all; a test keeps the list and this table equal.
type Code string

// CodeInfo is what a code means by default.
type CodeInfo struct {
	// Status is the HTTP status: 401 the credential is at fault, 403 the policy, other 4xx the request, 5xx a part we need.
	Status int
	// Message is the sentence, Hint what to do about it, Meaning the longer text of docs/errors.md.
	Message, Hint, Meaning string
}

// Info is the entry of the table; an unknown code reads as an internal error.
func (c Code) Info() CodeInfo {
	if info, ok := codes[c]; ok {
		return info
	}
	return codes[CodeInternal]
}

// Codes lists every code in alphabetical order.
func Codes() []Code {
	all := make([]Code, 0, len(codes))
	for c := range codes {
		all = append(all, c)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	return all
}

// The codes.
const (
	// The credential.
	CodeNoCredential           Code = "no_credential"
	CodeMultipleCredentials    Code = "multiple_credentials"
	CodeInvalidToken           Code = "invalid_token"
	CodeUnknownIssuer          Code = "unknown_issuer"
	CodeWrongAudience          Code = "wrong_audience"
	CodeExpired                Code = "expired"
	CodeNotYetValid            Code = "not_yet_valid"
	CodeMissingClaim           Code = "missing_claim"
	CodeReplayed               Code = "replayed"
	CodeRevoked                Code = "revoked"
	CodeIssuedBeforeStart      Code = "issued_before_start"
	CodeOutOfScope             Code = "out_of_scope"
	CodeDirectOff              Code = "direct_off"
	CodeTrustedPublishingOnly  Code = "trusted_publishing_only"
	CodeForeignCredential      Code = "foreign_credential"
	CodeIdentityHeaderMisplace Code = "identity_header_misplaced"
	CodeTokenMisplaced         Code = "token_misplaced"
	// The policy.
	CodeNoMatchingPolicy Code = "no_matching_policy"
	CodeNewPackage       Code = "new_package"
	CodeDeniedByOperator Code = "denied_by_operator"
	// The request.
	CodeUnknownHost          Code = "unknown_host"
	CodeRewrittenPath        Code = "rewritten_path"
	CodeAmbiguousPath        Code = "ambiguous_path"
	CodeBadRequest           Code = "bad_request"
	CodeUnsupportedOperation Code = "unsupported_operation"
	CodeUnsupportedFraming   Code = "unsupported_framing"
	CodeContentEncoding      Code = "content_encoding"
	CodeNotFound             Code = "not_found"
	CodeNotAcceptable        Code = "not_acceptable"
	CodeRateLimited          Code = "rate_limited"
	// The upload.
	CodeMalformedUpload Code = "malformed_upload"
	CodeDuplicateField  Code = "duplicate_field"
	CodeFieldOrder      Code = "field_order"
	CodeMissingField    Code = "missing_field"
	CodeTooLarge        Code = "too_large"
	CodeTruncated       Code = "truncated"
	CodeTooSlow         Code = "too_slow"
	CodePackageMismatch Code = "package_mismatch"
	CodeDigestMismatch  Code = "digest_mismatch"
	// The parts that are needed.
	CodeIssuerUnavailable         Code = "issuer_unavailable"
	CodeUnknownKey                Code = "unknown_key"
	CodeStoreUnavailable          Code = "store_unavailable"
	CodeAuditUnavailable          Code = "audit_unavailable"
	CodeCredentialUnavailable     Code = "credential_unavailable"
	CodeSigningKeyUnavailable     Code = "signing_key_unavailable"
	CodeAlreadyExists             Code = "already_exists"
	CodeUpstreamUnavailable       Code = "upstream_unavailable"
	CodeUpstreamTimeout           Code = "upstream_timeout"
	CodeUpstreamAnsweredEarly     Code = "upstream_answered_early"
	CodeUpstreamRefusedCredential Code = "upstream_refused_credential"
	CodeUpstreamRedirected        Code = "upstream_redirected"
	CodeUpstreamQuotedCredential  Code = "upstream_quoted_credential"
	CodePolicyChanged             Code = "policy_changed"
	CodeSpoolUnavailable          Code = "spool_unavailable"
	CodeSpoolFull                 Code = "spool_full"
	CodeInternal                  Code = "internal"
)

var codes = map[Code]CodeInfo{
	CodeNoCredential:           {401, "no credential was sent", "send the identity token or a publish token as the password of user __token__, or as a Bearer token", "A publish came without any credential."},
	CodeMultipleCredentials:    {400, "more than one credential was sent", "send exactly one", "Two Authorization lines, two carriers, or a token in both halves of a Basic credential. Which of them a registry would use is anyone's guess, so none is."},
	CodeInvalidToken:           {401, "the token is not valid", "request a new identity token in this job", "The token is malformed, spelled in a second way, signed by the wrong key, or signed in a way that is not allowed."},
	CodeUnknownIssuer:          {401, "no configured issuer has issued this token", "ask the gateway's operator to add the issuer", "The iss claim names no configured issuer, byte for byte, or one that is disabled."},
	CodeWrongAudience:          {401, "the token was requested for another audience", "request the identity token with the expected audience", "The aud claim is not exactly one of the registry's audiences."},
	CodeExpired:                {401, "the token has expired", "request a new identity token right before publishing", "The effective expiry is the earlier of exp and iat plus the issuer's max_lifetime, with 30 seconds of leeway."},
	CodeNotYetValid:            {401, "the token is not valid yet", "compare the clocks of the CI platform and the gateway", "nbf or iat lies in the future by more than 30 seconds."},
	CodeMissingClaim:           {401, "the token lacks a claim that its provider always sends", "check that the issuer is configured with the right provider", "Each provider lists the claims without which a token is not judged at all."},
	CodeReplayed:               {401, "the token was used before", "request a new identity token for each release, or exchange it once", "An identity token is good for one exchange, or for the files of one release sent directly."},
	CodeRevoked:                {401, "the token was revoked", "exchange a new identity token", "The publish token was burned by its client or revoked by an operator."},
	CodeIssuedBeforeStart:      {401, "the token was issued before the gateway's store began to remember", "request a new identity token", "The memory store forgets at a restart, and so may the server of a shared store: tokens that they may have seen are refused."},
	CodeOutOfScope:             {403, "the publish token is not for this registry or package", "exchange the identity token on this host", "A publish token names the registries it was minted for."},
	CodeDirectOff:              {401, "this registry takes no identity tokens directly", "exchange the identity token first (trustpub exec, uv, pdm and the publish action do)", "`direct off` is set on the registry."},
	CodeTrustedPublishingOnly:  {403, "this package can only be published by trusted publishing", "remove the stored password and publish from the CI job that the policy names", "A password or token of the registry itself was presented where only trusted publishing publishes."},
	CodeForeignCredential:      {403, "this registry takes no passwords or tokens of its own through the gateway for this operation", "publish with an identity token", "A foreign credential was presented with an operation that is not known or not allowed with one."},
	CodeIdentityHeaderMisplace: {400, "X-Trustpub-Identity holds no identity token", "send the identity token alone in that header", "The header is for an identity token beside a foreign credential, in observe and claimed mode."},
	CodeTokenMisplaced:         {400, "a token of a configured issuer or of this gateway came where no credential belongs", "send it as the password of user __token__ or as a Bearer token, and nowhere else", "The token is in a cookie, the path, the query, a header that carries no credential, or beside other text. Nobody would judge it there, and the registry would see it. Proxies on the way may have logged it: let it expire, or burn it."},
	CodeNoMatchingPolicy:       {403, "no policy allows this publisher to do this", "compare the job with the policy file, or ask its owner", "No policy matches the identity and the target; the nearest one is named where the token is of its owner."},
	CodeNewPackage:             {403, "the registry does not have this package yet, and no policy names it", "name the package in the policy, or say new_packages: true there", "Where only a pattern or a template covers a name, its first publish needs new_packages in the policy. It is also refused where the registry cannot be asked whether it has the package."},
	CodeDeniedByOperator:       {403, "an operator of the gateway has stopped this", "ask the gateway's operator", "A switch beats every policy: the issuer, key, repository, run, package, registry or policy is stopped. `trustpub deny list` says why."},
	CodeUnknownHost:            {421, "this host serves no registry here", "check the host name of the publish URL", "The Host header names none of the configured public URLs."},
	CodeRewrittenPath:          {500, "the path was rewritten before it could be judged", "ask the gateway's operator to put trusted_publishing before any rewrite", "An earlier directive changed the request's path; what is judged must be what the client sent."},
	CodeAmbiguousPath:          {400, "the path can be read in more than one way", "send the path without dot segments, doubled slashes, semicolons or encoded separators", "Proxies and registries read such paths differently."},
	CodeBadRequest:             {400, "the request is malformed", "", "A part of the request is not what its protocol allows."},
	CodeUnsupportedOperation:   {403, "this operation is not allowed through the gateway", "see the ecosystem's page for what is served, and passthrough for the rest of the host", "An unsafe request that no rule of the ecosystem knows, or outside every registry without a passthrough."},
	CodeUnsupportedFraming:     {400, "the request's framing is not allowed for an upload", "send a plain body with Content-Length or chunked, without trailers", "Trailers, Upgrade, a GET with a body, CONNECT and TRACE are refused."},
	CodeContentEncoding:        {415, "the upload is compressed on the way", "send it without Content-Encoding", "The bytes that are judged must be the bytes that are stored."},
	CodeNotFound:               {404, "there is nothing here", "", "A discovery for a path that is no registry."},
	CodeNotAcceptable:          {406, "the client accepts none of the forms that this answer has", "accept application/vnd.pypi.pytp.v1+json", "PEP 807 asks for this status."},
	CodeRateLimited:            {429, "too many requests of this kind came in too short a time", "try again after the time that Retry-After says", "Exchanges are counted for each client address and each issuer, tokens that were not believed for each client address. Behind a proxy all clients are one address, unless Caddy is told to trust it (trusted_proxies). The audit has one line a minute of each such refusal, the metrics count them all."},
	CodeMalformedUpload:        {400, "the upload is not in the exact form that its clients send", "use an unmodified client of a supported version", "The strict grammar of the ecosystem's upload: everything that two parsers could read differently is refused."},
	CodeDuplicateField:         {400, "the upload names a field twice", "send each field once", "Registries differ in which of two fields they believe."},
	CodeFieldOrder:             {400, "the upload's fields come in an order that cannot be judged", "send name, version and :action before the file", "The target must be known before the file flows."},
	CodeMissingField:           {400, "the upload lacks a field", "send it", "A field without which the target is not known, or the file is not checked."},
	CodeTooLarge:               {413, "a part of the request is too large", "", "A field, a header block or a spooled body is over its limit."},
	CodeTruncated:              {400, "the upload ended early", "publish again", "The body ended before its structural end; nothing was stored."},
	CodeTooSlow:                {408, "the upload comes too slowly", "publish again over a faster line, or ask the gateway's operator about body_idle and body_rate", "The client was silent for too long, or slower than it may be. Time in which the registry took nothing does not count. Nothing was stored."},
	CodePackageMismatch:        {400, "the upload contradicts itself about its package", "build the package again and publish it unchanged", "Name, version, file name, URL and archive must all name one package and version."},
	CodeDigestMismatch:         {400, "the file is not the one that its digest names", "publish the file again, unchanged", "The strongest declared digest must be that of the bytes."},

	CodeIssuerUnavailable:         {503, "the issuer's keys cannot be fetched right now", "try again", "Nothing is known to be wrong with the token."},
	CodeUnknownKey:                {503, "the token's key is not known yet", "try again; a rotated key is fetched within a minute", "A refetch is held off for at most 60 seconds per issuer."},
	CodeStoreUnavailable:          {503, "the replay store cannot be reached", "try again", "Without the store a replay cannot be ruled out, so the publish is refused."},
	CodeAuditUnavailable:          {503, "the audit cannot be written", "try again, or ask the gateway's operator", "A publish that cannot be recorded is refused."},
	CodeCredentialUnavailable:     {503, "no credential for the registry can be had right now", "ask the gateway's operator", "The credential source failed; the log has the reason."},
	CodeSigningKeyUnavailable:     {503, "publish tokens cannot be signed or checked right now", "try again", "The gateway's storage cannot be reached."},
	CodeAlreadyExists:             {409, "the registry already has this file", "publish a new version, or have the policy grant the action overwrite", "Publishing never replaces. Where the registry would let it, the gateway asks first whether something is there, and refuses a second upload of the same file while one is under way."},
	CodeUpstreamUnavailable:       {502, "the registry cannot be reached", "try again", "Nothing was stored as far as the gateway can tell."},
	CodeUpstreamTimeout:           {504, "the registry did not answer in time", "check the registry before publishing again", "The registry took longer than the time limits of the proxy in front of it allow. It may have stored what it did not confirm."},
	CodeUpstreamAnsweredEarly:     {502, "the registry answered before it had the whole upload", "check the registry before publishing again", "A success before the verdict is not believed."},
	CodeUpstreamRefusedCredential: {502, "the registry refused the gateway's credential", "ask the gateway's operator", "The registry's own answer may quote the credential, so it is not shown."},
	CodeUpstreamRedirected:        {502, "the registry redirected the upload", "ask the gateway's operator to correct the upstream address", "An upload that is sent elsewhere would not be judged there."},
	CodeUpstreamQuotedCredential:  {502, "the registry's answer was withheld because it quoted a credential", "ask the gateway's operator", "Credentials of the registry never reach a client. An answer in an encoding that nobody asked for and that can't be searched is withheld too."},
	CodePolicyChanged:             {403, "the policy changed while the upload was under way", "compare the job with the policy file", "The policies of now are asked again before the last bytes leave."},
	CodeSpoolUnavailable:          {503, "the upload cannot be spooled", "try again, or ask the gateway's operator", "The spool's disk is full or not writable."},
	CodeSpoolFull:                 {503, "the gateway has no room for another upload right now", "try again after the time that Retry-After says", "How many uploads are spooled at a time, their bytes on the disk, and what must stay free there are limited."},
	CodeInternal:                  {500, "the gateway failed", "ask the gateway's operator; the event id finds the log line", "A defect of the gateway itself; the upload was refused."},
}
