// Package npm is the npm part of the demo: packages as npm packs them, the document in which it publishes one, and a small registry.
package npm

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

const widget, gadget = "@acme/widget", "@acme/gadget"

// Script is the npm part of the demo: a client that does what npm does.
var Script = script.Script{
	Ecosystem: "npm", Client: "npm", Path: "/", Source: "static", Option: "bearer",
	Package: widget, Other: gadget,
	Open: open, Build: build, Audience: audience,
	Exchange: exchange, Exchanges: ", good for " + widget + " alone", Carries: "with the publish token",
	Publish: publish, Read: read,
	Trials: []script.Trial{
		{
			Name: "refuse an edited archive", Code: model.CodeDigestMismatch,
			Detail: "one byte of " + widget + " " + script.SecondVersion + " changed on the way", Try: edited,
		},
		{
			Name: "refuse a second name", Code: model.CodeDuplicateField,
			Detail: "a document that says " + widget + " first and " + gadget + " later", Try: twoNames,
		},
	},
	Prints: prints, Lay: lay, ByHand: byHand, Shows: "@acme%2fwidget",
}

// manifest is the package.json of a release.
func manifest(name, version string) string {
	return fmt.Sprintf(`{"name":%q,"version":%q,"description":"A small package that trustpub has built","license":"Apache-2.0","main":"index.js"}`, name, version)
}

// index says what it is.
const index = "const { name, version } = require(\"./package.json\");\nmodule.exports = name + \" \" + version;\n"

func build(name, version string) (script.Package, error) {
	data, err := script.TarGz(
		script.Entry{Name: "package/package.json", Data: manifest(name, version)},
		script.Entry{Name: "package/index.js", Data: index},
	)
	file := strings.NewReplacer("@", "", "/", "-").Replace(name) + "-" + version + ".tgz"
	return script.Package{Release: script.Release{Name: name, Version: version}, File: file, Data: data}, err
}

// audience is made of the registry's host, without its port.
func audience(_ context.Context, c *script.Client) (audience, how string, err error) {
	public, err := url.Parse(c.Public)
	if err != nil {
		return "", "", err
	}
	return "npm:" + public.Hostname(), "made of the registry's host, as npm does", nil
}

// escaped is a package as npm writes it into a path.
func escaped(name string) string { return strings.Replace(name, "/", "%2f", 1) }

func exchange(ctx context.Context, c *script.Client, identity, pkg string) (string, error) {
	return c.Ask(ctx, http.MethodPost, "/-/npm/v1/oidc/token/exchange/package/"+escaped(pkg), script.Bearer(identity), nil, "token")
}

func publish(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	return put(ctx, c, login, p, Document(p.Name, p.Version, p.Data))
}

func put(ctx context.Context, c *script.Client, login script.Login, p script.Package, document []byte) error {
	_, err := c.Send(ctx, http.MethodPut, c.Public+escaped(p.Name), script.JSON(script.Bearer(login.Password)), document)
	return err
}

// edited changes one byte of the archive after its digests were taken.
func edited(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	encode := func(p script.Package) []byte { b, _ := json.Marshal(p.Data); return b } // bytes always marshal
	return put(ctx, c, login, p, bytes.Replace(Document(p.Name, p.Version, p.Data), encode(p), encode(p.Edit()), 1))
}

// twoNames says another name where some registries would read it.
func twoNames(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	document := Document(p.Name, p.Version, p.Data)
	return put(ctx, c, login, p, fmt.Appendf(document[:len(document)-1], `,"name":%q}`, gadget))
}

// read reads the package's document and the archive through the gateway, as an installer does, without any credential.
func read(ctx context.Context, c *script.Client, _ script.Login, p script.Package) (string, error) {
	body, err := c.Get(ctx, c.Public+escaped(p.Name))
	if err != nil {
		return "", err
	}
	var doc struct {
		Versions map[string]struct {
			Dist struct{ Tarball, Integrity string }
		}
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return "", fmt.Errorf("the package's document: %w", err)
	}
	dist := doc.Versions[p.Version].Dist
	if !strings.HasPrefix(dist.Tarball, c.Public) || dist.Integrity != integrity(p.Data) {
		return "", fmt.Errorf("the document has the archive at %q with %q, expected it behind the gateway and its digest", dist.Tarball, dist.Integrity)
	}
	got, err := c.Get(ctx, dist.Tarball)
	if err == nil && !bytes.Equal(got, p.Data) {
		err = errors.New("the archive that was downloaded is not the one that was published")
	}
	return "the package's document names the archive, which downloads unchanged", err
}

// prints is what npm prints. It hides why an exchange was refused, unless it is asked to tell more.
func prints(r *script.Refused) []string {
	if r.Exchange {
		return []string{
			"npm error code ENEEDAUTH",
			"npm error need auth This command requires you to be logged in to " + r.URL[:strings.Index(r.URL, "-/npm/")],
			"and with --loglevel verbose:",
			"npm verbose oidc Failed token exchange request with body message: " + r.Field("message"),
		}
	}
	return []string{
		fmt.Sprintf("npm error code E%d", r.Code),
		fmt.Sprintf("npm error %d %s - %s %s - %s", r.Code, r.Standard(), r.Method, r.URL, r.Field("error")),
	}
}

func lay(dir string) error {
	for folder, name := range map[string]string{"widget": widget, "gadget": gadget} {
		err := script.WriteFiles(dir,
			script.Entry{Name: folder + "/package.json", Data: manifest(name, script.HandVersion) + "\n"},
			script.Entry{Name: folder + "/index.js", Data: index},
			script.Entry{Name: folder + "/.npmrc", Data: "registry=${DEMO_REGISTRY}\n"})
		if err != nil {
			return err
		}
	}
	return nil
}

const byHand = `export npm_config_cafile={{.CA}} DEMO_REGISTRY={{.Public}}

# npm, 11.5.1 or later, exchanges the identity token by itself; it is told the registry by the .npmrc beside package.json
(cd dist/widget && npm publish)
(cd dist/widget && npm version minor && npm publish)

# with trustpub exec, any client has a publish token for as long as it runs, and no CI that npm knows is needed
(cd dist/widget && npm version minor && trustpub exec --registry "$DEMO_REGISTRY" -- npm publish)

# this one is refused until policies/widget.yaml names @acme/gadget as well; npm says why only when asked to
(cd dist/gadget && npm publish --loglevel verbose 2>&1 | grep -E 'oidc|npm error')

# an identity token sent directly is refused in the same way, and npm says why; outside CI, else it exchanges the token first
(cd dist/gadget && token=$(identity) && env -u GITHUB_ACTIONS npm publish "--${DEMO_REGISTRY#https:}:_authToken=$token")

# npm installs what was published
mkdir -p install && (cd install && npm install --no-audit --registry "$DEMO_REGISTRY" @acme/widget && node -p 'require("@acme/widget")')
`
