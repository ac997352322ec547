package ambient

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// githubPermissions are the lines of a workflow that let a job ask for tokens.
const githubPermissions = `permissions:
  id-token: write
  contents: read
`

// github asks the runner's endpoint. Forgejo's runners have the same one.
func github(j Job) *Source {
	return &Source{
		Name: "github", Where: "GitHub's token endpoint", Fresh: true, Chooses: true,
		token: func(ctx context.Context, audience string) (string, error) { return githubToken(ctx, j, audience) },
		paste: func(string) string { return githubPermissions },
	}
}

func githubToken(ctx context.Context, j Job, audience string) (string, error) {
	at, secret := j.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), j.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if at == "" || secret == "" {
		lacks := "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
		if at == "" {
			lacks = "ACTIONS_ID_TOKEN_REQUEST_URL"
		}
		return "", &Missing{
			Platform: "GitHub Actions", Lacks: lacks + " is not set: the job may not ask for identity tokens",
			Do: "Paste this into the job, beside runs-on (a pull request from a fork never gets it; a reusable workflow needs it from its caller; " +
				"on Forgejo write enable-openid-connect: true instead)", Paste: githubPermissions,
		}
	}
	separator := "&"
	if !strings.Contains(at, "?") {
		separator = "?"
	}
	status, body, err := ask(ctx, j, func(ctx context.Context) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at+separator+"audience="+url.QueryEscape(audience), nil)
		if err == nil {
			req.Header.Set("Authorization", "Bearer "+secret)
			req.Header.Set("Accept", "application/json")
		}
		return req, err
	})
	if err != nil {
		return "", failure("GitHub Actions", "the token endpoint can't be reached: %w", err)
	}
	var answer struct {
		Value string `json:"value"`
	}
	if status != http.StatusOK {
		return "", failure("GitHub Actions", "the token endpoint answered %d, expected 200: %s", status, oneLine(string(body)))
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Value == "" {
		return "", failure("GitHub Actions", "the token endpoint's answer has no value, expected {\"value\": \"...\"}")
	}
	return answer.Value, nil
}
