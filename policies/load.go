package policies

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Load reads policy files strictly: files, directories (every *.yaml and *.yml below) and globs. Everything that is wrong is
// in the error, which is of type Errors. A path that does not exist and a glob that matches nothing are errors too.
func Load(paths []string, env Env) (*Set, error) {
	e, err := newEnvironment(env)
	if err != nil {
		return nil, err
	}
	seen, found := read(paths, env.AnyMode)
	errs := found.errs
	files := compileAll(seen, e)
	for _, f := range files {
		errs = append(errs, f.errors...)
	}
	errs = append(errs, duplicates(files)...)
	if err := errs.orNil(); err != nil {
		return nil, err
	}
	return newSet(e, files), nil
}

// file is one file as it was read.
type file struct {
	path string
	data string
	sum  [sha256.Size]byte
	// problem is set where the file is there and could not be read.
	problem *Error
}

// compiled is one file compiled.
type compiled struct {
	file
	policies []*Policy
	errors   Errors
}

// compileAll compiles files side by side, in their order.
func compileAll(files []file, env *environment) []*compiled {
	out := make([]*compiled, len(files))
	var group sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range files {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			out[i] = compileOne(files[i], env)
		})
	}
	group.Wait()
	return out
}

func compileOne(f file, env *environment) *compiled {
	c := &compiled{file: f}
	if f.problem != nil {
		c.errors = Errors{*f.problem}
		return c
	}
	c.policies, c.errors = compileFile(f.path, f.data, env)
	return c
}

// duplicates finds names that two files use; the later file is at fault.
func duplicates(files []*compiled) Errors {
	first := map[string]*Policy{}
	var errs Errors
	for _, f := range files {
		for _, p := range f.policies {
			if have, twice := first[p.Name]; twice {
				errs = append(errs, p.twice(have))
				continue
			}
			first[p.Name] = p
		}
	}
	return errs
}

// twice is the error of a name that another file has taken.
func (p *Policy) twice(have *Policy) Error {
	at := p.At("name")
	e := Error{File: p.File, Line: at.Line, Column: at.Column, Field: policyPath(p.number) + ".name"}
	e.Message = fmt.Sprintf("the name %q is used twice; the first is in %s:%d", p.Name, have.File, have.Line)
	return e
}

// read finds and reads all files; what was not found is in the listing.
func read(paths []string, anyMode bool) ([]file, listing) {
	found := list(paths)
	files := make([]file, 0, len(found.files))
	total := 0
	for _, path := range found.files {
		f, there := readFile(path, anyMode)
		if !there {
			continue // removed between listing and reading
		}
		if total += len(f.data); total > MaxTotalSize {
			f = file{path: path, problem: &Error{File: path, Message: fmt.Sprintf("is not read: all files together have more than %d bytes", MaxTotalSize)}}
		}
		files = append(files, f)
	}
	return files, found
}

// writableByOthers are the bits of a file's mode with which somebody else than its owner could grant himself anything.
const writableByOthers fs.FileMode = 0o022

// readFile reads one file whole, up to just over its cap; there is false where it does not exist any more.
func readFile(path string, anyMode bool) (f file, there bool) {
	f.path = path
	problem := func(err error) (file, bool) {
		f.problem = &Error{File: path, Message: "cannot be read: " + cause(err)}
		return f, true
	}
	r, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, false
	}
	if err != nil {
		return problem(err)
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return problem(errors.Join(err, errors.New("it is not a regular file")))
	}
	// Windows has no such bits; its files all seem writable.
	if mode := info.Mode().Perm(); !anyMode && mode&writableByOthers != 0 && runtime.GOOS != "windows" {
		f.problem = &Error{File: path, Message: fmt.Sprintf("is not read: others than its owner can write it (mode %04o), and with it grant themselves anything; run chmod go-w on it", mode)}
		return f, true
	}
	data, err := io.ReadAll(io.LimitReader(r, MaxFileSize+1))
	if err != nil {
		return problem(err)
	}
	f.data, f.sum = string(data), sha256.Sum256(data)
	return f, true
}

