package ambient

import (
	"context"
	"fmt"
)

// variable is a token in an environment variable: what Jenkins and every unknown platform can give.
func variable(j Job, name string) *Source {
	return &Source{
		Name: "env", Where: "the variable " + name,
		token: func(context.Context, string) (string, error) {
			if raw := j.Getenv(name); raw != "" {
				return raw, nil
			}
			return "", &Missing{Platform: "env", Lacks: name + " is not set", Do: "Put the job's identity token into it"}
		},
		paste: func(audience string) string { return name + "=an identity token whose aud is " + audience },
	}
}

// file is a token in a file, which its platform renews: it is read anew at each question.
func file(j Job, path string) *Source {
	return &Source{
		Name: "file", Where: "the file " + path, Fresh: true,
		token: func(context.Context, string) (string, error) {
			b, err := j.ReadFile(path)
			if err != nil {
				return "", fmt.Errorf("identity token: %w", err)
			}
			return string(b), nil
		},
		paste: func(audience string) string { return path + " with an identity token whose aud is " + audience },
	}
}

// fixed is a token that the platform puts into one variable, with an audience that the job can't choose at run time.
func fixed(j Job, platform, name, title, do, paste string) *Source {
	return &Source{
		Name: platform, Where: "the variable " + name,
		token: func(context.Context, string) (string, error) {
			if raw := j.Getenv(name); raw != "" {
				return raw, nil
			}
			return "", &Missing{Platform: title, Lacks: name + " is not set: the job may not have an identity token", Do: do, Paste: paste}
		},
		paste: func(string) string { return paste },
	}
}
