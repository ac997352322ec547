package ambient

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
)

// buildkiteClaims are the ids, which tell organizations and pipelines apart for good and come only where they are asked for; the gateway
// refuses a token without them.
const buildkiteClaims = "organization_id,pipeline_id"

// buildkite asks the agent, which needs no permission.
func buildkite(j Job) *Source {
	return &Source{
		Name: "buildkite", Where: "buildkite-agent", Fresh: true, Chooses: true,
		token: func(ctx context.Context, audience string) (string, error) {
			raw, err := j.Run(ctx, "buildkite-agent", "oidc", "request-token", "--audience", audience, "--claim", buildkiteClaims)
			if errors.Is(err, exec.ErrNotFound) {
				return "", &Missing{
					Platform: "Buildkite", Lacks: "buildkite-agent is not on the PATH, so that nobody can be asked for an identity token",
					Do: "Run this step outside a container, or let the docker plugin bring the agent in", Paste: buildkiteDocker,
				}
			}
			if err != nil {
				return "", failure("Buildkite", "buildkite-agent oidc request-token failed: %w", err)
			}
			return raw, nil
		},
		paste: func(audience string) string {
			return "buildkite-agent oidc request-token --audience " + audience + " --claim " + buildkiteClaims + "\n"
		},
	}
}

const buildkiteDocker = `plugins:
  - docker#v5.13.0:
      mount-buildkite-agent: true
`

// circleci asks the circleci program for the gateway's audience; without it the job's token has the organization's id as audience.
func circleci(j Job) *Source {
	s := &Source{Name: "circleci", Where: "circleci run oidc get", Fresh: true, Chooses: true}
	s.paste = func(audience string) string {
		return "context: release        # any context gives a job identity tokens\n# and in the Caddyfile, if the job has no circleci program: audience ORGANIZATION-ID, beside " + audience + "\n"
	}
	s.token = func(ctx context.Context, audience string) (string, error) {
		claims, err := json.Marshal(map[string]string{"aud": audience})
		if err != nil {
			return "", err
		}
		raw, err := j.Run(ctx, "circleci", "run", "oidc", "get", "--claims", string(claims), "--root-issuer")
		if err == nil {
			return raw, nil
		}
		if !errors.Is(err, exec.ErrNotFound) {
			return "", failure("CircleCI", "circleci run oidc get failed: %w", err)
		}
		if raw := j.Getenv("CIRCLE_OIDC_TOKEN_V2"); raw != "" {
			s.Where, s.Fresh, s.Chooses = "the variable CIRCLE_OIDC_TOKEN_V2", false, false
			return raw, nil
		}
		return "", &Missing{
			Platform: "CircleCI", Lacks: "circleci is not on the PATH and CIRCLE_OIDC_TOKEN_V2 is not set: a job without a context has no identity token",
			Do: "Give the job a context in the workflow", Paste: circleciContext,
		}
	}
	return s
}

const circleciContext = `workflows:
  release:
    jobs:
      - publish:
          context: release
`
