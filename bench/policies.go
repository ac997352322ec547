package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/trustpub/trustpub/internal/demo/issuer"
)

const (
	// undigestedSuffix ends the name of the program that computes no digest.
	undigestedSuffix = "-undigested"
	// keyFile holds the issuer's public key in PEM.
	keyFile = "issuer.pem"
)

// needs is true where a row is measured whose name has that text.
func (r *rig) needs(text string) bool {
	return slices.ContainsFunc(rows, func(w row) bool { return strings.Contains(w.name, text) && r.opts.rows.MatchString(w.name) })
}

// caddies are the sides of Caddy that the rows need.
func (r *rig) caddies() []string {
	names := []string{gateway, plain, durable}
	if r.needs(undigestedRows) {
		names = append(names, undigested)
	}
	if r.needs(crowdedRows) {
		names = append(names, crowded)
	}
	return names
}

// build builds cmd/caddy, and where a row needs it the one without digests.
func (r *rig) build(ctx context.Context, project string) error {
	builds := [][]string{{"build", "-o", r.program, "./cmd/caddy"}}
	if r.needs(undigestedRows) {
		builds = append(builds, []string{"build", "-tags", "undigested", "-o", r.program + undigestedSuffix, "./cmd/caddy"})
	}
	for _, args := range builds {
		fmt.Fprintln(os.Stderr, "go", strings.Join(args, " "))
		build := exec.CommandContext(ctx, "go", args...) //nolint:gosec // of this project
		build.Dir = project
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go build ./cmd/caddy: %w\n%s", err, out)
		}
	}
	return nil
}

// writeKey writes the issuer's public key for a proxy that verifies tokens with it.
func (r *rig) writeKey() error {
	key, err := x509.MarshalPKIXPublicKey(r.issuer.PublicKey(issuer.RS256))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.dir, keyFile), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: key}), 0o600)
}

// writePolicies writes 100,000 policies in a hundred files; one of them is that of the other sides.
func (r *rig) writePolicies() error {
	const files, each = 100, 1000
	r.policies = filepath.Join(r.dir, "policies")
	if err := os.Mkdir(r.policies, 0o700); err != nil {
		return err
	}
	for file := range files {
		var b strings.Builder
		b.WriteString(policy)
		if file > 0 {
			b.Reset()
			b.WriteString("policies:\n")
		}
		for i := range each - 1 {
			fmt.Fprintf(&b, "  - name: other-%[1]d-%[2]d\n    registry: [index, modules]\n    packages: [other-%[1]d-%[2]d]\n    publisher:\n"+
				"      github:\n        repository: acme/other-%[1]d-%[2]d\n        repository_owner_id: \"222\"\n        workflow: release.yml\n", file, i)
		}
		if err := os.WriteFile(r.policyFile(file), []byte(b.String()), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) policyFile(n int) string { return filepath.Join(r.policies, fmt.Sprintf("%03d.yaml", n)) }

// started is how long a side took from its start until it served.
func started(_ context.Context, _ *rig, s *side) (outcome, error) {
	return outcome{value: s.took.Seconds()}, nil
}

// slowest is how long the slowest of many reads takes, one after the other, while policies are edited and loaded twice, or not.
func slowest(loading bool) work {
	return func(ctx context.Context, r *rig, s *side) (outcome, error) {
		conn, err := dial(ctx, s.addr)
		if err != nil {
			return outcome{}, err
		}
		defer func() { _ = conn.Close() }()
		in, one, worst := bufio.NewReader(conn), r.read(s, r.token(s)), time.Duration(0)
		edits := 0
		for began := time.Now(); time.Since(began) < 3*time.Second; {
			if at := time.Duration(edits) * 1500 * time.Millisecond; loading && time.Since(began) >= at {
				if err := edit(r.policyFile(1)); err != nil {
					return outcome{}, err
				}
				edits++
			}
			asked := time.Now()
			if _, err := conn.Write(one); err != nil {
				return outcome{}, err
			}
			if open, err := answered(in, http.StatusOK); err != nil || !open {
				return outcome{}, errors.Join(err, errors.New("the connection ended, or an answer was wrong, while policies were loaded"))
			}
			worst = max(worst, time.Since(asked))
		}
		return outcome{value: float64(worst) / float64(time.Millisecond)}, nil
	}
}

// revision is a comment that edit changes.
var revision = regexp.MustCompile(`(?m)^# revision .*$`)

// edit changes a file, so that it is loaded again.
func edit(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	now := fmt.Sprintf("# revision %d", time.Now().UnixNano())
	if revision.Match(text) {
		text = revision.ReplaceAll(text, []byte(now))
	} else {
		text = append([]byte(now+"\n"), text...)
	}
	return os.WriteFile(name, text, 0o600)
}