// cause is an error without the path that its message would repeat.
func cause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// listing is what configured paths name.
type listing struct {
	// files are the files, each once, in alphabetical order.
	files []string
	errs  Errors
	// unknown are the directories whose files could not be told: what was known of them stays.
	unknown []string
}

// covers is true where nothing is known of a path now.
func (l *listing) covers(path string) bool {
	for _, dir := range l.unknown {
		if dir == "" || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/") {
			return true
		}
	}
	return false
}

// list finds the files that paths name.
func list(paths []string) listing {
	l := lister{seen: map[string]bool{}}
	for _, path := range paths {
		l.path(path)
	}
	slices.Sort(l.files)
	return l.listing
}

type lister struct {
	listing
	seen map[string]bool
}

func (l *lister) fail(path, format string, args ...any) {
	l.errs = append(l.errs, Error{File: path, Message: fmt.Sprintf(format, args...)})
}

// lose notes a directory that cannot be read.
func (l *lister) lose(dir string, err error) {
	l.fail(dir, "cannot be read: %s", cause(err))
	l.unknown = append(l.unknown, dir)
}

func (l *lister) add(path string) {
	if l.seen[path] {
		return
	}
	l.seen[path] = true
	if len(l.files) == MaxFiles {
		if len(l.unknown) == 0 || l.unknown[len(l.unknown)-1] != "" {
			l.fail(path, "is not read, nor is what follows: more than %d files are named", MaxFiles)
			l.unknown = append(l.unknown, "")
		}
		return
	}
	l.files = append(l.files, path)
}

// path finds what one configured path names: a file or directory that is there, or else what it matches as a glob.
func (l *lister) path(path string) {
	path = filepath.Clean(path)
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		l.dir(path)
	case err == nil:
		l.add(path)
	case !errors.Is(err, fs.ErrNotExist):
		// Reading it tells what is wrong, and a watcher keeps what it had.
		l.add(path)
	case !strings.ContainsAny(path, "*?["):
		l.fail(path, "there is no such file or directory")
	default:
		l.glob(path)
	}
}

func (l *lister) glob(pattern string) {
	matches, err := filepath.Glob(pattern)
	if err != nil {
		l.fail(pattern, "malformed glob: %v", err)
		return
	}
	before := len(l.seen)
	for _, m := range matches {
		if hidden(m) || IsTestFile(m) {
			continue
		}
		if info, err := os.Stat(m); err == nil && info.IsDir() {
			l.dir(m)
			continue
		}
		l.add(m)
	}
	if !slices.ContainsFunc(matches, func(m string) bool { return !IsTestFile(m) }) && len(l.seen) == before {
		l.fail(pattern, "the glob matches no file")
	}
}

// dir finds every policy file below a directory, tests of policies left out. Hidden names are left out: they are editors' copies, or, in a mounted
// ConfigMap, the folders that its visible links point to. Links to files are followed, links to directories are not.
func (l *lister) dir(root string) {
	// A root that is itself a link is walked through its target; the names keep the configured path.
	target, err := filepath.EvalSymlinks(root)
	if err != nil {
		l.lose(root, err)
		return
	}
	err = filepath.WalkDir(target, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(target, path) // path is below target
		shown := filepath.Join(root, rel)
		switch {
		case err != nil && errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			l.lose(shown, err)
			return nil
		case path != target && hidden(path):
			if d.IsDir() {
				return fs.SkipDir
			}
		case !d.IsDir() && isPolicyFile(path) && !IsTestFile(path):
			l.add(shown)
		}
		return nil
	})
	if err != nil {
		l.lose(root, err)
	}
}

func hidden(path string) bool { return strings.HasPrefix(filepath.Base(path), ".") }

func isPolicyFile(path string) bool {
	ext := filepath.Ext(path)
	return ext == ".yaml" || ext == ".yml"
}
