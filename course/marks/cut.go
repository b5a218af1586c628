package marks

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const todoPath = "github.com/slipway-engine/slipway/stages/01-namespaces/todo"

// Cut gives the source with the exercises for which stubbed is true replaced by
// their stubs, and with their marks kept, so that a learner sees where to write.
func Cut(src string, stubbed func(slug string) bool) (string, error) {
	regions, err := Find(src)
	if err != nil {
		return "", err
	}
	lines := strings.Split(src, "\n")
	var out []string
	at := 0
	for _, r := range regions {
		out = append(out, lines[at:r.Begin+1]...)
		if stubbed(r.Slug) {
			out = append(out, uncomment(lines[r.Stub+1:r.End])...)
		} else {
			out = append(out, lines[r.Begin+1:r.Stub]...)
		}
		out = append(out, lines[r.End])
		at = r.End + 1
	}
	out = append(out, lines[at:]...)
	return mendImports(strings.Join(out, "\n"))
}

// Snippet is the solution of one exercise, as the book shows it.
func Snippet(src, slug string) (string, error) {
	r, err := named(Find, src, slug)
	if err != nil {
		return "", err
	}
	return strings.Join(strings.Split(src, "\n")[r.Begin+1:r.Stub], "\n"), nil
}

// named is one region of a text, whose regions find knows to find.
func named(find func(text string) ([]Region, error), text, slug string) (Region, error) {
	regions, err := find(text)
	if err != nil {
		return Region{}, err
	}
	i := slices.IndexFunc(regions, func(r Region) bool { return r.Slug == slug })
	if i < 0 {
		return Region{}, fmt.Errorf("no exercise %s", slug)
	}
	return regions[i], nil
}

var comment = regexp.MustCompile(`^(\s*)// ?`)

func uncomment(lines []string) []string {
	code := make([]string, len(lines))
	for i, l := range lines {
		code[i] = comment.ReplaceAllString(l, "$1")
	}
	return code
}

// mendImports drops what the solution alone imported and adds what the stub
// needs.
func mendImports(src string) (string, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", src, parser.ParseComments)
	if err != nil {
		return "", err
	}
	used := usedPackages(file)
	drop := map[int]bool{} // line
	for _, spec := range file.Imports {
		if n := spec.Name; n != nil && (n.Name == "_" || n.Name == ".") || uses(used, spec) {
			continue
		}
		drop[fset.Position(spec.Pos()).Line-1] = true
	}
	var out []string
	for n, line := range strings.Split(src, "\n") {
		if !drop[n] {
			out = append(out, line)
		}
	}
	text := strings.Join(out, "\n")
	if used["todo"] && !strings.Contains(text, strconv.Quote(todoPath)) {
		pkg := "package " + file.Name.Name + "\n"
		text = strings.Replace(text, pkg, pkg+"\nimport "+strconv.Quote(todoPath)+"\n", 1)
	}
	text = strings.Replace(text, "import (\n)\n", "", 1)
	b, err := format.Source([]byte(text))
	return string(bytes.TrimRight(b, "\n")) + "\n", err
}

// usedPackages are the names x of all selectors x.y that no local declaration
// explains.
func usedPackages(file *ast.File) map[string]bool {
	used := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Obj == nil {
				used[x.Name] = true
			}
		}
		return true
	})
	return used
}

var version = regexp.MustCompile(`^v[0-9]+$`)

// importNames are the names by which a file may use an import: its own, or, since
// only the package itself knows what it is called, everything that is made of
// the last element of its path that is not a version: specs-go is specs, go-digest
// is digest, yaml.v3 is yaml.
func importNames(spec *ast.ImportSpec) []string {
	if spec.Name != nil {
		return []string{spec.Name.Name}
	}
	p, _ := strconv.Unquote(spec.Path.Value)
	base := path.Base(p)
	if version.MatchString(base) {
		base = path.Base(path.Dir(p))
	}
	names := []string{base}
	for part := range strings.FieldsFuncSeq(base, func(r rune) bool { return r == '-' || r == '.' }) {
		names = append(names, part)
	}
	return names
}

// uses says whether one of an import's names is among those used.
func uses(used map[string]bool, spec *ast.ImportSpec) bool {
	return slices.ContainsFunc(importNames(spec), func(name string) bool { return used[name] })
}
