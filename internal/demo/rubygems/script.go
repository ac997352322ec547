// Package rubygems is the RubyGems part of the demo: gems as gem builds them, the requests that push them, and a small gem server.
package rubygems

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/trustpub/trustpub/internal/demo/script"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	widget, gadget = "acme-widget", "acme-gadget"
	exchangePath   = "/api/v1/oidc/trusted_publisher/exchange_token"
	pushPath       = "api/v1/gems"
)

// Script is the RubyGems part of the demo: a client that does what the credentials action and gem do.
var Script = script.Script{
	Ecosystem: "rubygems", Client: "gem or the credentials action", Path: "/", Source: "static", Option: "header Authorization",
	Package: widget, Other: gadget,
	Open: open, Build: build,
	Exchange: exchange, Carries: "the publish token being gem's key",
	Publish: publish, Read: read,
	Trials: []script.Trial{
		{
			Name: "refuse edited data", Code: model.CodeDigestMismatch,
			Detail: "a gem whose data is not that of its own checksums", Try: edited,
		},
		{
			Name: "refuse a longer gem", Code: model.CodeMalformedUpload,
			Detail: "one byte behind the end of " + widget + " " + script.SecondVersion, Try: longer,
		},
	},
	Prints: prints, Lay: lay, ByHand: byHand, Shows: "info/" + widget,
}

func build(name, version string) (script.Package, error) {
	data, err := Gem(name, version, nil)
	return script.Package{Release: script.Release{Name: name, Version: version}, File: name + "-" + version + ".gem", Data: data}, err
}

func exchange(ctx context.Context, c *script.Client, identity, _ string) (string, error) {
	return c.AskJWT(ctx, exchangePath, identity, "rubygems_api_key")
}

// publish sends the key as it is, without a scheme.
func publish(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	header := http.Header{"Authorization": {login.Password}, "Content-Type": {"application/octet-stream"}}
	_, err := c.Send(ctx, http.MethodPost, c.Public+pushPath, header, p.Data)
	return err
}

// edited puts other data beside the checksums.
func edited(ctx context.Context, c *script.Client, login script.Login, p script.Package) (err error) {
	other, err := script.TarGz(script.Entry{Name: "lib/" + p.Name + ".rb", Data: "# edited\n"})
	if err != nil {
		return err
	}
	if p.Data, err = Gem(p.Name, p.Version, other); err != nil {
		return err
	}
	return publish(ctx, c, login, p)
}

func longer(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	p.Data = append(bytes.Clone(p.Data), 'x')
	return publish(ctx, c, login, p)
}

// read reads the gem's lines of the index and the gem, as Bundler does.
func read(ctx context.Context, c *script.Client, _ script.Login, p script.Package) (string, error) {
	lines, err := c.Get(ctx, c.Public+"info/"+p.Name)
	if err == nil && !bytes.Contains(lines, []byte(p.Version+" |checksum:"+script.SHA256(p.Data))) {
		err = fmt.Errorf("the index has %q, expected %s with its checksum", model.OneLine(string(lines), 300), p.Version)
	}
	if err != nil {
		return "", err
	}
	got, err := c.Get(ctx, c.Public+"gems/"+p.File)
	if err == nil && !bytes.Equal(got, p.Data) {
		err = errors.New("the gem that was downloaded is not the one that was published")
	}
	return "the index names the version, and its gem downloads unchanged", err
}

// prints is what the credentials action prints of an exchange, and gem of a push: the body.
func prints(r *script.Refused) []string {
	if r.Exchange {
		return []string{"Error: " + r.Text()}
	}
	return []string{"Pushing gem to " + r.URL[:len(r.URL)-len("/"+pushPath)] + "...", r.Text()}
}

func lay(dir string) error {
	return script.WritePackages(dir, build, script.Release{Name: widget, Version: script.HandVersion},
		script.Release{Name: widget, Version: "1.4.0"}, script.Release{Name: widget, Version: "1.5.0"}, script.Release{Name: gadget, Version: script.HandVersion})
}

const byHand = `export SSL_CERT_FILE={{.CA}}

# the credentials action swaps the identity token for a key
key=$(curl -sS {{.Root}}` + exchangePath + ` -d "{\"jwt\": \"$(identity)\"}" | sed 's/.*"rubygems_api_key":"\([^"]*\)".*/\1/')
GEM_HOST_API_KEY=$key gem push --host {{.Root}} dist/acme-widget-1.3.0.gem

# the identity token may be the key itself
GEM_HOST_API_KEY=$(identity) gem push --host {{.Root}} dist/acme-widget-1.4.0.gem

# trustpub exec swaps it for any client, and revokes the key at the end
trustpub exec --registry {{.Public}} -- gem push dist/acme-widget-1.5.0.gem

# this one is refused until policies/widget.yaml names acme-gadget as well
GEM_HOST_API_KEY=$(identity) gem push --host {{.Root}} dist/acme-gadget-1.3.0.gem

# Bundler installs what was published
mkdir -p install && printf 'source "{{.Root}}"\ngem "acme-widget"\n' > install/Gemfile
(cd install && BUNDLE_PATH=gems bundle install && BUNDLE_PATH=gems bundle exec gem list acme)
`
