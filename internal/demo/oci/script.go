// Package oci is the container part of the demo: small images, the requests that push them, and a small registry that takes the
// tokens of a token server, as distribution does.
package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/trustpub/trustpub/internal/demo/script"
	"github.com/trustpub/trustpub/internal/model"
)

const widget, gadget, debug = "acme/widget", "acme/gadget", "acme/widget-debug"

// Script is the container part of the demo: a client that does what crane does.
var Script = script.Script{
	Ecosystem: "oci", Client: "crane", Path: "/", Source: "distribution", Option: "key",
	Package: widget, Other: gadget, Also: []string{debug},
	Open: open, Build: build,
	Carries: "the identity token being the password of a login", Publish: publish, Read: read,
	Replay: script.Release{Name: debug, Version: script.FirstVersion},
	Trials: []script.Trial{
		{
			Name: "refuse an edited layer", Code: model.CodeDigestMismatch,
			Detail: "one byte of " + widget + " " + script.SecondVersion + " changed on the way", Try: edited,
		},
		{
			Name: "refuse to move a tag", Code: model.CodeAlreadyExists,
			Detail: "another image as " + widget + ":" + script.FirstVersion, Try: moved,
		},
	},
	Prints: prints, Lay: lay, ByHand: byHand,
}

func build(name, version string) (script.Package, error) {
	layer, err := script.Tar(script.Entry{Name: "etc/" + strings.ReplaceAll(name, "/", "-"), Data: name + " " + version + "\n"})
	return script.Package{Release: script.Release{Name: name, Version: version}, File: "image " + name + ":" + version, Data: layer}, err
}

// token asks the realm, as clients do that were refused without one.
func token(ctx context.Context, c *script.Client, login script.Login, repository, actions string) (string, error) {
	if login.User == "" {
		login.User = "oidc" // any name will do
	}
	query := url.Values{"service": {c.Host}, "scope": {"repository:" + repository + ":" + actions}}
	return c.Ask(ctx, http.MethodGet, "/v2/token?"+query.Encode(), script.Basic(login.User, login.Password), nil, "token")
}

func publish(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	image, err := NewImage(p.Data)
	if err != nil {
		return err
	}
	bearer, err := token(ctx, c, login, p.Name, "push,pull")
	if err != nil {
		return err
	}
	for _, blob := range [][]byte{image.Layer, image.Config} {
		if err := push(ctx, c, bearer, p.Name, Digest(blob), blob); err != nil {
			return err
		}
	}
	header := script.With(script.Bearer(bearer), "Content-Type", ManifestType)
	_, err = c.Send(ctx, http.MethodPut, "/v2/"+p.Name+"/manifests/"+p.Version, header, image.Manifest)
	return err
}

// push sends a blob in two steps.
func push(ctx context.Context, c *script.Client, bearer, repository, digest string, blob []byte) error {
	begun, err := c.Send(ctx, http.MethodPost, "/v2/"+repository+"/blobs/uploads/", script.Bearer(bearer), nil)
	if err != nil {
		return err
	}
	at, err := url.Parse(begun.Header.Get("Location"))
	if err != nil || at.Host != c.Host {
		return fmt.Errorf("the registry takes the blob at %q, expected a URL of the gateway's", begun.Header.Get("Location"))
	}
	query := at.Query()
	query.Set("digest", digest)
	at.RawQuery = query.Encode()
	_, err = c.Send(ctx, http.MethodPut, at.String(), script.With(script.Bearer(bearer), "Content-Type", "application/octet-stream"), blob)
	return err
}

// edited pushes a layer that is not the one of its digest.
func edited(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	bearer, err := token(ctx, c, login, p.Name, "push,pull")
	if err != nil {
		return err
	}
	return push(ctx, c, bearer, p.Name, Digest(p.Data), p.Edit().Data)
}

