package identity

import (
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trustpub/trustpub/internal/demo/issuer"
	"github.com/trustpub/trustpub/internal/model"
)

// replyWith answers with a body.
func replyWith(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

func redirectTo(url string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, url, http.StatusFound) }
}

// What an issuer can answer wrongly. Each is refused at a first start, and keeps the old keys later.
func TestBrokenAnswers(t *testing.T) {
	r := newRig(t, nil)
	meta := func(keys string) http.HandlerFunc {
		return replyWith(`{"issuer":"` + r.dev.URL() + `","jwks_uri":"` + keys + `"}`)
	}
	tests := []struct {
		name string
		path string
		f    http.HandlerFunc
		says string
	}{
		{"status 404", issuer.DiscoveryPath, http.NotFound, "status 404, expected 200"},
		{"status 204", issuer.JWKSPath, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "status 204, expected 200"},
		{"cut off", issuer.JWKSPath, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"keys":[`)
		}, "unexpected EOF"},
		{"an error page", issuer.DiscoveryPath, replyWith("<html>"), "not a JSON object"},
		{"a key twice", issuer.DiscoveryPath, replyWith(`{"issuer":"a","issuer":"b"}`), "a key twice"},
		{"another issuer", issuer.DiscoveryPath, replyWith(`{"issuer":"https://issuer.example.com","jwks_uri":"https://issuer.example.com/keys"}`), "expected \"" + r.dev.URL()},
		{"no issuer", issuer.DiscoveryPath, replyWith(`{}`), "issuer is \"\""},
		{"no jwks_uri", issuer.DiscoveryPath, replyWith(`{"issuer":"` + r.dev.URL() + `"}`), "not the URL of a key set"},
		{"jwks_uri is a file", issuer.DiscoveryPath, meta("file:///etc/passwd"), "not the URL of a key set"},
		{"jwks_uri is another scheme", issuer.DiscoveryPath, meta("ftp://127.0.0.1/keys"), "must begin with https://"},
		{"jwks_uri elsewhere over http", issuer.DiscoveryPath, meta("http://keys.example.com/"), "must begin with https://"},
		{"jwks_uri with a password", issuer.DiscoveryPath, meta("https://u:p@127.0.0.1/keys"), "not the URL of a key set"},
		{"keys are no JSON", issuer.JWKSPath, replyWith("keys"), "not a JSON object"},
		{"keys are no list", issuer.JWKSPath, replyWith(`{"keys":{}}`), `no list "keys"`},
		{"no keys", issuer.JWKSPath, replyWith(`{"keys":[]}`), "no usable key"},
		{"no usable keys", issuer.JWKSPath, replyWith(`{"keys":[{"kty":"oct","kid":"a","k":"c2VjcmV0"}]}`), "no usable key"},
		{"too many keys", issuer.JWKSPath, replyWith(`{"keys":[` + strings.Repeat(`{},`, maxKeys) + `{}]}`), "101 keys, expected at most 100"},
		{"too large", issuer.JWKSPath, replyWith(`{"keys":[],"x":"` + strings.Repeat("a", maxKeySet) + `"}`), "larger than 1048576 bytes"},
		{"endless", issuer.DiscoveryPath, func(w http.ResponseWriter, r *http.Request) {
			chunk := []byte(strings.Repeat(" ", 64<<10))
			for r.Context().Err() == nil {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, "larger than 1048576 bytes"},
		{"redirects in circles", issuer.JWKSPath, redirectTo(issuer.JWKSPath), "redirects"},
	}
	fails := func(t *testing.T, r *rig, says string) {
		t.Helper()
		s := r.issuer.Status()
		if s.Failures == 0 || !strings.Contains(s.LastError, says) {
			t.Errorf("last error %q after %d failures, want one that says %q", s.LastError, s.Failures, says)
		}
		if strings.Contains(s.LastError, "<html>") || strings.Contains(s.LastError, ":p@") {
			t.Errorf("the error quotes what the issuer sent: %s", s.LastError)
		}
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := rigOn(t, newClock(), r.dev, nil)
			r.on(test.path, test.f)
			want(t, r.deny(t, r.token()), model.CodeIssuerUnavailable, "")
			fails(t, r, test.says)
			r.dev.Intercept(nil)
			r.clock.advance(maxRetry)
			r.accept(t, r.token())
			r.on(test.path, test.f)
			r.clock.advance(keysTTL)
			r.accept(t, r.dev.Token(audience, map[string]any{"exp": r.clock.now().Add(keysTTL).Unix()}))
			fails(t, r, test.says)
			r.dev.Intercept(nil)
		})
	}
}

func TestRedirectOnTheHost(t *testing.T) {
	r := newRig(t, nil)
	r.on(issuer.DiscoveryPath, redirectTo("/moved"))
	r.dev.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		switch req.URL.Path {
		case issuer.DiscoveryPath:
			http.Redirect(w, req, "/moved", http.StatusMovedPermanently)
		case "/moved":
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, r.dev.URL(), r.dev.URL()+issuer.JWKSPath)
		default:
			return false
		}
		return true
	})
	r.accept(t, r.token())
}

// An issuer elsewhere cannot send the gateway to this machine, nor down to plain http.
func TestKeysAddress(t *testing.T) {
	tests := []struct {
		name, issuer, keys string
		ok                 bool
	}{
		{"same host", "https://issuer.example.com", "https://issuer.example.com/keys", true},
		{"another host, as the issuer says", "https://issuer.example.com", "https://keys.example.com/", true},
		{"plain http", "https://issuer.example.com", "http://issuer.example.com/keys", false},
		{"this machine", "https://issuer.example.com", "https://localhost/keys", false},
		{"this machine by address", "https://issuer.example.com", "https://127.0.0.1/keys", false},
		{"this machine in IPv6", "https://issuer.example.com", "https://[::1]/keys", false},
		{"this machine, mapped", "https://issuer.example.com", "https://[::ffff:127.0.0.1]/keys", false},
		{"local issuer, local keys", "http://127.0.0.1:1", "http://127.0.0.1:2/keys", true},
		{"local issuer over TLS, plain keys", "https://localhost:1", "http://localhost:1/keys", false},
		{"local issuer, keys elsewhere over http", "http://127.0.0.1:1", "http://keys.example.com/", false},
		{"a fragment", "https://issuer.example.com", "https://issuer.example.com/keys#x", false},
		{"no host", "https://issuer.example.com", "https:///keys", false},
		{"relative", "https://issuer.example.com", "/keys", false},
		{"broken", "https://issuer.example.com", "https://%zz", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := (&source{issuer: test.issuer}).checkKeysAddress(test.keys)
			if (err == nil) != test.ok {
				t.Errorf("got %v, want ok %t", err, test.ok)
			}
		})
	}
}

// An issuer with a private CA is reached with that CA, and not without it.
func TestPrivateCA(t *testing.T) {
	clock := newClock()
	unstarted := httptest.NewUnstartedServer(nil)
	unstarted.StartTLS()
	certificate := unstarted.Certificate()
	config := unstarted.TLS.Clone()
	unstarted.Close()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dev, err := issuer.Serve(tlsListener(listener, config), "https://"+listener.Addr().String(), issuer.Options{Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	without := rigOn(t, clock, dev, nil)
	want(t, without.deny(t, without.token()), model.CodeIssuerUnavailable, "")
	if s := without.issuer.Status(); !strings.Contains(s.LastError, "certificate") {
		t.Errorf("last error %q, want one about the certificate", s.LastError)
	}
	with := rigOn(t, clock, dev, func(c *Config) { c.CAFile = ca })
	with.accept(t, with.token())
}
