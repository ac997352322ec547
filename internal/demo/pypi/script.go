package pypi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/trustpub/trustpub/internal/demo/script"
	"github.com/trustpub/trustpub/internal/demo/wheel"
	"github.com/trustpub/trustpub/internal/model"
)

const (
	path       = "/team/prod/"
	simplePath = "simple/"
	user       = "publisher"
	tokenUser  = "__token__"
)

// Script is the PyPI part of the demo: a client that does what uv does.
var Script = script.Script{
	Ecosystem: "pypi", Client: "uv", Path: path, Source: "static", Option: "basic " + user,
	Package: "acme-widget", Other: "acme-gadget",
	Open: open, Build: build, Audience: audience,
	Exchange: exchange, Carries: "the publish token being the password of " + tokenUser,
	Revoke: revoke, Revokes: "uv does after each run",
	Publish: publish, Read: read,
	Trials: []script.Trial{{
		Name: "refuse an edited file", Code: model.CodeDigestMismatch, Detail: "one byte of acme-widget " + script.SecondVersion + " changed on the way", Try: edited,
	}},
	Prints: prints, Lay: lay, ByHand: byHand, Shows: simplePath,
}

func open(dir string) (*script.Store, error) {
	password := script.NewSecret()
	x, err := New(Config{Dir: dir, Prefix: path, User: user, Password: password})
	if err != nil {
		return nil, err
	}
	return &script.Store{Handler: x, Secret: password, User: user, Stored: x.onDisk}, nil
}

func release(p script.Package) wheel.Release { return wheel.Release{Name: p.Name, Version: p.Version} }

func build(name, version string) (script.Package, error) {
	f, err := wheel.Release{Name: name, Version: version}.Wheel()
	return script.Package{Release: script.Release{Name: name, Version: version}, File: f.Name, Data: f.Data}, err
}

// audience asks the gateway for which audience identity tokens have to be requested.
func audience(ctx context.Context, c *script.Client) (audience, how string, err error) {
	audience, err = c.Ask(ctx, http.MethodGet, "/_/oidc/audience", nil, nil, "audience")
	return audience, "the gateway's answer to /_/oidc/audience, where uv asks", err
}

func exchange(ctx context.Context, c *script.Client, identity, _ string) (string, error) {
	body, err := tokenBody(identity)
	if err != nil {
		return "", err
	}
	return c.Ask(ctx, http.MethodPost, "/_/oidc/mint-token", script.JSON(nil), body, "token")
}

func revoke(ctx context.Context, c *script.Client, token string) error {
	body, err := tokenBody(token)
	if err == nil {
		_, err = c.Send(ctx, http.MethodPost, "/_/oidc/burn-token", script.JSON(nil), body)
	}
	return err
}

func tokenBody(token string) ([]byte, error) { return json.Marshal(map[string]string{"token": token}) }

func publish(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	contentType, form, err := form(p)
	if err != nil {
		return err
	}
	return upload(ctx, c, login, contentType, form)
}

// form is the upload of a wheel; its fields name the digest of the wheel as it was built, whatever the package holds.
func form(p script.Package) (contentType string, form []byte, err error) {
	f, err := release(p).Wheel()
	if err != nil {
		return "", nil, err
	}
	contentType, form = f.Form()
	return contentType, bytes.Replace(form, f.Data, p.Data, 1), nil
}

func upload(ctx context.Context, c *script.Client, login script.Login, contentType string, form []byte) error {
	if login.User == "" {
		login.User = tokenUser
	}
	header := script.With(script.Basic(login.User, login.Password), "Content-Type", contentType)
	header.Set("Accept", "application/json;q=0.9, text/plain;q=0.8, text/html;q=0.7")
	_, err := c.Send(ctx, http.MethodPost, c.Public, header, form)
	return err
}

// edited changes one byte of the wheel after its digest was taken.
func edited(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	return publish(ctx, c, login, p.Edit())
}

var anchor = regexp.MustCompile(`<a [^>]*href="([^"]+)"`)

// read reads the project's page and the file through the gateway, as an installer does, without any credential.
func read(ctx context.Context, c *script.Client, _ script.Login, p script.Package) (string, error) {
	page := c.Public + simplePath + p.Name + "/"
	body, err := c.Get(ctx, page)
	if err != nil {
		return "", err
	}
	links := anchor.FindAllSubmatch(body, -1)
	if len(links) != 1 {
		return "", fmt.Errorf("the page lists %d files, expected one", len(links))
	}
	base, err := url.Parse(page)
	if err != nil {
		return "", err
	}
	link, err := base.Parse(strings.ReplaceAll(string(links[0][1]), "&amp;", "&"))
	if err != nil {
		return "", fmt.Errorf("the page's link: %w", err)
	}
	if link.Host != c.Host || link.Fragment != "sha256="+script.SHA256(p.Data) {
		return "", fmt.Errorf("the page links to %s, expected %s behind the gateway and its digest", link, p.File)
	}
	got, err := c.Get(ctx, link.String())
	if err == nil && !bytes.Equal(got, p.Data) {
		err = errors.New("the file that was downloaded is not the one that was published")
	}
	return "the simple page lists the wheel, which downloads unchanged", err
}

// prints is what uv prints, and what twine does of an upload: the reason phrase.
func prints(r *script.Refused) []string {
	if r.Exchange {
		return []string{
			"error: Failed to obtain token for trusted publishing",
			"  cause: Server returned error code " + r.Standard() + ", is trusted publishing correctly configured?",
			"  Response: " + r.Text(),
		}
	}
	message := r.Text()
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/problem+json" {
		message = r.Field("title") + ", " + r.Field("detail")
	}
	return []string{
		"error: Failed to publish", "  cause: Server returned status code " + r.Standard() + ". Server message: " + message,
		"and twine:",
		"ERROR    HTTPError: " + r.Standard() + " from " + r.URL, "         " + r.Reason(),
	}
}

// hand are the releases that the commands by hand publish.
var hand = []script.Release{{Name: "acme-widget", Version: "1.3.0"}, {Name: "acme-widget", Version: "1.4.0"}, {Name: "acme-widget", Version: "1.5.0"}, {Name: "acme-gadget", Version: "1.0.0"}}

func lay(dir string) error { return script.WritePackages(dir, build, hand...) }

const byHand = `export SSL_CERT_FILE={{.CA}} REQUESTS_CA_BUNDLE={{.CA}}

# uv exchanges the identity token by itself
uv publish --trusted-publishing always --publish-url {{.Public}} dist/acme_widget-1.3.0-py3-none-any.whl

# twine sends the identity token itself, as the password of user __token__
twine upload --repository-url {{.Public}} -u __token__ -p "$(identity)" dist/acme_widget-1.4.0-py3-none-any.whl

# with trustpub exec, any client has a publish token for as long as it runs
trustpub exec --registry {{.Public}} -- twine upload dist/acme_widget-1.5.0-py3-none-any.whl

# curl sends the identity token, too; this one is refused until policies/widget.yaml names acme-gadget as well
curl -sSi {{.Public}} -H "Authorization: Bearer $(identity)" -F :action=file_upload -F protocol_version=1 \
  -F metadata_version=2.1 -F name=acme-gadget -F version=1.0.0 -F filetype=bdist_wheel -F pyversion=py3 \
  -F sha256_digest="$(sha256sum dist/acme_gadget-1.0.0-py3-none-any.whl | cut -d' ' -f1)" \
  -F content=@dist/acme_gadget-1.0.0-py3-none-any.whl

# pip installs what was published
pip download --no-deps -d downloads --index-url {{.Public}}simple/ acme-widget
`
