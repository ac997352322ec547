package ambient

import (
	"context"
	"strings"
)

// gitlab reads the variable that the job's id_tokens declare: TRUSTPUB_ID_TOKEN, or the one that Python's clients derive from the
// audience.
func gitlab(j Job) *Source {
	s := &Source{Name: "gitlab", Where: "the job's id_tokens"}
	s.paste = func(audience string) string {
		return "id_tokens:\n  " + envToken + ":\n    aud: " + audience + "\n"
	}
	s.token = func(_ context.Context, audience string) (string, error) {
		names := gitlabVariables(audience)
		for _, name := range names {
			if raw := j.Getenv(name); raw != "" {
				s.Where = "the variable " + name
				return raw, nil
			}
		}
		return "", &Missing{
			Platform: "GitLab CI", Lacks: "none of " + strings.Join(names, ", ") + " is set: the job declares no identity token for " + audience,
			Do: "Paste this into the job", Paste: s.paste(audience),
		}
	}
	return s
}

// gitlabVariables are the names to look at. uv keeps a digit at the front of an audience, pdm and twine's library make it '_'.
func gitlabVariables(audience string) []string {
	derived := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, audience) + "_ID_TOKEN"
	names := []string{envToken, derived}
	if derived[0] >= '0' && derived[0] <= '9' {
		names = append(names, "_"+derived[1:])
	}
	return names
}
