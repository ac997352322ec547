// Package nuget is the NuGet part of the demo: packages, the form in which dotnet pushes one, and a small feed.
package nuget

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/trustpub/trustpub/internal/demo/script"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	widget, gadget = "Acme.Widget", "Acme.Gadget"
	tokenPath      = "/api/v2/token" //nolint:gosec // a path
	pushPath       = "api/v2/package/"
	flatPath       = "flat/"
)

// Script is the NuGet part of the demo: a client that does what the login action and dotnet do.
var Script = script.Script{
	Ecosystem: "nuget", Client: "dotnet or the login action", Path: "/", Source: "static", Option: "header X-NuGet-ApiKey",
	Package: widget, Other: gadget,
	Open: open, Build: build,
	Exchange: exchange, Carries: "the publish token being the API key",
	Publish: publish, Read: read,
	Trials: []script.Trial{
		{
			Name: "refuse two names", Code: model.CodeDuplicateField,
			Detail: "a nuspec whose id is " + widget + " first and " + gadget + " later", Try: twoNames,
		},
		{
			Name: "refuse a cut upload", Code: model.CodeTruncated,
			Detail: "a form without its end", Try: cut,
		},
	},
	Prints: prints, Lay: lay, ByHand: byHand, Shows: flatPath + "acme.widget/index.json",
}

// nuspec names the package; extra are further elements.
func nuspec(name, version, extra string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
  <metadata>
    <id>%s</id>
    <version>%s</version>
    <authors>trustpub</authors>
    <description>A small package that trustpub has built</description>%s
  </metadata>
</package>
`, name, version, extra)
}

// contentTypes and relations are what the packaging format wants beside the nuspec.
const (
	contentTypes = `<?xml version="1.0" encoding="utf-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml" />` +
		`<Default Extension="nuspec" ContentType="application/octet" /><Default Extension="txt" ContentType="application/octet" /></Types>`
	relations = `<?xml version="1.0" encoding="utf-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
		`<Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/%s.nuspec" Id="manifest" /></Relationships>`
)

func build(name, version string) (script.Package, error) { return pack(name, version, "") }

// pack makes a package with further elements in its nuspec.
func pack(name, version, extra string) (script.Package, error) {
	p := script.Package{Release: script.Release{Name: name, Version: version}, File: name + "." + version + ".nupkg"}
	var out bytes.Buffer
	zw := zip.NewWriter(&out)
	for _, e := range []script.Entry{
		{Name: "_rels/.rels", Data: fmt.Sprintf(relations, name)},
		{Name: name + ".nuspec", Data: nuspec(name, version, extra)},
		{Name: "content/readme.txt", Data: name + " " + version + "\n"},
		{Name: "[Content_Types].xml", Data: contentTypes},
	} {
		w, err := zw.CreateHeader(&zip.FileHeader{Name: e.Name, Method: zip.Deflate, Modified: script.Stamp})
		if err != nil {
			return p, err
		}
		if _, err := w.Write([]byte(e.Data)); err != nil {
			return p, err
		}
	}
	err := zw.Close()
	p.Data = out.Bytes()
	return p, err
}

func exchange(ctx context.Context, c *script.Client, identity, _ string) (string, error) {
	body, err := json.Marshal(map[string]string{"username": "ci", "tokenType": "ApiKey"})
	if err != nil {
		return "", err
	}
	return c.Ask(ctx, http.MethodPost, tokenPath, script.JSON(script.Bearer(identity)), body, "apiKey")
}

// boundary is fixed, so that a form has the same bytes each time.
const boundary = "3576595b-8e57-4d70-91bb-701d5aab54ea"

// form is a package as dotnet sends it.
func form(pkg []byte) []byte {
	return fmt.Appendf(nil, "--%[1]s\r\nContent-Type: application/octet-stream\r\nContent-Disposition: form-data; name=package; filename=package.nupkg; "+
		"filename*=utf-8''package.nupkg\r\n\r\n%[2]s\r\n--%[1]s--\r\n", boundary, pkg)
}

func publish(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	return put(ctx, c, login, form(p.Data))
}

func put(ctx context.Context, c *script.Client, login script.Login, form []byte) error {
	header := http.Header{"X-Nuget-Apikey": {login.Password}, "Content-Type": {`multipart/form-data; boundary="` + boundary + `"`}}
	_, err := c.Send(ctx, http.MethodPut, c.Public+pushPath, header, form)
	return err
}

