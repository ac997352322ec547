package model

import "time"

// EventKind says what an audit event records.
type EventKind string

// The kinds of audit event.
const (
	// EventDecision is written, durably, before an upload is let through or a denial is sent.
	EventDecision EventKind = "decision"
	// EventOutcome follows under the same id when the request has ended.
	EventOutcome EventKind = "outcome"
	// EventExchange records a minted publish token, EventRevocation a revoked one.
	EventExchange   EventKind = "exchange"
	EventRevocation EventKind = "revocation"
	// EventPolicies records a load of the policy set, EventConfig a load of the configuration.
	EventPolicies EventKind = "policies"
	EventConfig   EventKind = "config"
	// EventSwitch records a switch that an operator set or removed.
	EventSwitch EventKind = "switch"
)

// Event is one audit event. The audit package adds schema version, sequence number and hash chain and turns it into a line.
// It never holds a token or a credential.
type Event struct {
	Time time.Time `json:"time"`
	// ID is shared by a decision and its outcome and is shown to the client.
	ID   string    `json:"event"`
	Kind EventKind `json:"kind"`
	// Decision is "allow", "deny" or, in observe mode, "would_allow" and "would_deny".
	Decision string `json:"decision,omitempty"`
	Code     Code   `json:"code,omitempty"`
	Message  string `json:"message,omitempty"`
	Policy   string `json:"policy,omitempty"`
	Field    string `json:"field,omitempty"`
	Got      string `json:"got,omitempty"`
	Want     string `json:"expected,omitempty"`
	// Mode is the registry's mode, Operation the operation's name.
	Mode      string  `json:"mode,omitempty"`
	Operation string  `json:"operation,omitempty"`
	Target    *Target `json:"target,omitempty"`
	// Credential is how the client proved itself: "identity_token", "publish_token", "foreign" or "none".
	Credential string `json:"credential,omitempty"`
	// ForeignUser is the user name of a credential of the registry that tried to publish; empty where it has none that is
	// harmless. ForeignFingerprint tells that credential from others and says nothing of it.
	ForeignUser        string `json:"foreign_user,omitempty"`
	ForeignFingerprint string `json:"foreign_fingerprint,omitempty"`
	// PublishToken is the id of the publish token used or minted, never the token.
	PublishToken string `json:"publish_token,omitempty"`
	// Registries is the scope of a minted token.
	Registries []string `json:"registries,omitempty"`
	// Issuer is the issuer's name, Provider the kind of CI behind it; IdentitySHA256 the digest of the identity token's signed part.
	Issuer         string `json:"issuer,omitempty"`
	Provider       string `json:"provider,omitempty"`
	IdentitySHA256 string `json:"identity_sha256,omitempty"`
	// BreakGlass is true for a token that was made by hand in an emergency.
	BreakGlass bool   `json:"break_glass,omitempty"`
	JTI        string `json:"jti,omitempty"`
	// Run holds the run's own claims (repository and ids, workflow, ref, sha, run id, actor), chosen by the provider.
	Run map[string]string `json:"run,omitempty"`
	// Size and SHA256 are those of the file.
	Size     int64  `json:"size,omitempty"`
	SHA256   string `json:"sha256,omitempty"`
	ClientIP string `json:"client_ip,omitempty"`
	// UpstreamStatus is what the registry answered, Status what the client got, Duration the whole time in milliseconds.
	UpstreamStatus int   `json:"upstream_status,omitempty"`
	Status         int   `json:"status,omitempty"`
	DurationMS     int64 `json:"duration_ms,omitempty"`
	// Result of an outcome: "stored", "refused", "failed" or "aborted".
	Result string `json:"result,omitempty"`
	// Detail holds what other kinds need (policy set hash, counts, file errors), and of a decision how many are not recorded.
	Detail map[string]string `json:"detail,omitempty"`
}
