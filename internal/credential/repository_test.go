package credential

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trustpub/trustpub/internal/model"
)

func TestRepositoryScopes(t *testing.T) {
	at := func(registry, pkg string, action model.Action) model.Target {
		return model.Target{Registry: registry, Package: pkg, Action: action}
	}
	for name, tc := range map[string]struct {
		targets []model.Target
		want    []string
		err     string
	}{
		"a push":            {[]model.Target{at("r", "acme/widget", model.ActionPublish)}, []string{"repository:acme/widget:pull,push"}, ""},
		"a tag that moves":  {[]model.Target{at("r", "acme/widget", model.ActionOverwrite)}, []string{"repository:acme/widget:pull,push"}, ""},
		"a pull":            {[]model.Target{at("r", "acme/widget", model.ActionRead)}, []string{"repository:acme/widget:pull"}, ""},
		"a deletion":        {[]model.Target{at("r", "acme/widget", model.ActionDelete)}, []string{"repository:acme/widget:pull,delete"}, ""},
		"a mount":           {[]model.Target{at("r", "acme/widget", model.ActionPublish), at("r", "acme/base", model.ActionRead)}, []string{"repository:acme/widget:pull,push", "repository:acme/base:pull"}, ""},
		"the same twice":    {[]model.Target{at("r", "a", model.ActionPublish), at("r", "a", model.ActionPublish)}, []string{"repository:a:pull,push"}, ""},
		"another registry":  {[]model.Target{at("r", "a", model.ActionPublish), at("q", "a", model.ActionRead)}, nil, `registry is "q", expected "r"`},
		"no repository":     {[]model.Target{at("r", "", model.ActionPublish)}, nil, "can't be narrowed"},
		"a further action":  {[]model.Target{at("r", "a:delete", model.ActionPublish)}, nil, "can't be narrowed"},
		"a further scope":   {[]model.Target{at("r", "a repository:b", model.ActionPublish)}, nil, "can't be narrowed"},
		"a comma":           {[]model.Target{at("r", "a,b", model.ActionPublish)}, nil, "can't be narrowed"},
		"another parameter": {[]model.Target{at("r", "a&scope=b", model.ActionPublish)}, nil, "can't be narrowed"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := RepositoryScopes("r", tc.targets)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("got %v, expected %q", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("scopes (-want +got):\n%s", diff)
			}
		})
	}
}
