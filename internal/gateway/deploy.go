package gateway

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// Headers with which a registry stores something else than the bytes of the body at the path.
const (
	headerByChecksum = "X-Checksum-Deploy"
	headerSHA256     = "X-Checksum-Sha256"
)

// meaningHeaders change what an upload means to a registry: it stores what it has of that checksum, or unpacks the body into many
// paths. Left out, an empty or a packed file would be stored instead, so they are refused.
var meaningHeaders = []string{headerByChecksum, "X-Checksum-Deploy-Token", "X-Explode-Archive", "X-Explode-Archive-Atomic", "X-Bundle-Archive"}

// checkMeaning refuses them, but for the deploy by checksum where except is true.
func checkMeaning(h http.Header, except bool) error {
	for _, name := range meaningHeaders {
		if len(h.Values(name)) == 0 || except && name == headerByChecksum {
			continue
		}
		denial := model.Deny(model.CodeUnsupportedOperation).Differ(name, "present", "absent")
		if name == headerByChecksum {
			denial = denial.Hinted("send the file itself; its operator can allow this with checksum_deploy")
		}
		return denial
	}
	return nil
}

// byChecksum reads an upload without bytes, which the registry fills with what it has of that checksum: judged as a file with that
// digest. Only a digest that nobody can forge will do, and only where nobody would look into the file.
func (t *transaction) byChecksum() error {
	if len(t.r.Header.Values(headerByChecksum)) == 0 {
		return nil
	}
	refuse := func(field, got, want string) error {
		return model.Deny(model.CodeUnsupportedOperation).Differ(field, model.OneLine(got, 100), want)
	}
	switch values := t.r.Header.Values(headerSHA256); {
	case t.r.Method != http.MethodPut:
		return refuse("method of "+headerByChecksum, t.r.Method, http.MethodPut)
	case !t.op.Opaque || len(t.op.Targets) != 1:
		return refuse(headerByChecksum, "present", "absent: this file is looked into, so send the file itself")
	case !slices.Equal(t.r.Header.Values(headerByChecksum), []string{"true"}):
		return refuse(headerByChecksum, t.r.Header.Get(headerByChecksum), "true")
	case len(values) != 1 || !sha256Hex.MatchString(values[0]):
		return refuse(headerSHA256, strings.Join(values, ", "), "the file's SHA-256 in hexadecimal: an older digest can be forged")
	case t.r.ContentLength != 0:
		return model.Deny(model.CodeUnsupportedFraming).Differ("body of "+headerByChecksum, "present", "none")
	default:
		t.checksum = strings.ToLower(values[0])
		t.event.Operation += "-by-checksum"
	}
	return nil
}

var sha256Hex = regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)

// receiveChecksum is receive for an upload without bytes.
func (t *transaction) receiveChecksum(verdict func([]model.Target, *model.Artifact) error) *incoming {
	artifact := model.Artifact{File: t.op.Targets[0].File}
	_, _ = hex.Decode(artifact.SHA256[:], []byte(t.checksum)) // it was matched
	return &incoming{
		targets: t.op.Targets, body: http.NoBody, close: func() {},
		settle: func() error { return verdict(t.op.Targets, &artifact) },
	}
}

// Properties of a file, which some registries take behind its name: ;NAME=VALUE;NAME=VALUE.
var (
	propertyName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)
	propertyValue = regexp.MustCompile(`^[A-Za-z0-9._~@:+,-]{1,200}$`)
)

// CheckProperty refuses what is no name of a property.
func CheckProperty(name string) error {
	if !propertyName.MatchString(name) {
		return model.Deny(model.CodeBadRequest).Differ("property", name, "letters, digits, '.', '-' and '_'")
	}
	return nil
}

// properties takes them off the last segment of an upload's path, where its registry allows them by name, so that all who judge the
// path see it without; they are put back when it is forwarded. Everywhere else a semicolon is refused.
func (t *transaction) properties(reg *registry) error {
	path := t.r.URL.EscapedPath()
	at := strings.IndexByte(path, ';')
	if at < 0 || t.r.Method != http.MethodPut || strings.Contains(path[at:], "/") || reg == nil || len(reg.Properties) == 0 {
		return nil // a semicolon is refused with the path
	}
	for property := range strings.SplitSeq(path[at+1:], ";") {
		name, value, _ := strings.Cut(property, "=")
		switch {
		case !slices.Contains(reg.Properties, name):
			return ambiguous("property", "another", "one of "+strings.Join(reg.Properties, ", "))
		case !propertyValue.MatchString(value):
			return ambiguous("property "+name, "another value", "up to 200 letters, digits and ._~@:+,-")
		}
	}
	bare, err := url.PathUnescape(path[:at])
	if err != nil {
		return nil //nolint:nilerr // the path is refused as it is
	}
	r := *t.r
	u := *t.r.URL
	u.Path, u.RawPath = bare, path[:at]
	r.URL = &u
	t.r, t.props = &r, path[at:]
	return nil
}

// withProperties puts them back.
func (t *transaction) withProperties(out *http.Request) {
	if t.props == "" {
		return
	}
	u := *out.URL
	raw := u.EscapedPath() + t.props
	u.Path, u.RawPath = u.Path+t.props, raw
	out.URL, out.RequestURI = &u, u.RequestURI()
}

// withoutProperties takes them off the URL as it was sent, too.
func (t *transaction) withoutProperties(original *url.URL) *url.URL {
	if t.props == "" || original == nil {
		return original
	}
	escaped, ok := strings.CutSuffix(original.EscapedPath(), t.props)
	if !ok {
		return original // another path than the one that was sent
	}
	u := *original
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, t.props), escaped
	return &u
}
