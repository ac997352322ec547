package policies

import (
	"crypto/sha256"
	"maps"
	"slices"
)

// Parse is Load for files that are not on a disk: texts by the names that errors and policies show.
func Parse(texts map[string]string, env Env) (*Set, error) {
	e, err := newEnvironment(env)
	if err != nil {
		return nil, err
	}
	files := make([]file, 0, len(texts))
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		files = append(files, file{path: name, data: texts[name], sum: sha256.Sum256([]byte(texts[name]))})
	}
	compiled := compileAll(files, e)
	var errs Errors
	for _, f := range compiled {
		errs = append(errs, f.errors...)
	}
	if err := append(errs, duplicates(compiled)...).orNil(); err != nil {
		return nil, err
	}
	return newSet(e, compiled), nil
}