func twoNames(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	p, err := pack(p.Name, p.Version, "\n    <id>"+gadget+"</id>")
	if err != nil {
		return err
	}
	return publish(ctx, c, login, p)
}

func cut(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	return put(ctx, c, login, bytes.TrimSuffix(form(p.Data), []byte("--\r\n")))
}

// read reads the versions and the package where the feed's own index says they are, as an installer does.
func read(ctx context.Context, c *script.Client, _ script.Login, p script.Package) (string, error) {
	body, err := c.Get(ctx, c.Public+"index.json")
	if err != nil {
		return "", err
	}
	var feed struct {
		Resources []struct {
			ID   string `json:"@id"`
			Type string `json:"@type"`
		}
	}
	if err := json.Unmarshal(body, &feed); err != nil {
		return "", fmt.Errorf("the feed's index: %w", err)
	}
	for _, r := range feed.Resources {
		if r.Type != packageBase {
			continue
		}
		id := strings.ToLower(p.Name)
		if !strings.HasPrefix(r.ID, c.Public) {
			return "", fmt.Errorf("the feed's packages are at %q, expected behind the gateway", r.ID)
		}
		list, err := c.Get(ctx, r.ID+id+"/index.json")
		if err == nil && !bytes.Contains(list, []byte(`"`+p.Version+`"`)) {
			err = fmt.Errorf("the versions are %q, expected %s", list, p.Version)
		}
		if err != nil {
			return "", err
		}
		got, err := c.Get(ctx, r.ID+id+"/"+p.Version+"/"+id+"."+p.Version+".nupkg")
		if err == nil && !bytes.Equal(got, p.Data) {
			err = errors.New("the package that was downloaded is not the one that was published")
		}
		return "the feed's index leads to the package, which downloads unchanged", err
	}
	return "", errors.New("the feed's index names no place for packages")
}

// prints is what the login action prints of an exchange, and dotnet of a push: the reason phrase.
func prints(r *script.Refused) []string {
	if r.Exchange {
		return []string{fmt.Sprintf("Error: Token exchange failed (HTTP %d) at %s. Make sure you are using the username of the policy creator, "+
			"not the policy owner: %s", r.Code, r.URL, r.Field("error"))}
	}
	return []string{fmt.Sprintf("error: Response status code does not indicate success: %d (%s).", r.Code, r.Reason())}
}

func lay(dir string) error {
	return script.WritePackages(dir, build, script.Release{Name: widget, Version: script.HandVersion},
		script.Release{Name: widget, Version: "1.4.0"}, script.Release{Name: widget, Version: "1.5.0"}, script.Release{Name: gadget, Version: script.HandVersion})
}

const byHand = `export SSL_CERT_FILE={{.CA}}

# the login action swaps the identity token for an API key
key=$(curl -sS {{.Root}}` + tokenPath + ` -H "Authorization: Bearer $(identity)" -H "Content-Type: application/json" \
  -d '{"username": "ci", "tokenType": "ApiKey"}' | sed 's/.*"apiKey":"\([^"]*\)".*/\1/')
dotnet nuget push dist/Acme.Widget.1.3.0.nupkg --source {{.Public}}index.json --api-key "$key"

# curl pushes too, and the identity token may be the key itself
curl -sS --fail-with-body -X PUT -H "X-NuGet-ApiKey: $(identity)" -F "package=@dist/Acme.Widget.1.4.0.nupkg;type=application/octet-stream" {{.Public}}api/v2/package

# trustpub exec swaps it for any client, and revokes the key at the end
trustpub exec --registry {{.Public}} --for nuget -- sh -c 'curl -sS --fail-with-body -X PUT -H "X-NuGet-ApiKey: $NUGET_API_KEY" \
  -F "package=@dist/Acme.Widget.1.5.0.nupkg;type=application/octet-stream" {{.Public}}api/v2/package'

# this one is refused until policies/widget.yaml names Acme.Gadget as well
curl -sS --fail-with-body -X PUT -H "X-NuGet-ApiKey: $(identity)" -F "package=@dist/Acme.Gadget.1.3.0.nupkg;type=application/octet-stream" {{.Public}}api/v2/package

# what was published
curl -sS {{.Public}}` + flatPath + `acme.widget/index.json
curl -sS -O {{.Public}}` + flatPath + `acme.widget/1.4.0/acme.widget.1.4.0.nupkg && unzip -l acme.widget.1.4.0.nupkg
`
