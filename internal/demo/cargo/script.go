// Package cargo is the Cargo part of the demo: crates, the request that publishes one, and a small registry with a sparse index.
package cargo

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/trustpub/trustpub/internal/demo/script"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	widget, gadget = "acme-widget", "acme-gadget"
	tokens         = "/api/v1/trusted_publishing/tokens" //nolint:gosec // a path
	publishPath    = "api/v1/crates/new"
)

// Script is the Cargo part of the demo: a client that does what the publish action and cargo do.
var Script = script.Script{
	Ecosystem: "cargo", Client: "cargo or the publish action", Path: "/", Source: "static", Option: "header Authorization",
	Package: widget, Other: gadget,
	Open: open, Build: build,
	Exchange: exchange, Carries: "the publish token being cargo's token",
	Revoke: revoke, Revokes: "the publish action does when its job ends",
	Publish: publish, Read: read,
	Trials: []script.Trial{
		{
			Name: "refuse another crate inside", Code: model.CodePackageMismatch,
			Detail: "a document that says " + widget + ", with the crate of " + gadget, Try: swapped,
		},
		{
			Name: "refuse a cut crate", Code: model.CodeTruncated,
			Detail: "the last byte of " + widget + " " + script.SecondVersion + " is missing", Try: cut,
		},
	},
	Prints: prints, Lay: lay, ByHand: byHand, Shows: indexPath(widget),
}

// manifest is the Cargo.toml of a release.
func manifest(name, version string) string {
	return fmt.Sprintf("[package]\nname = %q\nversion = %q\nedition = \"2021\"\ndescription = \"A small crate that trustpub has built\"\nlicense = \"Apache-2.0\"\n", name, version)
}

// library says what it is.
const library = "pub const WHAT: &str = concat!(env!(\"CARGO_PKG_NAME\"), \" \", env!(\"CARGO_PKG_VERSION\"));\n"

func build(name, version string) (script.Package, error) {
	top := name + "-" + version
	data, err := script.TarGz(
		script.Entry{Name: top + "/Cargo.toml", Data: manifest(name, version)},
		script.Entry{Name: top + "/src/lib.rs", Data: library},
	)
	return script.Package{Release: script.Release{Name: name, Version: version}, File: top + ".crate", Data: data}, err
}

// Document is what names a crate in a publish.
func Document(name, version string) string {
	return fmt.Sprintf(`{"name":%q,"vers":%q,"deps":[],"features":{},"authors":[],"description":"A small crate that trustpub has built",`+
		`"documentation":null,"homepage":null,"readme":null,"readme_file":null,"keywords":[],"categories":[],"license":"Apache-2.0",`+
		`"license_file":null,"repository":null,"badges":{},"links":null,"rust_version":null}`, name, version)
}

// Upload is what cargo sends to publish: the length of a document and the document, the length of a crate and the crate.
func Upload(document string, crate []byte) []byte {
	body := binary.LittleEndian.AppendUint32(nil, uint32(len(document))) //nolint:gosec // a document that the caller wrote
	body = append(body, document...)
	body = binary.LittleEndian.AppendUint32(body, uint32(len(crate))) //nolint:gosec // no crate is that large
	return append(body, crate...)
}

func exchange(ctx context.Context, c *script.Client, identity, _ string) (string, error) {
	return c.AskJWT(ctx, tokens, identity, "token")
}

func revoke(ctx context.Context, c *script.Client, token string) error {
	_, err := c.Send(ctx, http.MethodDelete, tokens, script.Bearer(token), nil)
	return err
}

func publish(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	return put(ctx, c, login, Upload(Document(p.Name, p.Version), p.Data))
}

// put sends a body with the token as it is, without a scheme.
func put(ctx context.Context, c *script.Client, login script.Login, body []byte) error {
	_, err := c.Send(ctx, http.MethodPut, c.Public+publishPath, http.Header{"Authorization": {login.Password}}, body)
	return err
}

// swapped sends the crate of another package.
func swapped(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	other, err := build(gadget, p.Version)
	if err != nil {
		return err
	}
	return put(ctx, c, login, Upload(Document(p.Name, p.Version), other.Data))
}

