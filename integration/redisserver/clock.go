package redisserver

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// clockSource gives a program the wall clock that a file holds, in nanoseconds. It allocates nothing, since allocators ask for
// the time too. What runs is the monotonic clock, which stays.
const clockSource = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
	char text[32];
	const char *path = getenv("CLOCK_FILE");
	int fd = path ? open(path, O_RDONLY) : -1;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	long long value = 0;
	if (fd >= 0) close(fd);
	for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++) value = value * 10 + (text[i] - '0');
	return value;
}

int clock_gettime(clockid_t id, struct timespec *t) {
	if (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE) return syscall(SYS_clock_gettime, id, t);
	long long at = now();
	t->tv_sec = at / 1000000000;
	t->tv_nsec = at % 1000000000;
	return 0;
}

int gettimeofday(struct timeval *t, void *zone) {
	long long at = now();
	t->tv_sec = at / 1000000000;
	t->tv_usec = at % 1000000000 / 1000;
	return 0;
}

time_t time(time_t *t) {
	time_t at = now() / 1000000000;
	if (t) *t = at;
	return at;
}
`

// buildClock compiles the library into a folder.
func buildClock(ctx context.Context, dir string) (string, error) {
	source, library := filepath.Join(dir, "clock.c"), filepath.Join(dir, "clock.so")
	if err := os.WriteFile(source, []byte(clockSource), 0o600); err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, "cc", "-shared", "-fPIC", "-O1", "-w", "-o", library, source).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cc, for a clock that a test can move: %w\n%s", err, out)
	}
	return library, nil
}

func (s *Server) clockFile() string { return filepath.Join(s.opts.Dir, "clock") }

// SetTime moves a frozen clock.
func (s *Server) SetTime(now time.Time) error {
	tmp := s.clockFile() + ".new"
	if err := os.WriteFile(tmp, fmt.Appendf(nil, "%d\n", now.UnixNano()), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, s.clockFile())
}
