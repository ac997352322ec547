// Package ecosystem declares what a wire protocol must offer to be judged and proxied. Each protocol is a folder below; the
// gateway knows only these interfaces.
package ecosystem

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// Settings are the registry's own settings that an ecosystem needs.
type Settings struct {
	// Registry is the registry's configured name.
	Registry string
	// Public is the URL where clients upload, with a path that ends in a slash.
	Public *url.URL
	// VerifyArchive asks to look into the archive: such uploads are spooled.
	VerifyArchive bool
	// Layout is where packages are, for ecosystems that don't say it themselves (generic): "/{package}/{version}/{file}".
	Layout string
	// MutableTags are the patterns of tags that a publish may move (oci).
	MutableTags []string
}

// Unused says why settings have no meaning for a protocol; an empty reason means that it has one.
type Unused struct{ Layout, VerifyArchive string }

// Check refuses settings without a name or a URL, and those that mean nothing to a protocol.
func (s Settings) Check(protocol string, unused Unused) error {
	switch {
	case s.Registry == "" || s.Public == nil:
		return fmt.Errorf("%s: a registry needs a name and a public URL", protocol)
	case s.Layout != "" && unused.Layout != "":
		return fmt.Errorf("layout has no meaning for %s: %s", protocol, unused.Layout)
	case s.VerifyArchive && unused.VerifyArchive != "":
		return fmt.Errorf("verify_archive has no meaning for %s: %s", protocol, unused.VerifyArchive)
	}
	return nil
}

// Kind registers a protocol: its name and how to make an instance for one registry.
type Kind struct {
	Name string
	New  func(Settings) (Ecosystem, error)
}

// Ecosystem understands the requests of one registry. It must be safe for concurrent use and never reads a body in Classify.
type Ecosystem interface {
	// RootPaths are the escaped paths, or prefixes ending in a slash, outside every registry that the protocol's clients call
	// at the host root (exchanges, discovery). They are answered for all registries of the host and ecosystem together.
	RootPaths() []string
	// Carriers are the header names besides Authorization in which the registries of this protocol read a credential.
	Carriers() []string
	// DefaultBody is "chunked", "as_sent" or "spool": the framing in which a cut upload is harmless to these registries.
	DefaultBody() string
	// Classify names the operation from method, escaped path, query and headers. path is relative to the registry's public
	// path: "" for the public path without its final slash, else it begins with "/". An unsafe request that no rule knows is
	// a *model.Denial with CodeUnsupportedOperation that names it.
	Classify(method, path string, query url.Values, header http.Header) (model.Operation, error)
	// Open makes the scanner for a body with plan BodyStream or BodySpool.
	Open(op model.Operation, header http.Header) (upload.Scanner, error)
	// Inspect looks into a spooled body after its scanner has finished, and returns the target that the archive names; the
	// scanner's target and this one must agree, which Inspect checks. Only called with plan BodySpool.
	Inspect(op model.Operation, header http.Header, target model.Target, body io.ReaderAt, size int64) error
	// Render writes a denial in the client's own dialect. op may be the zero value when nothing was classified.
	Render(op model.Operation, d *model.Denial) model.Reply
}

// Exchanger is implemented by protocols whose clients can swap an identity token for a publish token.
type Exchanger interface {
	// ClassifyRoot names the operation of a request to one of RootPaths; path is the whole escaped path.
	ClassifyRoot(method, path string, query url.Values, header http.Header) (model.Operation, error)
	// ParseExchange reads the request of an exchange or a revocation; body is capped by the caller.
	ParseExchange(op model.Operation, header http.Header, body []byte) (model.Exchange, error)
	// Minted answers an exchange.
	Minted(op model.Operation, token string, expiry time.Time) model.Reply
	// Revoked answers a revocation; revoking an unknown token is a success too.
	Revoked(op model.Operation) model.Reply
	// Discover answers a discovery; registries are those of the host and ecosystem.
	Discover(op model.Operation, query url.Values, registries []Discoverable) (model.Reply, error)
}

// Discoverable is a registry as discovery shows it.
type Discoverable struct {
	// Name is the registry's name, Public its public URL, Audience the audience that its clients should ask for.
	Name     string
	Public   *url.URL
	Audience string
}
