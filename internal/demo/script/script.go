// Package script is what one ecosystem brings to the demo: a small registry inside this program, the packages that it builds, the
// requests of its client, and the words of the story. Each ecosystem is one Script in a folder of its own, and all that the demo
// knows of it.
package script

import (
	"context"
	"net/http"

	"github.com/trustpub/trustpub/internal/model"
)

// The releases of the story: the first is published, the second tried in vain and then published while the policy is edited, as
// the third is. The fourth is for trying by hand.
const (
	FirstVersion  = "1.0.0"
	SecondVersion = "1.1.0"
	ThirdVersion  = "1.2.0"
	HandVersion   = "1.3.0"
)

// Script is one ecosystem's part.
type Script struct {
	// Ecosystem is its name in the Caddyfile and on the command line.
	Ecosystem string
	// Client is whose messages are shown, as in "what uv prints".
	Client string
	// Path is that of the registry's public URL, with a slash at both ends.
	Path string
	// Settings is a line of the registry's block in the Caddyfile beside its credential; empty: none.
	Settings string
	// Source and Option are the credential in the Caddyfile: the source's name, and the words of its option before the secret.
	Source, Option string
	// Package is what the policy lets the release job publish, Other is not. Also are further packages that it may publish.
	Package, Other string
	Also           []string

	// Open makes the registry; dir is an empty folder for what it keeps on disk.
	Open func(dir string) (*Store, error)
	// Build makes a package.
	Build func(name, version string) (Package, error)

	// Audience is what the client asks identity tokens for, and how it knows; nil: the gateway's host and port.
	Audience func(ctx context.Context, c *Client) (audience, how string, err error)
	// Exchange swaps an identity token for a publish token; nil: the client sends the identity token itself. Exchanges says in a few
	// words what comes of it, and Carries how the client sends the token that it has.
	Exchange           func(ctx context.Context, c *Client, identity, pkg string) (token string, err error)
	Exchanges, Carries string
	// Revoke ends a publish token; nil: the client never does. Revokes says who does.
	Revoke  func(ctx context.Context, c *Client, token string) error
	Revokes string
	// Publish does what the client does with a login. Without a user the password is a token.
	Publish func(ctx context.Context, c *Client, login Login, p Package) error
	// Replay is what an identity token that was sent directly is tried for once more; zero: the second version.
	Replay Release
	// Read looks at a package as an installer does, and says what was seen.
	Read func(ctx context.Context, c *Client, login Login, p Package) (string, error)
	// Trials are attempts that must be refused, beside those that every ecosystem has.
	Trials []Trial
	// Prints is what the client prints of a refusal.
	Prints func(r *Refused) []string

	// Lay writes what the commands by hand publish into an empty folder.
	Lay func(dir string) error
	// ByHand are commands for a shell, as a template of Hand. Shows is where, below the public URL, published things can be
	// seen without a credential; empty: nowhere.
	ByHand, Shows string
}

// Grants are the packages of the policy.
func (s *Script) Grants() []string { return append([]string{s.Package}, s.Also...) }

// Store is an embedded registry, which knows nothing of trusted publishing: whoever has its secret publishes everything.
type Store struct {
	http.Handler
	// Secret is what only the gateway has. User and Password are those of a person, which the gateway refuses; an empty
	// password is the secret.
	Secret, User, Password string
	// Stored lists what the registry holds.
	Stored func() ([]string, error)
	// Shelf is where it keeps that, and Identify reads the package and version of an upload by its type and body; of those that other registries are
	// made of.
	Shelf    *Shelf
	Identify func(contentType string, body []byte) (pkg, version string, err error)
}

// Login is what a client publishes with.
type Login struct{ User, Password string }

// Release is a version of a package.
type Release struct{ Name, Version string }

// Package is a built release.
type Package struct {
	Release
	// File is the archive's name, as users see it.
	File string
	Data []byte
}

// Trial is an attempt that must be refused.
type Trial struct {
	// Name and Detail are the step's, Code that of the refusal.
	Name, Detail string
	Code         model.Code
	// Try makes the attempt with a login of another run of the release job, for the second version.
	Try func(ctx context.Context, c *Client, login Login, p Package) error
}

// Hand is what the commands by hand are made of.
type Hand struct {
	// Command runs this program's other commands; in the shell, "trustpub" does.
	Command string
	// Dir is the demo's folder, CA the file of its authority.
	Dir, CA string
	// Root is the gateway's URL without a slash at its end, Host its host and port, Public the registry's URL.
	Root, Host, Public string
}
