package toolbox

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"time"
)

// needed are the programs that nothing here installs.
var needed = []struct{ program, why string }{
	{"go", "the tests build their gateway and some registries and clients with it"},
	{"python3", "pypi's registries and clients run with it (Debian: python3, python3-venv)"},
	{"npm", "the tests publish with it, and install verdaccio, pnpm and yarn with it (Debian: npm)"},
	{"cargo", "the tests publish with it, and build registries with it (1.85 or later, with a C compiler)"},
	{"mvn", "the tests deploy with it (Debian: maven)"},
	{"keytool", "Maven's trust is made with it (Debian: default-jdk)"},
	{"git", "cargo's registries keep their index with it"},
	{"curl", "the tests publish with it too"},
	{"openssl", "nuget's trust is made with it, and a key for emergencies"},
}

// InstallAll makes sure that every tool is in the cache. What is missing on the machine is said first, in one error. Then the long
// builds start, those of go and of cargo side by side with what is only fetched: links and downloads leave processors idle.
func InstallAll(ctx context.Context) error {
	var missing []error
	for _, n := range needed {
		if _, err := exec.LookPath(n.program); err != nil {
			missing = append(missing, fmt.Errorf("%s is not on the PATH: %s", n.program, n.why))
		}
	}
	if err := errors.Join(missing...); err != nil {
		return err
	}
	began := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	failed := make(chan error, len(lanes()))
	for _, lane := range lanes() {
		all.Go(func() {
			for _, install := range lane {
				if err := install(ctx); err != nil {
					failed <- err
					cancel() // what the others have fetched and compiled is kept by their own caches
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		return err // the first; the rest were cancelled for it
	}
	if took := time.Since(began); took > time.Second {
		fmt.Printf("all tools of the tests are there after %s\n", took.Round(time.Second))
	}
	return nil
}

// lanes are the installations: those of one lane follow each other, the longest first.
func lanes() [][]func(context.Context) error {
	var golang, crates, fetched []func(context.Context) error
	for _, tool := range AllGolang() {
		golang = append(golang, func(ctx context.Context) error { return only(tool.Install(ctx)) })
	}
	for _, crate := range AllCrates() {
		crates = append(crates, func(ctx context.Context) error { return only(crate.Install(ctx)) })
	}
	crates = append(crates, func(ctx context.Context) error { return only(HexCall(ctx)) })
	for _, tool := range AllDebian() {
		fetched = append(fetched, func(ctx context.Context) error { return only(tool.Program(ctx)) })
	}
	for _, tool := range All() {
		fetched = append(fetched, func(ctx context.Context) error { return only(tool.Install(ctx)) })
	}
	for _, tool := range AllNode() {
		fetched = append(fetched, func(ctx context.Context) error { return only(tool.Install(ctx)) })
	}
	fetched = append(fetched, func(ctx context.Context) error { return only(SBT.Install(ctx)) })
	if HasDotnet {
		fetched = append(fetched, func(ctx context.Context) error { return only(Dotnet.Program(ctx)) })
	}
	return [][]func(context.Context) error{golang, crates, fetched}
}

func only(_ string, err error) error { return err }
