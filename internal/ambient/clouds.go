package ambient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

const bitbucketStep = `- step:
    oidc:
      audiences: [%s]
    script: [...]
`

// bitbucket reads the step's variable; its audiences are the step's own.
func bitbucket(j Job) *Source {
	const name = "BITBUCKET_STEP_OIDC_TOKEN"
	s := &Source{Name: "bitbucket", Where: "the variable " + name}
	s.paste = func(audience string) string { return fmt.Sprintf(bitbucketStep, audience) }
	s.token = func(_ context.Context, audience string) (string, error) {
		if raw := j.Getenv(name); raw != "" {
			return raw, nil
		}
		return "", &Missing{
			Platform: "Bitbucket Pipelines", Lacks: name + " is not set: the step may not have an identity token",
			Do: "Paste this into the step", Paste: s.paste(audience),
		}
	}
	return s
}

// semaphore reads the job's variable, which every job has.
func semaphore(j Job) *Source {
	return fixed(j, "semaphore", "SEMAPHORE_OIDC_TOKEN", "Semaphore",
		"Every job of a plan with OpenID Connect has it; if this runs in a container of yours, hand the variable in. The gateway's registry needs the organization's URL as audience",
		"audience https://ORGANIZATION.semaphoreci.com    # in the registry's block of the Caddyfile\n")
}

const azureStep = `- script: trustpub exec ...
  env:
    SYSTEM_ACCESSTOKEN: $(System.AccessToken)
`

// azure asks the pipeline's endpoint. The audience is Microsoft's, whoever asks.
func azure(j Job) *Source {
	return &Source{
		Name: "azure-devops", Where: "Azure Pipelines' token endpoint", Fresh: true,
		token: func(ctx context.Context, _ string) (string, error) { return azureToken(ctx, j) },
		paste: func(string) string {
			return "audience api://AzureADTokenExchange    # in the registry's block of the Caddyfile: Azure's tokens have no other\n"
		},
	}
}

func azureToken(ctx context.Context, j Job) (string, error) {
	at, secret := j.Getenv("SYSTEM_OIDCREQUESTURI"), j.Getenv("SYSTEM_ACCESSTOKEN")
	switch {
	case at == "":
		return "", &Missing{
			Platform: "Azure Pipelines", Lacks: "SYSTEM_OIDCREQUESTURI is not set: this agent gives no identity tokens",
			Do: "Use an agent of version 3.232 or later, and run this in a job of the agent, not in a container without its variables",
		}
	case secret == "":
		return "", &Missing{
			Platform: "Azure Pipelines", Lacks: "SYSTEM_ACCESSTOKEN is not set: a step gets it only when it asks",
			Do: "Paste this into the step", Paste: azureStep,
		}
	}
	separator := "?"
	if strings.Contains(at, "?") {
		separator = "&"
	}
	status, body, err := ask(ctx, j, func(ctx context.Context) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, at+separator+"api-version=7.1", http.NoBody)
		if err == nil {
			req.Header.Set("Authorization", "Bearer "+secret)
			req.Header.Set("Content-Type", "application/json")
		}
		return req, err
	})
	var answer struct {
		Token string `json:"oidcToken"`
	}
	switch {
	case err != nil:
		return "", failure("Azure Pipelines", "the token endpoint can't be reached: %w", err)
	case status != http.StatusOK:
		return "", failure("Azure Pipelines", "the token endpoint answered %d, expected 200: %s", status, oneLine(string(body)))
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" {
		return "", failure("Azure Pipelines", "the token endpoint's answer has no oidcToken")
	}
	return answer.Token, nil
}

// metadataHost is where Google's machines answer questions about themselves, unless GCE_METADATA_HOST says otherwise.
const metadataHost = "metadata.google.internal"

// onGoogle is true on a machine of Google's, in Cloud Run and in Cloud Build.
func onGoogle(j Job) bool {
	if j.Getenv("GCE_METADATA_HOST") != "" || j.Getenv("K_SERVICE") != "" || j.Getenv("CLOUD_RUN_JOB") != "" || j.Getenv("BUILDER_OUTPUT") != "" {
		return true
	}
	product, err := j.ReadFile("/sys/class/dmi/id/product_name")
	return err == nil && strings.HasPrefix(strings.TrimSpace(string(product)), "Google")
}

// google asks the metadata server for a token of the machine's service account.
func google(j Job) *Source {
	return &Source{
		Name: "google", Where: "Google's metadata server", Fresh: true, Chooses: true,
		token: func(ctx context.Context, audience string) (string, error) { return googleToken(ctx, j, audience) },
		paste: func(string) string {
			return "gcloud builds submit --service-account=projects/PROJECT/serviceAccounts/publisher@PROJECT.iam.gserviceaccount.com\n"
		},
	}
}

func googleToken(ctx context.Context, j Job, audience string) (string, error) {
	host := j.Getenv("GCE_METADATA_HOST")
	if host == "" {
		host = metadataHost
	}
	status, body, err := ask(ctx, j, func(ctx context.Context) (*http.Request, error) {
		at := "http://" + host + "/computeMetadata/v1/instance/service-accounts/default/identity?format=full&audience=" + url.QueryEscape(audience)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err == nil {
			req.Header.Set("Metadata-Flavor", "Google")
		}
		return req, err
	})
	switch {
	case err != nil:
		return "", failure("Google", "the metadata server can't be reached: %w", err)
	case status == http.StatusNotFound:
		return "", &Missing{
			Platform: "Google", Lacks: "the machine has no service account, so that the metadata server gives no identity token",
			Do: "Give the machine or the build one, and name its unique id in the policy",
		}
	case status != http.StatusOK:
		return "", failure("Google", "the metadata server answered %d, expected 200: %s", status, oneLine(string(body)))
	}
	return string(body), nil
}

// projected is where the volume of the pasted lines puts the token. The default token of a service account is never taken: it is
// meant for the cluster's API alone.
const projected = "/var/run/secrets/trustpub/token"

const kubernetesVolume = `volumes:
  - name: trustpub
    projected:
      sources:
        - serviceAccountToken: {path: token, audience: %s, expirationSeconds: 600}
# and in the container:
volumeMounts:
  - {name: trustpub, mountPath: /var/run/secrets/trustpub, readOnly: true}
`

// kubernetes reads a projected token, which the kubelet renews.
func kubernetes(j Job) *Source {
	s := file(j, projected)
	s.Name = "kubernetes"
	s.paste = func(audience string) string { return fmt.Sprintf(kubernetesVolume, audience) }
	read := s.token
	s.token = func(ctx context.Context, audience string) (string, error) {
		raw, err := read(ctx, audience)
		if err != nil {
			return "", &Missing{
				Platform: "Kubernetes", Lacks: projected + " can't be read: the pod has no token for the gateway",
				Do: "Project one into the pod, or put the path of yours into " + envFile, Paste: s.paste(audience),
			}
		}
		return raw, nil
	}
	return s
}
