package cli

import (
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/trustpub/trustpub/internal/model"
	"github.com/trustpub/trustpub/internal/provider"
	"github.com/trustpub/trustpub/policies"
)

// named is what policy files speak of.
type named struct {
	// registries has, for each registry, what the policies that name it say of it.
	registries map[string]*spoken
	// providers has, for each provider that a publisher uses, the issuers that policies name; an empty set where none does.
	providers map[string]map[string]bool
}

// spoken are the packages and the actions that policies name for one registry.
type spoken struct {
	packages, actions []string
}

// collect reads names from policy files without judging the files: what is wrong with them is told by the load that
// follows, which is strict.
func collect(paths []string) named {
	n := named{registries: map[string]*spoken{}, providers: map[string]map[string]bool{}}
	for _, path := range paths {
		for _, file := range expand(path) {
			n.add(file)
		}
	}
	return n
}

// expand lists the files that a path stands for. What it cannot read is told by the load.
func expand(path string) []string {
	info, err := os.Stat(path)
	if err != nil {
		files, globErr := filepath.Glob(path)
		if globErr != nil {
			return nil
		}
		return slices.DeleteFunc(files, policies.IsTestFile)
	}
	if !info.IsDir() {
		return []string{path}
	}
	var files []string
	walk := func(p string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(p); err == nil && !d.IsDir() && (ext == ".yaml" || ext == ".yml") && !policies.IsTestFile(p) {
			files = append(files, p)
		}
		return nil
	}
	if err := filepath.WalkDir(path, walk); err != nil {
		return nil
	}
	return files
}

func (n *named) add(path string) {
	data, err := readUpTo(path, policies.MaxFileSize)
	if err != nil {
		return
	}
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil || len(doc.Content) != 1 {
		return
	}
	list := member(doc.Content[0], "policies")
	if list == nil {
		return
	}
	for _, policy := range list.Content {
		n.addPolicy(policy)
	}
}

// readUpTo reads no more of a file than its first bytes.
func readUpTo(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return data, err
}

func (n *named) addPolicy(policy *yaml.Node) {
	for _, name := range values(member(policy, "registry")) {
		if n.registries[name] == nil {
			n.registries[name] = &spoken{}
		}
		r := n.registries[name]
		r.packages = append(r.packages, values(member(policy, "packages"))...)
		r.actions = append(r.actions, values(member(policy, "actions"))...)
	}
	publisher := member(policy, "publisher")
	if publisher == nil || publisher.Kind != yaml.MappingNode {
		return
	}
	issuer := member(policy, "issuer")
	for i := 0; i+1 < len(publisher.Content); i += 2 {
		kind := publisher.Content[i].Value
		if _, known := provider.Get(kind); !known {
			continue
		}
		if n.providers[kind] == nil {
			n.providers[kind] = map[string]bool{}
		}
		if issuer != nil && issuer.Kind == yaml.ScalarNode && issuer.Value != "" {
			n.providers[kind][issuer.Value] = true
		}
	}
}

// ecosystems are those that the registries seem to have.
func (n *named) ecosystems() map[string]string {
	all := map[string]string{}
	for name, said := range n.registries {
		all[name] = said.ecosystem()
	}
	return all
}

// standIns are parts of a package's name that stand for others.
var standIns = regexp.MustCompile(`\*|\{[^}]*\}`)

// likelier are ecosystems that are meant before others in which the same can be said.
var likelier = []string{"pypi", "npm", "oci", "maven"}

// ecosystem is the one in which the most of this can be said.
func (s *spoken) ecosystem() string {
	best, most := "", -1
	for _, one := range append(slices.Clone(likelier), model.Ecosystems()...) {
		fits := 0
		for _, name := range s.packages {
			if _, err := model.NormalizeName(one, standIns.ReplaceAllString(name, "x")); err == nil {
				fits++
			}
		}
		for _, action := range s.actions {
			if slices.Contains(model.EcosystemActions(one), model.Action(action)) {
				fits++
			}
		}
		if fits > most {
			best, most = one, fits
		}
	}
	return best
}

// values are those of a list, or the only one.
func values(n *yaml.Node) []string {
	if n == nil {
		return nil
	}
	var all []string
	for _, one := range append([]*yaml.Node{n}, n.Content...) {
		if one.Kind == yaml.ScalarNode && one.Value != "" {
			all = append(all, one.Value)
		}
	}
	return all
}

// member is the value of a mapping's key; nil where there is none.
func member(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// issuers are one for each name, or one that is called like its provider where no policy names any.
func (n *named) issuers() []policies.Issuer {
	var all []policies.Issuer
	for _, kind := range slices.Sorted(maps.Keys(n.providers)) {
		names := slices.Sorted(maps.Keys(n.providers[kind]))
		if len(names) == 0 {
			names = []string{kind}
		}
		for _, name := range names {
			if !slices.ContainsFunc(all, func(i policies.Issuer) bool { return i.Name == name }) {
				all = append(all, policies.Issuer{Name: name, Provider: kind})
			}
		}
	}
	return all
}
