package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/trustpub/trustpub/internal/credential"
)

// packagePlaceholder stands for the package's name in a registry's exists path.
const packagePlaceholder = "{package}"

// checkExists validates the path of a registry's exists; empty: none.
func checkExists(path string) error {
	if path == "" {
		return nil
	}
	bare := strings.Replace(path, packagePlaceholder, "x", 1)
	u, err := url.Parse(bare)
	if err != nil || bare == path || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || u.EscapedPath() != bare || strings.ContainsAny(bare, "{}?#;\\") {
		return fmt.Errorf("exists is %q, expected an escaped path with %s, like /simple/%s/", path, packagePlaceholder, packagePlaceholder)
	}
	return nil
}

// probe is how the registry is asked whether it has a package; nil where it can't be.
func (r *Registry) probe(source credential.Source) func(string) credential.Probe {
	if r.Exists != "" {
		return func(pkg string) credential.Probe {
			return credential.Probe{Path: strings.Replace(r.Exists, packagePlaceholder, url.PathEscape(pkg), 1), Has: hasPage}
		}
	}
	if p, ok := source.(credential.Prober); ok {
		return p.Probe
	}
	return nil
}

// hasPage reads the answer of an exists path: a page, or none; a redirect leads to a mirror or to another name.
func hasPage(status int, _ []byte) (bool, error) {
	switch {
	case status == http.StatusOK:
		return true, nil
	case status == http.StatusNotFound, status == http.StatusGone, status >= 300 && status < 400:
		return false, nil
	}
	return false, fmt.Errorf("the registry answered %d, expected 200, 404 or a redirect", status)
}
