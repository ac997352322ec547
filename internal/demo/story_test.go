package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/demo/script"
)

var update = flag.Bool("update", false, "write the golden files")

// changing is what differs from run to run, and what stands for it.
var changing = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`[^\s=(]*trustpub-demo-\d+`), "<DIR>"},
	{regexp.MustCompile(`(127\.0\.0\.1|localhost)(:|%3A)\d+`), "$1$2<PORT>"},
	{regexp.MustCompile(`(?m)^     \| (?:\d\d:\d\d:\d\d|\{"v":).*\n`), ""}, // outcomes are written when they are known
	{regexp.MustCompile(`\d+ lines`), "<N> lines"},
	{regexp.MustCompile(`\d+ bytes, sha256 [0-9a-f]+`), "<N> bytes, sha256 <HEX>"}, // as compressed by this version of Go
	{regexp.MustCompile(`sha512-[0-9A-Za-z+/]+=*`), "sha512-<BASE64>"},
	{regexp.MustCompile(`at byte \d+`), "at byte <N>"},
	{regexp.MustCompile(`[0-9a-f]{20,}`), "<HEX>"},
	{regexp.MustCompile(`(\S)   +`), "$1  "},
	{regexp.MustCompile(`(?m)^(  <DIR>/\S+) +`), "$1  "}, // one blank where the folder's name is long
}

// TestStory tells each ecosystem's whole story to a golden file.
func TestStory(t *testing.T) {
	for _, s := range scripts {
		t.Run(s.Ecosystem, func(t *testing.T) {
			t.Parallel()
			w := &syncWriter{text: "Ctrl-C stops everything", seen: make(chan struct{})}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() {
				done <- Run(ctx, Options{Out: w, Ecosystem: s.Ecosystem, StartGateway: startPlain(t), Explain: explainPlainly})
			}()
			select {
			case <-w.seen:
				cancel()
			case err := <-done:
				t.Fatalf("it ended by itself: %v\n%s", err, w.b.String())
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			got := w.b.String()
			for _, c := range changing {
				got = c.pattern.ReplaceAllString(got, c.with)
			}
			golden(t, filepath.Join("testdata", s.Ecosystem+".golden"), got)
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", path, diff)
	}
}

func TestUnknownEcosystem(t *testing.T) {
	for _, tc := range []struct {
		ecosystem string
		check     bool
		want      string
	}{
		{"conda", true, `ecosystem is "conda", expected one of pypi, npm`},
		{"all", false, `ecosystem is "all", which is for a check`},
	} {
		err := Run(t.Context(), Options{Out: io.Discard, Ecosystem: tc.ecosystem, Check: tc.check, StartGateway: startPlain(t), Explain: explainPlainly})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, expected %s", err, tc.want)
		}
	}
}

// cutting sends bodies without their last byte and then breaks the connection.
type cutting struct{ next http.RoundTripper }

var errCut = errors.New("cut")

func (c cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		r = r.Clone(r.Context())
		r.ContentLength = -1
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)-1]), broken{}))
	}
	return c.next.RoundTrip(r)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errCut }

// TestStores: an embedded registry keeps what came whole with its credential, and nothing else.
func TestStores(t *testing.T) {
	for _, s := range scripts {
		if s.Source != "static" {
			continue // whose credential is not one that a client could send
		}
		t.Run(s.Ecosystem, func(t *testing.T) {
			t.Parallel()
			store, err := s.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(store)
			t.Cleanup(server.Close)
			p, err := s.Build(s.Package, script.FirstVersion)
			if err != nil {
				t.Fatal(err)
			}
			publish := func(login script.Login, transport http.RoundTripper) error {
				c := &script.Client{HTTP: &http.Client{Transport: transport}, Root: server.URL, Public: server.URL + s.Path}
				return s.Publish(t.Context(), c, login, p)
			}
			holds := func(something bool) {
				t.Helper()
				err := eventually(t.Context(), func() error { // what a cut upload left is removed when that is noticed
					have, err := store.Stored()
					if err == nil && (len(have) > 0) != something {
						err = fmt.Errorf("it holds %q", have)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
			good := script.Login{User: store.User, Password: store.Secret}
			for name, login := range map[string]script.Login{
				"no password": {User: store.User}, "another password": {User: store.User, Password: fmt.Sprintf("%x", sha256.Sum256([]byte(store.Secret)))},
			} {
				var refused *script.Refused
				if err := publish(login, http.DefaultTransport); !errors.As(err, &refused) || refused.Code != http.StatusUnauthorized {
					t.Errorf("%s: got %v, expected 401", name, err)
				}
			}
			holds(false)
			if err := publish(good, cutting{http.DefaultTransport}); err == nil {
				t.Error("a body that was cut is taken")
			}
			holds(false)
			if err := publish(good, http.DefaultTransport); err != nil {
				t.Error(err)
			}
			holds(true)
		})
	}
}
