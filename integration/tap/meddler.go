package tap

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
)

// Meddler is an HTTPS proxy between a client and the gateway that changes one byte of each uploaded file: what a broken or
// hostile hop does. It has the gateway's own certificate, so that clients trust it.
type Meddler struct{ *httptest.Server }

// StartMeddler listens in front of the gateway's site.
func StartMeddler(certificate tls.Certificate, gateway *url.URL, transport http.RoundTripper) *Meddler {
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(gateway)
			r.Out.Host = gateway.Host
		},
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := meddle(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	return &Meddler{server}
}

// Host is the host and port, with a name that the certificate has.
func (m *Meddler) Host() string {
	u, err := url.Parse(m.Server.URL)
	if err != nil {
		return m.Listener.Addr().String()
	}
	return "localhost:" + u.Port()
}

// localFile is how the first member of a zip file begins.
var localFile = []byte("PK\x03\x04")

// meddle flips a bit of the time stamp of a wheel's first member; the length stays.
func meddle(r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if at := bytes.Index(body, localFile); at >= 0 {
		body[at+10] ^= 1
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	return nil
}
