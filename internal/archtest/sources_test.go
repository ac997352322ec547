package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// root is the top of the module, seen from this folder.
const root = "../.."

// pkg is one folder with Go files.
type pkg struct {
	folder string
	// imports and testImports map an import path to the first file that has it.
	imports, testImports map[string]string
	// doc is the package comment of the files that are not tests.
	doc string
	// sources is the number of files that are not tests.
	sources int
}

// skipped are folders that are not part of this module's packages.
func skipped(folder string) bool {
	base := path.Base(folder)
	return folder != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || folder == "tools" || folder == "dist")
}

// packages parses the imports and comments of every Go file, whatever its build tags.
func packages(t *testing.T) []*pkg {
	t.Helper()
	var all []*pkg
	byFolder := map[string]*pkg{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if entry.IsDir() {
			if skipped(rel) {
				return filepath.SkipDir
			}
			return nil
		}
		if path.Ext(rel) != ".go" {
			return nil
		}
		p := byFolder[path.Dir(rel)]
		if p == nil {
			p = &pkg{folder: path.Dir(rel), imports: map[string]string{}, testImports: map[string]string{}}
			byFolder[p.folder] = p
			all = append(all, p)
		}
		return p.add(name, rel)
	})
	if err != nil {
		t.Fatalf("reading the sources: %v", err)
	}
	if len(all) == 0 {
		t.Fatalf("no Go files below %s", root)
	}
	return all
}

// add parses one file into the package.
func (p *pkg) add(name, rel string) error {
	source, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(token.NewFileSet(), rel, source, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return err
	}
	imports := p.imports
	if strings.HasSuffix(rel, "_test.go") {
		imports = p.testImports
	} else {
		p.sources++
		p.doc += docText(file)
	}
	for _, spec := range file.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if _, seen := imports[target]; !seen {
			imports[target] = rel
		}
	}
	return nil
}

func docText(file *ast.File) string {
	if file.Doc == nil {
		return ""
	}
	return file.Doc.Text()
}

// goPackage is what `go list` tells of one package.
type goPackage struct {
	ImportPath string
	Deps       []string
}

// listed asks the go command for the dependency trees of the module's packages.
func listed(t *testing.T) []goPackage {
	t.Helper()
	// Opening the sources tells `go test` what the answer depends on.
	packages(t)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Deps", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
}

func TestEveryPackageIsDocumented(t *testing.T) {
	for _, p := range packages(t) {
		if p.sources > 0 && strings.TrimSpace(p.doc) == "" {
			t.Errorf("%s has no package comment: say in one paragraph what the room is for", p.folder)
		}
	}
}
