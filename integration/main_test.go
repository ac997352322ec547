package integration

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trustpub/trustpub/integration/gateway"
	"github.com/trustpub/trustpub/integration/registry"
	"github.com/trustpub/trustpub/integration/toolbox"
	"github.com/trustpub/trustpub/internal/demo/issuer"
)

var update = flag.Bool("update", false, "write the goldens of what clients print")

// shared is what all tests of one run use together. Tests keep apart by an index of devpi, a pypiserver, a gateway and a
// job of their own.
var shared struct {
	dir     string
	program string
	pki     *gateway.PKI
	issuer  *issuer.Server

	devpi func() (*registry.Devpi, error)
	gitea func() (*registry.Gitea, error)
}

// dependencies tells the go command what the results depend on, beside the test's own sources: the gateway is built by the
// run, so that a result would else be taken from the cache although the gateway has changed. The command notices which files
// a test looks at.
var dependencies = sync.OnceValue(func() error {
	return filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() != ".." && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		_, err = os.Stat(path)
		return err
	})
})

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("-short: the integration tests need servers and clients, and none was run")
		return
	}
	began := time.Now()
	if !given("test.parallel") { // tests wait for servers and clients more than they compute
		_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	}
	code, err := run(m)
	if err != nil {
		fmt.Println("integration tests:", err)
		code = 1
	}
	fmt.Printf("integration tests took %s\n", time.Since(began).Round(time.Second))
	os.Exit(code)
}

// given is true for a flag of the command line.
func given(name string) (is bool) {
	flag.Visit(func(f *flag.Flag) { is = is || f.Name == name })
	return is
}

// run prepares everything that can be missing before the first test, so that the run says what is missing and ends. With -run, each
// test installs what it needs when it comes to it.
func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	if !given("test.run") {
		if err := toolbox.InstallAll(ctx); err != nil {
			return 1, err
		}
	}
	if shared.program, err = gateway.Build(ctx); err != nil {
		return 1, err
	}
	if shared.dir, err = os.MkdirTemp("", "trustpub-integration-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(shared.dir)
	if shared.pki, err = gateway.NewPKI(shared.dir); err != nil {
		return 1, err
	}
	if shared.issuer, err = issuer.Start(issuer.Options{}); err != nil {
		return 1, err
	}
	defer shared.issuer.Close()
	started := false
	shared.devpi = sync.OnceValues(func() (*registry.Devpi, error) {
		d, err := registry.StartDevpi(ctx, filepath.Join(shared.dir, "devpi"))
		started = err == nil
		return d, err
	})
	defer func() {
		if !started {
			return
		}
		if d, err := shared.devpi(); err == nil {
			d.Stop()
		}
	}()
	giteaStarted := false
	shared.gitea = sync.OnceValues(func() (*registry.Gitea, error) {
		g, err := registry.StartGitea(ctx, filepath.Join(shared.dir, "gitea"), giteaRoot)
		giteaStarted = err == nil
		return g, err
	})
	defer func() {
		if !giteaStarted {
			return
		}
		if g, err := shared.gitea(); err == nil {
			g.Stop()
		}
	}()
	return m.Run(), nil
}
