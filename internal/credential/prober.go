package credential

import "net/url"

// Prober is implemented by a Source whose registry can be asked whether it has a package of its own: what it only mirrors,
// inherits or redirects to doesn't count.
type Prober interface {
	// Probe is the question for a package, by its canonical name.
	Probe(pkg string) Probe
}

// Probe is a GET that asks a registry whether it has a package. It is sent through the gateway's own chain, without any
// credential.
type Probe struct {
	// Path is the escaped path on the public host, Query the raw query, Accept the header of that name; empty: none.
	Path, Query, Accept string
	// Has reads the answer. An error means that it can't be told.
	Has func(status int, body []byte) (bool, error)
}

// ProbePath is the path of a package below a public URL.
func ProbePath(public *url.URL, pkg string) string {
	return public.EscapedPath() + url.PathEscape(pkg)
}
