package caddymodule

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/demo/issuer"
)

// Of the "handle" blocks of a site one has its turn for each request. Where the gateway asks the registry whether a file is there,
// that question must not be the turn of the file.
func TestHandleBlocks(t *testing.T) {
	issuer, err := issuer.Start(issuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = issuer.Close() })
	var mu sync.Mutex
	var asked []string
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.URL.Path)
		w.WriteHeader(map[string]int{http.MethodHead: http.StatusNotFound, http.MethodPut: http.StatusCreated}[r.Method])
	})
	text := r.caddyfile("", "layout /{package}/{version}/{file}", "")
	const path = "/files/acme-widget/1.0/widget.tar.gz"
	upstream := strings.TrimPrefix(r.upstream.URL, "http://")
	old := regexp.MustCompile(`internal-pypi pypi (\S+)`).FindString(text)
	for _, edit := range [][2]string{
		{"issuer github", "issuer github " + issuer.URL()},
		{old, "internal-pypi generic http://" + r.addr + "/files/"},
		{"reverse_proxy " + upstream, "handle /files/* {\nreverse_proxy " + upstream + "\n}\nhandle {\nrespond 404\n}"},
	} {
		text = strings.Replace(text, edit[0], edit[1], 1)
	}
	r.mustLoad(text)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+r.addr+path, strings.NewReader("widget"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+issuer.Token(r.addr, nil))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if resp.StatusCode != http.StatusCreated {
		t.Errorf("got %s, expected 201", resp.Status)
	}
	if diff := cmp.Diff([]string{"HEAD " + path, "PUT " + path}, asked); diff != "" {
		t.Errorf("the registry was asked (-want +got):\n%s", diff)
	}
}
