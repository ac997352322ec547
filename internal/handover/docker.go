package handover

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"path/filepath"
)

// DockerConfig is a configuration with a login of the registry's host, after the model of another; "": none.
func DockerConfig(g Grant, own string) (string, error) {
	config := map[string]any{}
	if own != "" {
		if err := json.Unmarshal([]byte(own), &config); err != nil {
			return "", errors.New("the user's own configuration is no JSON object")
		}
	}
	auths, ok := config["auths"].(map[string]any)
	if !ok {
		auths = map[string]any{}
	}
	auths[g.host()] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte("oidc:" + g.Token))}
	config["auths"] = auths
	// A store of all passwords would be asked in place of the file, and one of this host too.
	delete(config, "credsStore")
	if helpers, ok := config["credHelpers"].(map[string]any); ok {
		delete(helpers, g.host())
	}
	b, err := json.MarshalIndent(config, "", "\t")
	return string(b) + "\n", err
}

// docker is for all that read its configuration, or that of podman, as their logins. The folder of docker's holds plugins and contexts
// too, which stay where they are.
var docker = Client{
	Name: "docker", Programs: []string{"docker", "podman", "buildah", "skopeo", "crane", "helm", "oras", "ko", "regctl", "cosign", "nerdctl"}, Renews: true,
	Hand: func(g Grant, p Place, _ []string) (Handover, error) {
		home := p.Getenv("DOCKER_CONFIG")
		if home == "" {
			home = p.inHome(".docker")
		}
		own := p.own(join(home, "config.json"))
		config, err := DockerConfig(g, own)
		if err != nil {
			return Handover{}, err
		}
		auth, err := DockerConfig(g, p.own(p.Getenv("REGISTRY_AUTH_FILE"), join(p.Getenv("XDG_RUNTIME_DIR"), "containers/auth.json"), join(home, "config.json")))
		if err != nil {
			return Handover{}, err
		}
		h := Handover{
			Env: map[string]string{
				"DOCKER_CONFIG": p.file("docker"), "REGISTRY_AUTH_FILE": p.file("auth.json"), "HELM_REGISTRY_CONFIG": p.file("docker/config.json"),
			},
			Files: map[string]string{"docker/config.json": config, "auth.json": auth},
			Links: map[string]string{},
		}
		names, err := p.ReadDir(home)
		if err != nil {
			names = nil // most have no such folder
		}
		for _, name := range names {
			if name != "config.json" {
				h.Links["docker/"+name] = filepath.Join(home, name)
			}
		}
		return h, nil
	},
}
