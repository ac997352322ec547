package oci

import (
	"net/http"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/jsonstream"
	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/upload"
)

// maxManifest bounds a manifest, in bytes, as registries do.
const maxManifest = 4 << 20

// The keys of a manifest that say what it is. With some of both lists it would be an image to one reader and a list of images to
// another (CVE-2021-41190).
var (
	imageKeys = []string{"config", "layers", "fsLayers", "blobs"}
	indexKeys = []string{"manifests"}
)

const mediaTypeKey = "mediaType"

// knownKeys are all that the specifications know at the outermost level.
var knownKeys = slices.Concat(imageKeys, indexKeys, []string{
	mediaTypeKey, "schemaVersion", "artifactType", "subject", "annotations", "name", "tag", "architecture", "history", "signatures",
})

// manifest is the scanner of a manifest: JSON of one meaning, of the type that the header says, with the digest that the URL says.
type manifest struct {
	blob      *blob
	json      *jsonstream.Scanner
	mediaType string
	image     string // a key of an image that was seen
	index     string
}

// newManifest makes the scanner.
func newManifest(target model.Target, header http.Header) (upload.Scanner, error) {
	media, ok := upload.MediaType(header)
	if !ok || !strings.HasSuffix(media, "json") {
		return nil, malformed("Content-Type", strings.Join(header.Values("Content-Type"), ", "), "the media type of a manifest in JSON, once")
	}
	digest := strings.TrimPrefix(target.File, "manifests/")
	if !target.Versionless {
		digest = ""
	}
	m := &manifest{blob: newBlob(target, digest), mediaType: media}
	m.json = jsonstream.New(m, jsonstream.Limits{})
	return m, nil
}

// Scan takes the next piece; all but the last brace may leave.
func (m *manifest) Scan(p []byte) (int64, error) {
	if _, err := m.blob.Scan(p); err != nil {
		return 0, err
	}
	if m.blob.size > maxManifest {
		return 0, model.Deny(model.CodeTooLarge).Differ("manifest", "more", "at most 4 MiB")
	}
	err := m.json.Feed(p)
	return m.json.Release(), err
}

// Target is what the URL names.
func (m *manifest) Target() (model.Target, bool) { return m.blob.Target() }

// Begin looks at the outermost keys. One that some parsers take for a known one, since they don't look at case, is refused.
func (m *manifest) Begin(path []string, kind jsonstream.Kind) (jsonstream.Mode, error) {
	if len(path) == 0 && kind != jsonstream.Object {
		return jsonstream.Skip, malformed("manifest", kind.String(), "an object")
	}
	if len(path) != 1 {
		return jsonstream.Skip, nil
	}
	for _, known := range knownKeys {
		if path[0] != known && strings.EqualFold(path[0], known) {
			return jsonstream.Skip, malformed("key", path[0], known)
		}
	}
	switch {
	case path[0] == mediaTypeKey && kind != jsonstream.String:
		return jsonstream.Skip, malformed(mediaTypeKey, kind.String(), "a string")
	case path[0] == mediaTypeKey:
		return jsonstream.Keep, nil
	case slices.Contains(imageKeys, path[0]):
		m.image = path[0]
	case slices.Contains(indexKeys, path[0]):
		m.index = path[0]
	}
	if m.image != "" && m.index != "" {
		return jsonstream.Skip, malformed("manifest", m.image+" and "+m.index, "those of an image, or those of an index")
	}
	return jsonstream.Skip, nil
}

// Value compares the media type with the header.
func (m *manifest) Value(_ []string, _ jsonstream.Kind, text string) error {
	if text != m.mediaType {
		return malformed(mediaTypeKey, text, m.mediaType+", as Content-Type says")
	}
	return nil
}

// Piece is never called: nothing is streamed.
func (*manifest) Piece([]string, []byte) error { return nil }

// End has nothing to do.
func (*manifest) End([]string, jsonstream.Kind) error { return nil }

// Finish checks that the document is whole, and its digest.
func (m *manifest) Finish() error {
	if err := m.json.Close(); err != nil {
		return err
	}
	return m.blob.Finish()
}

// Artifact is the manifest.
func (m *manifest) Artifact() model.Artifact { return m.blob.Artifact() }

var (
	_ upload.Scanner     = (*manifest)(nil)
	_ jsonstream.Visitor = (*manifest)(nil)
)
