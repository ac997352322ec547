package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// unnamed is what a file's name does without.
var unnamed = regexp.MustCompile(`[^a-z0-9]+`)

// profile takes profiles of a side of Caddy while it works on a row: its processor time, and then all that it has allocated. The
// error comes when they are through.
func (r *rig) profile(ctx context.Context, row string, s *side) <-chan error {
	through := make(chan error, 1)
	if r.opts.profiles == "" || s.admin == "" {
		through <- nil
		return through
	}
	name := filepath.Join(r.opts.profiles, unnamed.ReplaceAllString(row, "-")+"."+unnamed.ReplaceAllString(s.name, "-"))
	seconds := max(1, int(r.opts.duration/time.Second))
	go func() {
		through <- errors.Join(
			s.download(ctx, fmt.Sprintf("profile?seconds=%d", seconds), name+".profile"),
			s.download(ctx, "allocs", name+".allocs"),
		)
	}()
	return through
}

// download keeps what Caddy's admin API has under /debug/pprof.
func (s *side) download(ctx context.Context, what, name string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/debug/pprof/"+what, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("profile of %s: %w", s.name, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("profile of %s: got %s, expected 200", s.name, res.Status)
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, res.Body)
	return errors.Join(err, f.Close())
}
