package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trustpub/trustpub/integration/toolbox"
)

// csproj is a project that packs one file and compiles nothing.
const csproj = `<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <TargetFramework>netcoreapp3.1</TargetFramework>
    <PackageId>%s</PackageId>
    <Version>%s</Version>
    <IncludeBuildOutput>false</IncludeBuildOutput>
  </PropertyGroup>
  <ItemGroup>%s</ItemGroup>
</Project>
`

// nugetConfig knows one source and no other. The name is what trustpub exec calls the registry.
const nugetConfig = `<configuration>
  <packageSources>
    <clear />%s
  </packageSources>
</configuration>
`

// DotnetPush packs a package and pushes it to the source as docs/clients/exec.md says, with the key that trustpub exec brings.
func (h Home) DotnetPush(ctx context.Context, source, url, id, version string) (Result, error) {
	content := `<Content Include="content.txt" Pack="true" PackagePath="content" />`
	if err := h.dotnetProject(id, version, content, fmt.Sprintf("\n    <add key=%q value=%q />", source, url)); err != nil {
		return Result{}, err
	}
	for _, args := range [][]string{{"restore", "--source", h.Dir}, {"pack", "--no-build", "--output", "."}} { // from no registry
		got, err := h.alone().dotnet(ctx, args...)
		if err == nil && got.Code != 0 {
			err = fmt.Errorf("dotnet %s: exit status %d\n%s", args[0], got.Code, got.Output)
		}
		if err != nil {
			return Result{}, err
		}
	}
	if h.Carrier != nil {
		carrier := *h.Carrier
		carrier.For, carrier.Before = "nuget", []string{"sh", "-c", `exec "$@" --api-key "$NUGET_API_KEY"`, "sh"}
		h.Carrier = &carrier
	}
	return h.dotnet(ctx, "nuget", "push", id+"."+version+".nupkg", "--source", source)
}

// DotnetRestore restores a project that needs a package of the source.
func (h Home) DotnetRestore(ctx context.Context, source, url, id, version string) (Result, error) {
	needs := fmt.Sprintf(`<PackageReference Include=%q Version=%q />`, id, version)
	if err := h.dotnetProject("shop", "0.0.1", needs, fmt.Sprintf("\n    <add key=%q value=%q />", source, url)); err != nil {
		return Result{}, err
	}
	return h.dotnet(ctx, "restore", "--packages", filepath.Join(h.Dir, "packages"))
}

// dotnetProject writes a project and the sources that it knows.
func (h Home) dotnetProject(id, version, items, sources string) error {
	project := filepath.Join(h.Dir, "project")
	if err := os.MkdirAll(project, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"project.csproj": fmt.Sprintf(csproj, id, version, items), "content.txt": "content of " + rand.Text() + "\n", "nuget.config": fmt.Sprintf(nugetConfig, sources),
	} {
		if err := os.WriteFile(filepath.Join(project, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (h Home) dotnet(ctx context.Context, args ...string) (Result, error) {
	program, err := toolbox.Dotnet.Program(ctx)
	if err != nil {
		return Result{}, err
	}
	return h.run(ctx, filepath.Join(h.Dir, "project"), []string{"SSL_CERT_FILE=" + h.CA}, program, args...)
}
