// Package generic is the part of the demo for stores of files at paths.
package generic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/trustpub/trustpub/internal/demo/script"
	"github.com/trustpub/trustpub/internal/model"
)

const path, user, widget, gadget = "/raw/", "publisher", "widget", "gadget"

// checksum is the header in which a client says what it sends.
const checksum = "X-Checksum-Sha256"

// Script is the part of the demo for stores of files: a client that does what curl does.
var Script = script.Script{
	Ecosystem: "generic", Client: "curl", Path: path, Settings: "layout /{package}/{version}/{file}", Source: "static", Option: "basic " + user,
	Package: widget, Other: gadget,
	Open:  func(string) (*script.Store, error) { return script.NewFiles(path, user), nil },
	Build: build, Carries: "with the identity token itself", Publish: publish, Read: read,
	Trials: []script.Trial{
		{
			Name: "refuse an edited file", Code: model.CodeDigestMismatch,
			Detail: "one byte of " + widget + " " + script.SecondVersion + " changed on the way, and its digest in " + checksum, Try: edited,
		},
		{
			Name: "refuse to replace a file", Code: model.CodeAlreadyExists,
			Detail: "another file in the place of the one above, which the store would replace", Try: replaced,
		},
	},
	Prints: prints, Lay: lay, ByHand: byHand,
}

func build(name, version string) (script.Package, error) {
	data, err := script.TarGz(script.Entry{Name: name + "-" + version + "/README", Data: name + " " + version + "\n"})
	return script.Package{Release: script.Release{Name: name, Version: version}, File: name + ".tar.gz", Data: data}, err
}

func at(c *script.Client, p script.Package) string {
	return c.Public + p.Name + "/" + p.Version + "/" + p.File
}

// header carries a password of the store's in one way, and a token in another.
func header(login script.Login) http.Header {
	if login.User != "" {
		return script.Basic(login.User, login.Password)
	}
	return script.Bearer(login.Password)
}

func publish(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	_, err := c.Send(ctx, http.MethodPut, at(c, p), header(login), p.Data)
	return err
}

// edited changes one byte after the digest was taken.
func edited(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	_, err := c.Send(ctx, http.MethodPut, at(c, p), script.With(header(login), checksum, script.SHA256(p.Data)), p.Edit().Data)
	return err
}

// replaced puts another file where the first one is.
func replaced(ctx context.Context, c *script.Client, login script.Login, p script.Package) error {
	p.Version = script.FirstVersion
	return publish(ctx, c, login, p)
}

func read(ctx context.Context, c *script.Client, _ script.Login, p script.Package) (string, error) {
	got, err := c.Get(ctx, at(c, p))
	if err == nil && !bytes.Equal(got, p.Data) {
		err = errors.New("the file that was downloaded is not the one that was published")
	}
	return "the file downloads unchanged", err
}

// prints is what curl prints with --fail-with-body.
func prints(r *script.Refused) []string {
	return []string{r.Text(), fmt.Sprintf("curl: (22) The requested URL returned error: %d", r.Code)}
}

func lay(dir string) error {
	return script.WritePackages(dir, build, script.Release{Name: widget, Version: script.HandVersion}, script.Release{Name: gadget, Version: script.HandVersion})
}

const byHand = `
# the identity token itself, as a Bearer token or as the password of any user
curl -sS --fail-with-body -T dist/widget.tar.gz -H "Authorization: Bearer $(identity)" {{.Public}}widget/1.3.0/widget.tar.gz
curl -sS --fail-with-body -T dist/widget.tar.gz -u "oidc:$(identity)" {{.Public}}widget/1.4.0/widget.tar.gz

# with trustpub exec, any client has a publish token for as long as it runs
trustpub exec --registry {{.Public}} -- curl -sS --fail-with-body -T dist/widget.tar.gz {{.Public}}widget/1.5.0/widget.tar.gz

# a file is not replaced, unless the policy grants the action overwrite: this one is refused
curl -sS --fail-with-body -T dist/gadget.tar.gz -H "Authorization: Bearer $(identity)" {{.Public}}widget/1.3.0/widget.tar.gz

# so is this one, until policies/widget.yaml names gadget as well
curl -sS --fail-with-body -T dist/gadget.tar.gz -H "Authorization: Bearer $(identity)" {{.Public}}gadget/1.3.0/gadget.tar.gz

# and so is everything that the layout does not name
curl -sS --fail-with-body -T dist/widget.tar.gz -H "Authorization: Bearer $(identity)" {{.Public}}index.html

# what was published
curl -s {{.Public}}
curl -s {{.Public}}widget/1.3.0/widget.tar.gz | tar tz
`
