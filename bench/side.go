package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/trustpub/trustpub/internal/loopback"
)

// side is one proxy that is compared.
type side struct {
	name  string
	addr  string
	admin string // the address of Caddy's admin API; "off" or empty: there is none
	cmd   *exec.Cmd
	out   bytes.Buffer
	began time.Time
	took  time.Duration // until it served
}

// startSide runs a proxy that listens on addr, and waits until it serves.
func startSide(ctx context.Context, name, addr, dir, program string, args ...string) (*side, error) {
	s := &side{name: name, addr: addr, began: time.Now()}
	s.cmd = exec.CommandContext(ctx, program, args...) //nolint:gosec // one that was built or looked up
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = dir, &s.out, &s.out
	s.cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its processor time is that of the group
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 1500 {
		select {
		case err := <-ended:
			return nil, fmt.Errorf("%s ended at once: %w\n%s", name, err, s.out.String())
		case <-tick.C:
			if serves(ctx, addr) {
				s.took = time.Since(s.began)
				return s, nil
			}
		}
	}
	s.stop()
	return nil, fmt.Errorf("%s does not serve on %s after 30 s", name, addr)
}

// serves is true where something answers, and does not say that it is still starting.
func serves(ctx context.Context, addr string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return res.Body.Close() == nil && res.StatusCode != http.StatusServiceUnavailable
}

func (s *side) stop() { _ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) }

// processor is the processor time that the side has used.
func (s *side) processor() (time.Duration, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	found, sum := false, time.Duration(0)
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		group, used, err := parseStat(string(text))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		if group == s.cmd.Process.Pid {
			found, sum = true, sum+used
		}
	}
	if !found {
		return 0, fmt.Errorf("%s has ended:\n%s", s.name, s.out.String())
	}
	return sum, nil
}

// tick is the unit of /proc/PID/stat, which is the same on every platform.
const tick = 10 * time.Millisecond

// parseStat reads the process group and the processor time of a line of /proc/PID/stat.
func parseStat(line string) (group int, used time.Duration, err error) {
	_, rest, ok := strings.Cut(line, ") ") // a program's name may hold blanks, and no other field has a parenthesis
	if at := strings.LastIndex(line, ") "); ok {
		rest = line[at+2:]
	}
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, 0, errors.New("got another form than that of proc_pid_stat(5)")
	}
	if group, err = strconv.Atoi(fields[2]); err != nil {
		return 0, 0, fmt.Errorf("process group: %w", err)
	}
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("processor time: %w", err)
		}
		used += time.Duration(n) * tick
	}
	return group, used, nil
}

// memory is the resident memory of the side and the most that it was since the last forget, in bytes.
func (s *side) memory() (now, peak int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	return parseStatus(string(text))
}

// forget makes the most that the memory was what it is now.
func (s *side) forget() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.cmd.Process.Pid), []byte("5"), 0)
}

func parseStatus(text string) (now, peak int64, err error) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		var into *int64
		switch name {
		case "VmRSS":
			into = &now
		case "VmHWM":
			into = &peak
		default:
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w", name, err)
		}
		*into = kilobytes << 10
	}
	if now == 0 || peak == 0 {
		return 0, 0, errors.New("got no VmRSS and VmHWM")
	}
	return now, peak, nil
}

// freeAddr is a host and port that are nobody else's as long as this process runs.
func freeAddr() (string, error) {
	held, err := loopback.Hold()
	if err != nil {
		return "", err
	}
	return held.Addr(), nil
}