// moved pushes another image under the tag of the first one.
func moved(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	image, err := NewImage(nil)
	if err != nil {
		return err
	}
	bearer, err := token(ctx, c, login, p.Name, "push,pull")
	if err != nil {
		return err
	}
	header := script.With(script.Bearer(bearer), "Content-Type", ManifestType)
	_, err = c.Send(ctx, http.MethodPut, "/v2/"+p.Name+"/manifests/"+script.FirstVersion, header, image.Manifest)
	return err
}

// read pulls the image by its tag. A publisher may read what it may publish.
func read(ctx context.Context, c *script.Client, login script.Login, p script.Package) (string, error) {
	bearer, err := token(ctx, c, login, p.Name, "pull")
	if err != nil {
		return "", err
	}
	header := script.With(script.Bearer(bearer), "Accept", ManifestType)
	got, err := c.Send(ctx, http.MethodGet, "/v2/"+p.Name+"/manifests/"+p.Version, header, nil)
	if err != nil {
		return "", err
	}
	var manifest struct{ Layers []descriptor }
	if err := json.Unmarshal(got.Body, &manifest); err != nil || len(manifest.Layers) != 1 {
		return "", fmt.Errorf("the manifest is %q, expected one layer", model.OneLine(string(got.Body), 200))
	}
	layer, err := c.Send(ctx, http.MethodGet, "/v2/"+p.Name+"/blobs/"+manifest.Layers[0].Digest, script.Bearer(bearer), nil)
	if err == nil && !bytes.Equal(layer.Body, p.Data) {
		err = errors.New("the layer that was pulled is not the one that was pushed")
	}
	return "the tag names the manifest, and its layer is pulled unchanged, with the same login", err
}

// prints is what crane prints.
func prints(r *script.Refused) []string {
	var body struct {
		Errors []struct{ Code, Message string }
	}
	if err := json.Unmarshal(r.Body, &body); err != nil || len(body.Errors) == 0 {
		return []string{"Error: " + r.Error()}
	}
	return []string{fmt.Sprintf("Error: %s %s: %s: %s", r.Method, r.URL, body.Errors[0].Code, body.Errors[0].Message)}
}

func lay(dir string) error {
	for folder, name := range map[string]string{"widget": widget, "gadget": gadget} {
		p, err := build(name, script.HandVersion)
		if err != nil {
			return err
		}
		image, err := NewImage(p.Data)
		if err != nil {
			return err
		}
		for _, e := range image.Layout() {
			e.Name = folder + "/" + e.Name
			if err := script.WriteFiles(dir, e); err != nil {
				return err
			}
		}
	}
	return nil
}

const byHand = `export SSL_CERT_FILE={{.CA}} DOCKER_CONFIG={{.Dir}}/docker

# skopeo pushes an image; the identity token is the password of a user of any name
skopeo --insecure-policy copy --dest-creds "oidc:$(identity)" oci:dist/widget docker://{{.Host}}/acme/widget:1.3.0

# crane, oras, helm and docker log in with it first
crane auth login {{.Host}} -u oidc -p "$(identity)" && crane push dist/widget {{.Host}}/acme/widget:1.4.0

# with trustpub exec, the client is logged in for as long as it runs
trustpub exec --registry {{.Public}} -- skopeo --insecure-policy copy oci:dist/widget docker://{{.Host}}/acme/widget:1.5.0

# a tag stays where it is, unless the policy grants the action overwrite: this one is refused
skopeo --insecure-policy copy --dest-creds "oidc:$(identity)" oci:dist/gadget docker://{{.Host}}/acme/widget:1.0.0

# so is this one, until policies/widget.yaml names acme/gadget as well
skopeo --insecure-policy copy --dest-creds "oidc:$(identity)" oci:dist/gadget docker://{{.Host}}/acme/gadget:1.3.0

# what has been pushed
skopeo list-tags --creds "oidc:$(identity)" docker://{{.Host}}/acme/widget
skopeo --insecure-policy copy --src-creds "oidc:$(identity)" docker://{{.Host}}/acme/widget:1.0.0 dir:pulled
`
