package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// What CI jobs fetch and start, again and again.
const (
	maxSize  = 22 << 20
	maxStart = 30 * time.Millisecond
)

// TestSmallAndStatic builds the program as docs/cli.md says, and looks at its size, what it is linked with, and how long it takes to start.
func TestSmallAndStatic(t *testing.T) {
	program := filepath.Join(t.TempDir(), "trustpub")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxSize {
		t.Errorf("it has %d bytes, expected at most %d: see what it links with go list -deps ./cmd/trustpub", info.Size(), maxSize)
	}
	if runtime.GOOS == "linux" {
		f, err := elf.Open(program)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) != 0 {
			t.Errorf("it needs %v (%v), expected no library", libraries, err)
		}
	}
	// Its own time on the processor, and the best of many: what other programs of the machine do is not its fault.
	best := time.Hour
	for range 30 {
		cmd := exec.Command(program, "version")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		best = min(best, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	}
	if best > maxStart {
		t.Errorf("it takes %s of the processor to start, expected at most %s", best, maxStart)
	}
	t.Logf("%.1f MB, starts in %s", float64(info.Size())/1e6, best.Round(100*time.Microsecond))
}