// cut leaves the last byte out.
func cut(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	body := Upload(Document(p.Name, p.Version), p.Data)
	return put(ctx, c, login, body[:len(body)-1])
}

// read reads configuration and index through the gateway, and the crate where they say it is, as cargo does.
func read(ctx context.Context, c *script.Client, _ script.Login, p script.Package) (string, error) {
	dl, err := c.Ask(ctx, http.MethodGet, c.Public+"config.json", nil, nil, "dl")
	if err != nil {
		return "", err
	}
	body, err := c.Get(ctx, c.Public+indexPath(p.Name))
	if err != nil {
		return "", err
	}
	var line indexLine
	if err := json.Unmarshal(body, &line); err != nil || line.Version != p.Version || line.Checksum != script.SHA256(p.Data) {
		return "", fmt.Errorf("the index has %q, expected %s with its checksum", model.OneLine(string(body), 300), p.Version)
	}
	got, err := c.Get(ctx, dl+"/"+p.Name+"/"+p.Version+"/download")
	if err == nil && !bytes.Equal(got, p.Data) {
		err = errors.New("the crate that was downloaded is not the one that was published")
	}
	return "the index names the version, and its crate downloads unchanged", err
}

// prints is what the action prints of an exchange, and cargo of the rest.
func prints(r *script.Refused) []string {
	detail := r.Text()
	var body struct{ Errors []struct{ Detail string } }
	if json.Unmarshal(r.Body, &body) == nil && len(body.Errors) > 0 {
		detail = body.Errors[0].Detail
	}
	if r.Exchange {
		return []string{fmt.Sprintf("Error: Failed to retrieve token from Cargo registry. Status: %d. Error: %s", r.Code, detail)}
	}
	return []string{
		"error: failed to publish to registry at " + r.URL[:len(r.URL)-len("/"+publishPath)], "", "Caused by:",
		"  the remote server responded with an error (status " + r.Standard() + "): " + detail,
	}
}

func lay(dir string) error {
	for folder, name := range map[string]string{"widget": widget, "gadget": gadget} {
		err := script.WriteFiles(dir,
			script.Entry{Name: folder + "/Cargo.toml", Data: manifest(name, script.HandVersion)},
			script.Entry{Name: folder + "/src/lib.rs", Data: library})
		if err != nil {
			return err
		}
	}
	return script.WriteFiles(dir, script.Entry{Name: "install/src/main.rs", Data: "fn main() {\n    println!(\"{}\", acme_widget::WHAT);\n}\n"},
		script.Entry{Name: "install/Cargo.toml", Data: "[package]\nname = \"install\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n" +
			"[dependencies]\nacme-widget = { version = \"1\", registry = \"demo\" }\n"})
}

const byHand = `export CARGO_HTTP_CAINFO={{.CA}} CARGO_REGISTRIES_DEMO_INDEX=sparse+{{.Public}}

# the publish action swaps the identity token; cargo takes that token, or the identity token itself
token=$(curl -sS {{.Root}}` + tokens + ` -d "{\"jwt\": \"$(identity)\"}" | sed 's/.*"token":"\([^"]*\)".*/\1/')
(cd dist/widget && CARGO_REGISTRIES_DEMO_TOKEN=$token cargo publish --registry demo)

# trustpub exec does so for any client, and revokes the token at the end
(cd dist/widget && sed -i.old s/1.3.0/1.4.0/ Cargo.toml && trustpub exec --registry {{.Public}} --name demo -- cargo publish --registry demo)

# this one is refused until policies/widget.yaml names acme-gadget as well
(cd dist/gadget && CARGO_REGISTRIES_DEMO_TOKEN=$(identity) cargo publish --registry demo)

# cargo builds with what was published
(cd dist/install && cargo run)

# the publish token is revoked when the job ends; with it, nothing is published any more
curl -sS -X DELETE {{.Root}}` + tokens + ` -H "Authorization: Bearer $token"
(cd dist/gadget && CARGO_REGISTRIES_DEMO_TOKEN=$token cargo publish --registry demo)
`
