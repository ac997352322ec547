package credential

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/trustpub/trustpub/internal/model"
)

// RepositoryActions are what registries of containers call an action of ours.
func RepositoryActions(action model.Action) []string {
	switch action {
	case model.ActionRead:
		return []string{"pull"}
	case model.ActionDelete:
		return []string{"pull", "delete"}
	}
	return []string{"pull", "push"}
}

// repositoryName is what stands in a scope: a colon or a space would end it.
var repositoryName = regexp.MustCompile(`^[a-z0-9]+([._/-]+[a-z0-9]+)*$`)

// RepositoryScopes are what a token must be good for that a token service of containers makes for these targets of a registry, one for each
// repository, as in repository:acme/widget:pull,push.
func RepositoryScopes(registry string, targets []model.Target) ([]string, error) {
	if err := CheckTargets(registry, targets...); err != nil {
		return nil, err
	}
	var scopes []string
	for _, t := range targets {
		if !repositoryName.MatchString(t.Package) {
			return nil, fmt.Errorf("the token can't be narrowed: the repository is %q, which a scope would read in another way", model.OneLine(t.Package, 100))
		}
		scope := "repository:" + t.Package + ":" + strings.Join(RepositoryActions(t.Action), ",")
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes, nil
}
