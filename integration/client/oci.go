package client

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
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

// Podman takes an image into a store of its own and pushes it with podman, which finds its password where trustpub exec has put it.
func (h Home) Podman(ctx context.Context, host, image string) (Result, error) {
	program, err := toolbox.Podman.Program(ctx)
	if err != nil {
		return Result{}, err
	}
	layer, err := tarOf("a layer that no other run has: " + rand.Text()) // others send a layer as it is; this one unpacks it
	if err != nil {
		return Result{}, err
	}
	layout, err := h.image(layer)
	if err != nil {
		return Result{}, err
	}
	config, err := h.podmanConfig(program)
	if err != nil {
		return Result{}, err
	}
	env := []string{"CONTAINERS_CONF=" + filepath.Join(config, "containers.conf"), "CONTAINERS_STORAGE_CONF=" + filepath.Join(config, "storage.conf")}
	policy := filepath.Join(config, "policy.json")
	// A whole path would become the image's name.
	got, err := h.alone().run(ctx, h.Dir, env, program, "pull", "--quiet", "--signature-policy", policy, "oci:"+filepath.Base(layout))
	if err != nil || got.Code != 0 {
		return got, err
	}
	id := strings.TrimSpace(got.Output)
	id = id[strings.LastIndexByte(id, '\n')+1:]
	return h.run(ctx, h.Dir, env, program, "push", "--cert-dir", filepath.Join(config, "certificates"), "--signature-policy", policy, id, "docker://"+host+"/"+image)
}

// podmanConfig writes what podman finds in /etc elsewhere.
func (h Home) podmanConfig(program string) (string, error) {
	ca, err := os.ReadFile(h.CA)
	if err != nil {
		return "", err
	}
	engine := "[engine]\nevents_logger = \"none\"\ncgroup_manager = \"cgroupfs\"\n"
	unpacked := filepath.Join(filepath.Dir(filepath.Dir(program)), "usr", "bin")
	if _, err := os.Stat(filepath.Join(unpacked, "conmon")); err == nil {
		engine += fmt.Sprintf("conmon_path = [%q]\nruntime = \"crun\"\n[engine.runtimes]\ncrun = [%q]\n", filepath.Join(unpacked, "conmon"), filepath.Join(unpacked, "crun"))
	}
	config := filepath.Join(h.Dir, "containers")
	for name, text := range map[string]string{
		"certificates/ca.crt": string(ca),
		"containers.conf":     engine,
		"policy.json":         `{"default": [{"type": "insecureAcceptAnything"}]}`,
		"storage.conf":        fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", filepath.Join(h.Dir, "images"), filepath.Join(h.Dir, "state")),
	} {
		path := filepath.Join(config, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			return "", err
		}
	}
	return config, nil
}

// tarOf is a tar with one file.
func tarOf(text string) (string, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Name: "file.txt", Mode: 0o644, Size: int64(len(text))})
	if err == nil {
		_, err = w.Write([]byte(text))
	}
	err = errors.Join(err, w.Close())
	return b.String(), err
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
