package model

// Action is what a policy grants.
type Action string

// The actions. Each ecosystem has one table from operation to action; EcosystemActions are those that it asks for.
const (
	ActionRead      Action = "read"
	ActionPublish   Action = "publish"
	ActionOverwrite Action = "overwrite"
	ActionYank      Action = "yank"
	ActionDelete    Action = "delete"
	ActionTag       Action = "tag"
)

// Actions lists every action, in the order in which docs show them.
func Actions() []Action {
	return []Action{ActionRead, ActionPublish, ActionOverwrite, ActionYank, ActionDelete, ActionTag}
}

// Target is what one request acts on, taken from the request itself.
type Target struct {
	// Ecosystem is the wire protocol ("pypi").
	Ecosystem string `json:"ecosystem"`
	// Registry is the configured name of the registry.
	Registry string `json:"registry"`
	// Package is the name in the ecosystem's canonical form. Empty at an exchange that names none: what of a policy needs
	// it is then left open until the upload.
	Package string `json:"package,omitempty"`
	// Version is in the ecosystem's canonical form; empty where the request names none (open at an exchange).
	Version string `json:"version,omitempty"`
	// File is the file name as it was sent.
	File string `json:"file,omitempty"`
	// Action is what the request would do.
	Action Action `json:"action"`
	// Versionless is true where nothing that has a version is published: an exchange that names a package, or an index of a
	// package's versions (a maven-metadata.xml). What of a policy needs a version is left open then.
	Versionless bool `json:"-"`
}

// Release names the unit that a directly used identity token is bound to: a version of a package, unless the ecosystem
// publishes more at a time. That of a versionless target is the beginning of those that it may belong to.
func (t Target) Release() string {
	if n := namings[t.Ecosystem]; n.release != nil {
		return t.Registry + "/" + n.release(t)
	}
	return t.Registry + "/" + t.Package + "/" + t.Version
}

// Artifact is the file of an upload once its last byte was seen.
type Artifact struct {
	// File is the name as sent, Size its bytes, SHA256 their digest; zero for a part of an upload, which has none.
	File   string
	Size   int64
	SHA256 [32]byte
}
