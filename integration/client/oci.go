package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/trustpub/trustpub/integration/toolbox"
	"github.com/trustpub/trustpub/internal/demo/oci"
	"github.com/trustpub/trustpub/internal/demo/script"
)

// Crane logs in with a password and pushes an image with crane.
func (h Home) Crane(ctx context.Context, host, password, image string) (Result, error) {
	program, err := toolbox.Crane.Program(ctx)
	if err != nil {
		return Result{}, err
	}
	layout, err := h.image("a layer that no other run has: " + rand.Text())
	if err != nil {
		return Result{}, err
	}
	env := []string{"SSL_CERT_FILE=" + h.CA}
	if password != "" {
		if got, err := h.run(ctx, h.Dir, env, program, "auth", "login", host, "-u", "oidc", "-p", password); err != nil || got.Code != 0 {
			return got, err
		}
	}
	return h.run(ctx, h.Dir, env, program, "push", layout, host+"/"+image)
}

// CraneRun runs another command of crane's with a password.
func (h Home) CraneRun(ctx context.Context, host, password string, args ...string) (Result, error) {
	program, err := toolbox.Crane.Program(ctx)
	if err != nil {
		return Result{}, err
	}
	env := []string{"SSL_CERT_FILE=" + h.CA}
	if got, err := h.run(ctx, h.Dir, env, program, "auth", "login", host, "-u", "oidc", "-p", password); err != nil || got.Code != 0 {
		return got, err
	}
	return h.run(ctx, h.Dir, env, program, args...)
}

// Skopeo copies an image with skopeo, whose password is that of the copy.
func (h Home) Skopeo(ctx context.Context, host, password, image string) (Result, error) {
	program, err := toolbox.Skopeo.Program(ctx)
	if err != nil {
		return Result{}, err
	}
	layout, err := h.image("a layer that no other run has: " + rand.Text())
	if err != nil {
		return Result{}, err
	}
	certificates := filepath.Join(h.Dir, "certificates")
	ca, err := os.ReadFile(h.CA)
	if err == nil {
		err = os.MkdirAll(certificates, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(certificates, "ca.crt"), ca, 0o600)
	}
	if err != nil {
		return Result{}, err
	}
	args := []string{"--insecure-policy", "copy", "--quiet", "--retry-times", "0", "--dest-cert-dir", certificates}
	if password != "" {
		args = append(args, "--dest-creds", "oidc:"+password)
	}
	return h.run(ctx, h.Dir, nil, program, append(args, "oci:"+layout, "docker://"+host+"/"+image)...)
}

// Oras logs in with a password and pushes a file with oras.
func (h Home) Oras(ctx context.Context, host, password, image string) (Result, error) {
	program, err := toolbox.Oras.Program(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := os.WriteFile(filepath.Join(h.Dir, "artifact.txt"), []byte("artifact of "+image+"\n"), 0o600); err != nil {
		return Result{}, err
	}
	env := []string{"SSL_CERT_FILE=" + h.CA}
	if password != "" {
		if got, err := h.run(ctx, h.Dir, env, program, "login", "--plain-http=false", host, "-u", "oidc", "-p", password); err != nil || got.Code != 0 {
			return got, err
		}
	}
	return h.run(ctx, h.Dir, env, program, "push", "--no-tty", "--plain-http=false", host+"/"+image, "artifact.txt:text/plain")
}

// RegctlChunk is how many bytes regctl sends at a time, and how much of an artifact it has.
const (
	RegctlChunk    = 64 << 10
	RegctlArtifact = 5*RegctlChunk - 100
)

// Regctl logs in with a password and pushes an artifact with regctl, in parts that say where they belong.
func (h Home) Regctl(ctx context.Context, host, password, image string) (Result, error) {
	program, err := toolbox.Regctl.Program(ctx)
	if err != nil {
		return Result{}, err
	}
	ca, err := os.ReadFile(h.CA)
	if err != nil {
		return Result{}, err
	}
	text := strings.Repeat("artifact of "+image+" "+rand.Text()+"\n", RegctlArtifact)[:RegctlArtifact]
	if err := os.WriteFile(filepath.Join(h.Dir, "artifact.txt"), []byte(text), 0o600); err != nil {
		return Result{}, err
	}
	chunk := strconv.Itoa(RegctlChunk)
	for _, args := range [][]string{
		{"registry", "set", host, "--cacert", string(ca), "--blob-chunk", chunk, "--blob-max", chunk, "--skip-check"},
		{"registry", "login", host, "-u", "oidc", "-p", password},
	} {
		if got, err := h.run(ctx, h.Dir, nil, program, args...); err != nil || got.Code != 0 {
			return got, err
		}
	}
	return h.run(ctx, h.Dir, nil, program, "artifact", "put", "--artifact-type", "application/vnd.example", "--file", "artifact.txt", host+"/"+image)
}

// chart is the least chart that helm packages.
const chart = "apiVersion: v2\nname: %s\nversion: %s\n"

// Helm logs in with a password, and packages and pushes a chart with helm.
func (h Home) Helm(ctx context.Context, host, password, folder, name, version string) (Result, error) {
	program, err := toolbox.Helm.Program(ctx)
	if err != nil {
		return Result{}, err
	}
	source := filepath.Join(h.Dir, name)
	if err := os.MkdirAll(source, 0o755); err != nil {
		return Result{}, err
	}
	if err := os.WriteFile(filepath.Join(source, "Chart.yaml"), fmt.Appendf(nil, chart, name, version), 0o600); err != nil {
		return Result{}, err
	}
	env := []string{"SSL_CERT_FILE=" + h.CA}
	prepare := [][]string{{"package", source}}
	if password != "" {
		prepare = append(prepare, []string{"registry", "login", host, "-u", "oidc", "-p", password})
	}
	for _, args := range prepare {
		if got, err := h.alone().run(ctx, h.Dir, env, program, args...); err != nil || got.Code != 0 {
			return got, err
		}
	}
	return h.run(ctx, h.Dir, env, program, "push", name+"-"+version+".tgz", "oci://"+host+"/"+folder)
}

// image writes an image as an OCI layout.
func (h Home) image(text string) (string, error) {
	i, err := oci.NewImage([]byte(text))
	if err != nil {
		return "", err
	}
	layout := filepath.Join(h.Dir, "layout")
	return layout, script.WriteFiles(layout, i.Layout()...)
}
