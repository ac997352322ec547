package model

import "net/http"

// OperationKind is what one request asks for.
type OperationKind string

// The kinds of operation.
const (
	OperationRead     OperationKind = "read"
	OperationPublish  OperationKind = "publish"
	OperationManage   OperationKind = "manage"
	OperationExchange OperationKind = "exchange"
	OperationRevoke   OperationKind = "revoke"
	OperationDiscover OperationKind = "discover"
)

// BodyPlan is what the gateway does with a request's body.
type BodyPlan int

// The plans.
const (
	// BodyNone: the operation has no body to judge.
	BodyNone BodyPlan = iota
	// BodyStream: scanned while it flows, its structural end held back until the verdict.
	BodyStream
	// BodySpool: written to disk whole, judged, then forwarded from there.
	BodySpool
)

// Operation is one request as its ecosystem understands it, from method, path, query and headers alone.
type Operation struct {
	Kind OperationKind
	// Name is the operation's own word ("upload", "simple", "mint-token"), for audit, metrics and errors.
	Name string
	// Action is what a policy must grant; empty for exchange, revoke and discover.
	Action Action
	// Targets are what the URL names; several where one request touches several (an OCI mount). A publish whose body
	// names the target has none yet.
	Targets []Target
	// Body is the plan for the body.
	Body BodyPlan
	// Once is true for a publish to a URL where the registry would replace what it has: the gateway asks first (HEAD), and
	// refuses with CodeAlreadyExists where something is there, unless the action overwrite is granted.
	Once bool
	// Same is true where Once does not refuse to put once more what is there, byte for byte: some registries make a file themselves that
	// clients send too. Such a body is spooled and small.
	Same bool
	// Moved is true where a redirect (302) answers Once too: the registry says where it has the file (hex: documentation). Elsewhere it may lead
	// to a page that asks for a password.
	Moved bool
	// Opaque is true for a publish of a file that nobody looks into: its digest says all of it.
	Opaque bool
	// Accept is the header of that name with which the gateway asks for Once; empty: none.
	Accept string
	// Challenge is true for a read that a client sends first, to learn where to get a token: in enforce mode one without any
	// credential is answered by the gateway's own challenge.
	Challenge bool
	// Shared is true for an exchange at a URL where the registry may answer its own passwords: a credential that is not ours is
	// left to it.
	Shared bool
	// Part is true for a body that is one of several, or that its URL names by its digest: no token is bound to its bytes.
	Part bool
	// Headers and Query are the names that an unsafe request may carry upstream beside the gateway's own list.
	Headers, Query []string
	// Scope is what the URL says of a name that only the body has (hex: the organisation).
	Scope string
	// Dialect is the form of answers that the client asked for, where an ecosystem has several (hex), for Render.
	Dialect string
	// Encoding is a Content-Encoding that some client declares for a body that the registry keeps as it is (hex: documentation that is a
	// gzip by itself). It is not passed on: what was judged is what is stored, however it is called.
	Encoding string
	// Registry restricts an exchange or a discovery outside every registry to one registry's name, where the path says so.
	Registry string
}

// Unsafe is true for operations that change the registry.
func (o Operation) Unsafe() bool { return o.Kind == OperationPublish || o.Kind == OperationManage }

// Exchange is a parsed request to swap an identity token for a publish token.
type Exchange struct {
	// Token is the presented identity token, or the publish token to revoke.
	Token string
	// Packages are named by the exchange itself (npm, oci), an empty name stands for none of them; empty: judged at the upload.
	Packages []string
	// Reusable is true where clients exchange one identity token again and again (oci): it is not used up, but bound to what
	// Bound names, as one that is sent directly.
	Reusable bool
	Bound    []Target
	// SingleUse asks for a token that publishes one file once.
	SingleUse bool
}

// Reply is a whole answer made of bytes, which only the gateway writes.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
	// Reason is the reason phrase on HTTP/1.x, where clients of the ecosystem show nothing else; empty: the standard one.
	Reason string
}
