package caddymodule

import (
	"github.com/trustpub/trustpub/internal/audit"
	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/ecosystem"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/store"
	"github.com/trustpub/trustpub/internal/upload"
)

// What somebody else's part needs, under names that can be imported. The aliases are the interfaces themselves: a module
// outside this one implements them and registers a kind.
type (
	// Ecosystem understands the requests of one wire protocol; EcosystemKind registers it.
	Ecosystem = ecosystem.Ecosystem
	// EcosystemKind is a protocol's name and constructor.
	EcosystemKind = ecosystem.Kind
	// EcosystemSettings is what a registry hands to its protocol.
	EcosystemSettings = ecosystem.Settings
	// Exchanger is implemented by protocols whose clients exchange identity tokens.
	Exchanger = ecosystem.Exchanger
	// Discoverable is a registry as a protocol's discovery shows it.
	Discoverable = ecosystem.Discoverable
	// Scanner looks at an upload while it flows.
	Scanner = upload.Scanner

	// Source issues credentials that a registry accepts.
	Source = credential.Source
	// SourceConfig is a source's configuration.
	SourceConfig = credential.Config
	// SourceEnv is what a source may know of its surroundings.
	SourceEnv = credential.Env
	// FederatedSource is a Source that hands the identity token itself to another service.
	FederatedSource = credential.Federated
	// KeepingSource is a Source that keeps something which outlives a configuration; KeptBySource is one such thing.
	KeepingSource = credential.Keeper
	// KeptBySource is one thing that a source keeps.
	KeptBySource = credential.Kept
	// CredentialKind registers a source.
	CredentialKind = credential.Kind

	// Store keeps replay claims, revocations and switches.
	Store = store.Store
	// LeasingStore is what a store that several gateways share must be too.
	LeasingStore = store.Leaser
	// StoreConfig is a store's configuration.
	StoreConfig = store.Config
	// SharedStoreConfig is that of a store which several gateways can use at once.
	SharedStoreConfig = store.Shared
	// StoreEnv is what a store may know of its surroundings.
	StoreEnv = store.Env
	// StoreKind registers a store.
	StoreKind = store.Kind

	// Sink takes the audit's lines.
	Sink = audit.Sink
	// SinkConfig is a sink's configuration.
	SinkConfig = audit.Config
	// SinkEnv is what a sink may know of its surroundings.
	SinkEnv = audit.Env
	// AuditKind registers a sink.
	AuditKind = audit.Kind
)

// The words that these interfaces speak.
type (
	// Identity is a verified identity token.
	Identity = model.Identity
	// Target is what a request acts on.
	Target = model.Target
	// Action is what a policy grants.
	Action = model.Action
	// Artifact is an uploaded file.
	Artifact = model.Artifact
	// Operation is one request as its protocol understands it.
	Operation = model.Operation
	// OperationKind is what one request asks for.
	OperationKind = model.OperationKind
	// BodyPlan is what is done with a request's body.
	BodyPlan = model.BodyPlan
	// Exchange is a parsed exchange.
	Exchange = model.Exchange
	// Reply is a whole answer.
	Reply = model.Reply
	// Credential is what the registry accepts.
	Credential = model.Credential
	// IdentityToken is an identity token itself, which never prints.
	IdentityToken = model.IdentityToken
	// Secret is a placeholder that names where a secret is.
	Secret = model.Secret
	// Switch is an operator's order that beats every allow.
	Switch = model.Switch
	// Duration is a time.Duration that reads "15m".
	Duration = model.Duration
	// Denial is a refusal as an error.
	Denial = model.Denial
	// Code is the stable name of a refusal.
	Code = model.Code
	// Event is one audit event.
	Event = model.Event
)

// The kinds of operation, body plans and actions.
const (
	OperationRead     = model.OperationRead
	OperationPublish  = model.OperationPublish
	OperationManage   = model.OperationManage
	OperationExchange = model.OperationExchange
	OperationRevoke   = model.OperationRevoke
	OperationDiscover = model.OperationDiscover

	BodyNone   = model.BodyNone
	BodyStream = model.BodyStream
	BodySpool  = model.BodySpool

	ActionRead      = model.ActionRead
	ActionPublish   = model.ActionPublish
	ActionOverwrite = model.ActionOverwrite
	ActionYank      = model.ActionYank
	ActionDelete    = model.ActionDelete
	ActionTag       = model.ActionTag
)

// BasicCredential is a credential with a user and a password.
func BasicCredential(user, password string) Credential { return model.Basic(user, password) }

// BearerCredential is a credential with a bearer token.
func BearerCredential(token string) Credential { return model.Bearer(token) }

// Deny makes a denial with the code's own status and message.
func Deny(code Code) *Denial { return model.Deny(code) }
