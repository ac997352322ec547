package gateway_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/trustpub/trustpub/internal/gateway"
	"github.com/trustpub/trustpub/internal/model"
)

// TestMisplacedTokens puts both kinds of token wherever a request can carry text: none reaches the registry, in any mode, by
// any method, inside a registry or outside.
func TestMisplacedTokens(t *testing.T) {
	for _, m := range []gateway.Mode{gateway.ModeEnforce, gateway.ModeClaimed, gateway.ModeObserve} {
		h := open(t, mode(m), func(_ *gateway.Registry, c *gateway.Config) {
			c.Passthrough = []gateway.Passthrough{{Method: http.MethodPost, Prefix: "/+login"}}
		})
		var reached atomic.Int32
		h.upstream.behave(func(http.ResponseWriter, *http.Request) { reached.Add(1) })
		identity := h.identity()
		minted, _ := h.exchange(h.identity())
		for kind, token := range map[string]string{"identity": identity, "publish": minted} {
			pair := base64.StdEncoding.EncodeToString([]byte("__token__:" + token))
			for name, put := range map[string]func(*http.Request){
				"a cookie":                      setHeader("Cookie", "session="+token),
				"the second cookie":             setHeader("Cookie", "a=b; session="+token+"; c=d"),
				"an encoded cookie":             setHeader("Cookie", "session="+strings.ReplaceAll(token, ".", "%2E")),
				"a Basic pair in a cookie":      setHeader("Cookie", "auth="+pair),
				"a quoted pair in a cookie":     setHeader("Cookie", `auth="`+pair+`"`),
				"an unknown header":             setHeader("X-Ci-Token", token),
				"an unknown header with a word": setHeader("X-Ci-Token", "Bearer "+token),
				"a Basic pair elsewhere":        setHeader("X-Ci-Auth", "Basic "+pair),
				"an underscore":                 setHeader("X_Api_Key", token),
				"the user agent":                setHeader("User-Agent", "tool/1.0 ("+token+")"),
				"the referer":                   setHeader("Referer", "https://ci.example.com/?t="+token+"&x=1"),
				"Proxy-Authorization":           setHeader("Proxy-Authorization", "Bearer "+token),
				"If-None-Match":                 setHeader("If-None-Match", `"`+token+`"`),
				"after a foreign credential":    setHeader("Authorization", "Bearer abc "+token),
				"before a foreign credential":   setHeader("Authorization", "Bearer "+token+" abc"),
				"a parameter of a scheme":       setHeader("Authorization", `Digest username="`+token+`"`),
				"after a space in a password":   setHeader("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("x: "+token))),
				"a query value":                 setQuery("x=" + token),
				"an encoded query value":        setQuery("x=" + strings.ReplaceAll(token, ".", "%2e")),
				"the query key of a token":      setQuery("token=" + token),
				"a query key":                   setQuery(token + "=1"),
				"the path":                      func(r *http.Request) { r.URL.Path += token },
				"the middle of the path":        func(r *http.Request) { r.URL.Path += "1.0/" + token + "/x" },
			} {
				for _, to := range []string{"GET /root/prod/simple/acme-widget/", "HEAD /other/", "OPTIONS /root/prod/", "POST /root/prod/", "POST /+login"} {
					method, path, _ := strings.Cut(to, " ")
					r, err := http.NewRequest(method, h.front.URL+path, nil)
					if err != nil {
						t.Fatal(err)
					}
					put(r)
					a := h.do(r)
					if a.status/100 != 4 || reached.Swap(0) != 0 {
						t.Errorf("%s: %s token in %s of %s: got %d, expected a refusal before the registry\n%s", m, kind, name, to, a.status, a.body)
					}
					for _, text := range []string{a.body, a.reason, h.log.String(), h.audit.text()} {
						if strings.Contains(text, token[strings.LastIndexByte(token, '.'):]) {
							t.Errorf("%s: %s token in %s of %s: it leaks", m, kind, name, to)
						}
					}
				}
			}
		}
	}
}

func setHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header[name] = []string{value} }
}

func setQuery(raw string) func(*http.Request) {
	return func(r *http.Request) { r.URL.RawQuery = raw }
}

// TestNothingMisplaced sends what looks a little like a token and is none: it passes as it is.
func TestNothingMisplaced(t *testing.T) {
	h := open(t)
	h.upstream.behave(func(http.ResponseWriter, *http.Request) {})
	strange := h.issuer.Token("x", map[string]any{"iss": "https://elsewhere.example.com"})
	for name, put := range map[string]func(*http.Request){
		"a token of nobody's issuer": setHeader("Cookie", "session="+strange),
		"a package of that prefix":   func(r *http.Request) { r.URL.Path += "simple/tpub_utils/" },
		"a file of that prefix": func(r *http.Request) {
			r.URL.Path += "+f/abc/def/tpub_utils-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
		},
		"a long user agent":           setHeader("User-Agent", `pip/24.0 {"ci":null,"cpu":"x86_64","distro":{"name":"Debian","version":"12.0"},"python":"3.11.2"}`),
		"a session":                   setHeader("Cookie", "session="+strings.Repeat("aGVsbG8", 40)+"=="),
		"a signed session":            setHeader("Cookie", "session="+strings.Repeat("aGVsbG8", 40)+".ZeLx1A."+strings.Repeat("x", 27)),
		"a password of the registry":  setHeader("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("user:"+strings.Repeat("devpi.token.", 20)))),
		"a url in a query":            setQuery("next=" + url.QueryEscape("https://pypi.example.com/a.b.c/"+strings.Repeat("d", 100)+".e")),
		"an identity beside a secret": setHeader("X-Trustpub-Identity", h.identity()),
	} {
		r, err := http.NewRequest(http.MethodGet, h.front.URL+"/root/prod/", nil)
		if err != nil {
			t.Fatal(err)
		}
		put(r)
		if a := h.do(r); a.status != http.StatusOK {
			t.Errorf("%s: got %d, expected 200\n%s", name, a.status, a.body)
		}
	}
}

// TestJudgedRequestKeepsItsHeaders has Connection name headers of the upload: a registry without the Content-Type reads the form
// as another one.
func TestJudgedRequestKeepsItsHeaders(t *testing.T) {
	for _, named := range []string{"Content-Type", "close, content-type", "Transfer-Encoding", "authorization", "X-Unknown"} {
		for _, m := range []gateway.Mode{gateway.ModeEnforce, gateway.ModeClaimed} {
			h := open(t, mode(m))
			u := upload{token: h.identity(), header: http.Header{"Connection": {named}}}
			if m == gateway.ModeClaimed {
				u.name, u.version, u.token = freePackage, "1.0", "hunter2"
			}
			h.refused(h.publish(u), http.StatusBadRequest, model.CodeUnsupportedFraming)
		}
	}
	h := open(t)
	u := upload{token: h.identity(), header: http.Header{"Connection": {"keep-alive, Upgrade", "HTTP2-Settings, TE"}, "Upgrade": {"h2c"}}}
	if a := h.publish(u); a.status != http.StatusOK {
		t.Errorf("what clients name in Connection: %d %s", a.status, a.body)
	}
}
