// Package hex is the Hex part of the demo: releases as Hex builds them, the requests that publish them, and a small registry.
package hex

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/internal/demo/script"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	widget, gadget = "acme_widget", "acme_gadget"
	publishPath    = "api/publish?replace=false"
)

// Script is the Hex part of the demo: a client that does what mix hex.publish does.
var Script = script.Script{
	Ecosystem: "hex", Client: "mix", Path: "/", Source: "static", Option: "header Authorization",
	Package: widget, Other: gadget,
	Open: open, Build: build,
	Carries: "the identity token being Hex's key",
	Publish: publish, Read: read,
	Trials: []script.Trial{
		{
			Name: "refuse edited contents", Code: model.CodeDigestMismatch,
			Detail: "a release whose contents are not those of its own checksum", Try: edited,
		},
		{
			Name: "refuse to replace a release", Code: model.CodeNoMatchingPolicy,
			Detail: "replace=true, for which no policy grants overwrite", Try: replaced,
		},
	},
	Prints: prints, Lay: lay, ByHand: byHand, Shows: "api/packages/" + widget,
}

// metadata is what hex_core writes.
const metadata = `{<<"app">>,<<"%[1]s">>}.
{<<"build_tools">>,[<<"mix">>]}.
{<<"description">>,<<"A small package that trustpub has built">>}.
{<<"files">>,[<<"lib/%[1]s.ex">>]}.
{<<"licenses">>,[<<"Apache-2.0">>]}.
{<<"links">>,[]}.
{<<"name">>,<<"%[1]s">>}.
{<<"requirements">>,[]}.
{<<"version">>,<<"%[2]s">>}.
`

// release builds a release. other takes the place of its contents, though not in its checksum; nil: nothing does.
func release(name, version string, other []byte) ([]byte, error) {
	meta := fmt.Sprintf(metadata, name, version)
	contents, err := script.TarGz(script.Entry{Name: "lib/" + name + ".ex", Data: fmt.Sprintf("# %s %s\n", name, version)})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte("3" + meta + string(contents)))
	if other != nil {
		contents = other
	}
	return script.Tar(
		script.Entry{Name: "VERSION", Data: "3"}, script.Entry{Name: "CHECKSUM", Data: fmt.Sprintf("%x", sum)},
		script.Entry{Name: "metadata.config", Data: meta}, script.Entry{Name: "contents.tar.gz", Data: string(contents)})
}

func build(name, version string) (script.Package, error) {
	data, err := release(name, version, nil)
	return script.Package{Release: script.Release{Name: name, Version: version}, File: name + "-" + version + ".tar", Data: data}, err
}

// publish sends the key as it is, without a scheme.
func publish(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	return send(ctx, c, login, publishPath, p.Data)
}

func send(ctx context.Context, c *script.Client, login script.Login, path string, data []byte) error {
	header := http.Header{"Authorization": {login.Password}, "Content-Type": {"application/octet-stream"}, "Accept": {"application/json"}}
	_, err := c.Send(ctx, http.MethodPost, c.Public+path, header, data)
	return err
}

// edited puts other contents beside the checksum.
func edited(ctx context.Context, c *script.Client, login script.Login, p script.Package) (err error) {
	other, err := script.TarGz(script.Entry{Name: "lib/" + p.Name + ".ex", Data: "# edited\n"})
	if err != nil {
		return err
	}
	if p.Data, err = release(p.Name, p.Version, other); err != nil {
		return err
	}
	return publish(ctx, c, login, p)
}

// replaced asks for a release to be replaced, as servers do unless they are told not to.
func replaced(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	return send(ctx, c, login, strings.Replace(publishPath, "false", "true", 1), p.Data)
}

// read asks for the release's checksum, and reads its file.
func read(ctx context.Context, c *script.Client, _ script.Login, p script.Package) (string, error) {
	got, err := c.Get(ctx, c.Public+"api/packages/"+p.Name+"/releases/"+p.Version)
	if err == nil && !bytes.Contains(got, []byte(script.SHA256(p.Data))) {
		err = fmt.Errorf("the registry has %q, expected the release's checksum", model.OneLine(string(got), 300))
	}
	if err != nil {
		return "", err
	}
	if got, err = c.Get(ctx, c.Public+"tarballs/"+p.File); err == nil && !bytes.Equal(got, p.Data) {
		err = errors.New("the release that was downloaded is not the one that was published")
	}
	return "the API names its checksum, and the release downloads unchanged", err
}

// prints is what mix prints of a publish: the message.
func prints(r *script.Refused) []string {
	return []string{"Publishing failed", r.Field("message")}
}

func lay(dir string) error {
	return script.WritePackages(dir, build, script.Release{Name: widget, Version: script.HandVersion},
		script.Release{Name: widget, Version: "1.4.0"}, script.Release{Name: gadget, Version: script.HandVersion})
}

const byHand = `# what mix, rebar3 and Gleam send of a release that is built: the identity token is the key
publish() { curl -sS --cacert {{.CA}} -H "Authorization: $2" -H 'Content-Type: application/octet-stream' --data-binary @dist/$1 '{{.Root}}/` + publishPath + `'; echo; }
publish acme_widget-1.3.0.tar "$(identity)"

# trustpub exec swaps it for a publish token, gives that to the client as HEX_API_KEY, and revokes it at the end
trustpub exec --registry {{.Public}} --for hex -- sh -c \
  'curl -sS --cacert {{.CA}} -H "Authorization: $HEX_API_KEY" -H "Content-Type: application/octet-stream" --data-binary @dist/acme_widget-1.4.0.tar "$HEX_API_URL/publish?replace=false"'

# this one is refused until policies/widget.yaml names acme_gadget as well
publish acme_gadget-1.3.0.tar "$(identity)"

# in a project of yours, mix does the same
export HEX_API_URL={{.Root}}/api HEX_CACERTS_PATH={{.CA}}
HEX_API_KEY=$(identity) mix hex.publish package --yes
`
