package artifactory

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/credential"
	"github.com/trustpub/trustpub/internal/model"
)

// maxScope is what the platform takes, in bytes.
const maxScope = 500

// place says where in Artifactory the files of a package are.
type place struct {
	ecosystem string
	// repository is the key of a repository; empty: the first part of a container's name.
	repository string
	// path is a pattern of the paths in it, with placeholders.
	path string
}

// apis are the names of the package types in URLs below /artifactory/api/.
var apis = map[string][]string{
	"pypi": {"pypi"}, "npm": {"npm"}, "cargo": {"cargo"}, "rubygems": {"gems"}, "nuget": {"nuget"}, "generic": {"go", "helm", "conan"},
}

// paths are where Artifactory puts the files of a package, as far as its name tells; `?` is any one character, `**` any path. A
// package of Python is stored under the name as its author writes it, of which policies and this see the normal form only.
var paths = map[string]string{
	"pypi": "{package}/**", "npm": "{package}/**", "cargo": "crates/{package}/**", "rubygems": "gems/{package}-*", "nuget": "**",
	"maven": "{package}/**", "oci": "{package}/**",
}

var (
	repositoryKey = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	patternText   = regexp.MustCompile(`^[A-Za-z0-9._@+~/*?{}-]+$`)
	placeholder   = regexp.MustCompile(`\{[a-z]*\}`)
	// plainValue is what a placeholder may stand for: nothing that a scope or a pattern reads in another way.
	plainValue = regexp.MustCompile(`^[A-Za-z0-9@_][A-Za-z0-9._@+~/-]*$`)
)

func newPlace(env credential.Env, repository, path string) (place, error) {
	// The Caddyfile has read {file} as its own shorthand before any directive sees it.
	path = strings.ReplaceAll(path, "{http.request.uri.path.file}", "{file}")
	p := place{ecosystem: env.Ecosystem, repository: repository, path: path}
	if p.repository == "" {
		p.repository = repositoryOf(env.Ecosystem, env.Public)
	}
	if p.path == "" {
		p.path = paths[env.Ecosystem]
	}
	if p.path == "" {
		p.path = strings.TrimPrefix(env.Layout, "/")
	}
	switch {
	case p.repository == "" && env.Ecosystem != "oci":
		return p, errors.New("repository is absent, and the public URL has none as in /artifactory/api/pypi/KEY/: write repository KEY, of the local repository that packages land in")
	case p.repository != "" && !repositoryKey.MatchString(p.repository):
		return p, fmt.Errorf("repository is %q, expected the key of a repository", model.OneLine(p.repository, 100))
	case p.path == "":
		return p, errors.New("path is absent, expected where a package's files are, as in path {package}/**")
	case !patternText.MatchString(p.path), strings.HasPrefix(p.path, "/"), slices.Contains(strings.Split(p.path, "/"), ".."), strings.Contains(p.path, "//"):
		return p, fmt.Errorf("path is %q, expected a pattern below the repository, as in {package}/**", model.OneLine(p.path, 100))
	}
	for _, hole := range placeholder.FindAllString(p.path, -1) {
		if hole != "{package}" && hole != "{version}" && hole != "{file}" {
			return p, fmt.Errorf("path has %s, expected {package}, {version} and {file} only", hole)
		}
	}
	if strings.ContainsAny(placeholder.ReplaceAllString(p.path, ""), "{}") {
		return p, fmt.Errorf("path is %q, which has a brace that is no placeholder", model.OneLine(p.path, 100))
	}
	return p, nil
}

// repositoryOf reads the key out of a public URL: /artifactory/api/TYPE/KEY/, or /artifactory/KEY/ for types without an API of
// their own.
func repositoryOf(ecosystem string, public *url.URL) string {
	if public == nil || ecosystem == "oci" {
		return ""
	}
	segments := strings.Split(strings.Trim(public.Path, "/"), "/")
	at := slices.Index(segments, "artifactory")
	if at < 0 || at+1 >= len(segments) {
		return ""
	}
	rest := segments[at+1:]
	if rest[0] != "api" {
		if ecosystem == "maven" || ecosystem == "generic" {
			return rest[0]
		}
		return ""
	}
	if len(rest) < 3 || !slices.Contains(apis[ecosystem], rest[1]) {
		return ""
	}
	if ecosystem == "nuget" && rest[2] == "v3" { // the older API has no version in its path
		if len(rest) < 4 {
			return ""
		}
		return rest[3]
	}
	return rest[2]
}

// scope is what a token must be good for to act on these targets, and no more.
func (p place) scope(targets []model.Target) (string, error) {
	var entries []string
	for _, t := range targets {
		repository, path, err := p.pattern(t)
		if err != nil {
			return "", err
		}
		if entry := "artifact:" + repository + "/" + path + ":" + rights(t.Action); !slices.Contains(entries, entry) {
			entries = append(entries, entry)
		}
	}
	all := strings.Join(entries, " ")
	if len(all) > maxScope {
		return "", fmt.Errorf("the scope of the token has %d bytes, expected at most %d: write a shorter path", len(all), maxScope)
	}
	return all, nil
}

// pattern fills in the path of a target. Where a placeholder has no value, as of a tag that has no file, the rest is anything below.
func (p place) pattern(t model.Target) (repository, path string, err error) {
	repository = p.repository
	pkg := t.Package
	if p.ecosystem == "oci" && repository == "" {
		if repository, pkg, _ = strings.Cut(pkg, "/"); pkg == "" || !repositoryKey.MatchString(repository) {
			return "", "", fmt.Errorf("package is %q, expected a name that begins with the key of a repository, as in docker-local/acme/widget: else write repository KEY", model.OneLine(t.Package, 100))
		}
	}
	values := map[string]string{"{package}": pkg, "{version}": t.Version, "{file}": t.File}
	for _, hole := range placeholder.FindAllString(p.path, -1) {
		value := values[hole]
		if hole == "{package}" && p.ecosystem == "maven" {
			value = strings.Replace(value, ":", "/", 1)
		}
		if value == "" && hole != "{package}" {
			continue
		}
		if !plainValue.MatchString(value) || slices.Contains(strings.Split(value, "/"), "..") || strings.Contains(value, "//") {
			return "", "", fmt.Errorf("the token can't be narrowed: the %s is %q, which a scope would read in another way", strings.Trim(hole, "{}"), model.OneLine(value, 100))
		}
	}
	values["{package}"] = p.name(pkg)
	var out []string
	for segment := range strings.SplitSeq(p.path, "/") {
		empty := false
		segment = placeholder.ReplaceAllStringFunc(segment, func(hole string) string {
			empty = empty || values[hole] == ""
			return values[hole]
		})
		if empty {
			return repository, strings.Join(append(out, "**"), "/"), nil
		}
		out = append(out, segment)
	}
	return repository, strings.Join(out, "/"), nil
}

// name is a package's name as it stands in paths.
func (p place) name(pkg string) string {
	switch p.ecosystem {
	case "pypi": // a dash of the normal form may be a dot or an underline
		return strings.ReplaceAll(pkg, "-", "?")
	case "maven":
		group, artifact, _ := strings.Cut(pkg, ":")
		return strings.ReplaceAll(group, ".", "/") + "/" + artifact
	}
	return pkg
}

// rights are the letters of an action: r reads, w deploys, a writes properties, d deletes, which replacing takes too.
func rights(action model.Action) string {
	switch action {
	case model.ActionRead:
		return "r"
	case model.ActionPublish, model.ActionTag:
		return "r,w,a"
	}
	return "r,w,a,d"
}
