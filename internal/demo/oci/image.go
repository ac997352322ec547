package oci

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/trustpub/trustpub/internal/demo/script"
)

// ManifestType is the media type of an image's manifest.
const ManifestType = "application/vnd.oci.image.manifest.v1+json"

// Image is an image of one layer.
type Image struct{ Config, Layer, Manifest []byte }

// descriptor names a blob in a manifest.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

func describe(media string, b []byte) descriptor { return descriptor{media, Digest(b), len(b)} }

// NewImage makes an image of a layer, which is a tar.
func NewImage(layer []byte) (Image, error) {
	i := Image{Layer: layer}
	i.Config = fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%q]}}`, Digest(layer))
	var err error
	i.Manifest, err = json.Marshal(struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}{
		2, ManifestType, describe("application/vnd.oci.image.config.v1+json", i.Config),
		[]descriptor{describe("application/vnd.oci.image.layer.v1.tar", layer)},
	})
	return i, err
}

// Digest is the digest of bytes as registries write it.
func Digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// Layout are the files of the folder in which tools keep an image.
func (i Image) Layout() []script.Entry {
	entries := []script.Entry{
		{Name: "oci-layout", Data: `{"imageLayoutVersion":"1.0.0"}`},
		{Name: "index.json", Data: fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`,
			ManifestType, Digest(i.Manifest), len(i.Manifest))},
	}
	for _, b := range [][]byte{i.Config, i.Layer, i.Manifest} {
		entries = append(entries, script.Entry{Name: "blobs/sha256/" + Digest(b)[len("sha256:"):], Data: string(b)})
	}
	return entries
}
