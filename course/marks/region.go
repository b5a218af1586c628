package marks

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// Body is what stands in a region of a cut: the learner's lines.
func Body(cut, slug string) (string, error) {
	r, err := named(FindCut, cut, slug)
	if err != nil {
		return "", err
	}
	return strings.Join(strings.Split(cut, "\n")[r.Begin+1:r.End], "\n"), nil
}

// Stub is what stands in a region before the exercise is begun.
func Stub(src, slug string) (string, error) {
	r, err := named(Find, src, slug)
	if err != nil {
		return "", err
	}
	return strings.Join(uncomment(strings.Split(src, "\n")[r.Stub+1:r.End]), "\n"), nil
}

// Put replaces one region of a cut and nothing else. Imports that the body needs
// are taken from donor, the reference source of the same file; those that
// nothing needs any more go. A cut that does not parse keeps its imports as they
// are, since nobody knows what its author is about to write.
func Put(cut, slug, body, donor string) (string, error) {
	r, err := named(FindCut, cut, slug)
	if err != nil {
		return "", err
	}
	lines := strings.Split(cut, "\n")
	out := append([]string{}, lines[:r.Begin+1]...)
	out = append(out, body)
	out = append(out, lines[r.End:]...)
	text := strings.Join(out, "\n")
	if mended, err := mendImports(lendImports(text, donor)); err == nil {
		return mended, nil
	}
	return text, nil // a syntax error of the learner is the compiler's to explain
}

// At is the slug of the region that holds a line, counted from 1, or "".
func At(cut string, line int) string {
	regions, err := FindCut(cut)
	if err != nil {
		return ""
	}
	for _, r := range regions {
		if r.Begin < line && line <= r.End+1 {
			return r.Slug
		}
	}
	return ""
}

// lendImports adds those imports of donor that src uses and has not.
func lendImports(src, donor string) string {
	file, err := parser.ParseFile(token.NewFileSet(), "", src, 0)
	if err != nil {
		return src
	}
	lender, err := parser.ParseFile(token.NewFileSet(), "", donor, parser.ImportsOnly)
	if err != nil {
		return src
	}
	used, has := usedPackages(file), map[string]bool{}
	for _, spec := range file.Imports {
		has[spec.Path.Value] = true
	}
	var lines []string
	for _, spec := range lender.Imports {
		if uses(used, spec) && !has[spec.Path.Value] {
			lines = append(lines, "\t"+importText(spec))
		}
	}
	if len(lines) == 0 {
		return src
	}
	if strings.Contains(src, "\nimport (\n") {
		return strings.Replace(src, "\nimport (\n", "\nimport (\n"+strings.Join(lines, "\n")+"\n", 1)
	}
	pkg := "package " + file.Name.Name + "\n"
	return strings.Replace(src, pkg, pkg+"\nimport (\n"+strings.Join(lines, "\n")+"\n)\n", 1)
}

func importText(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name + " " + spec.Path.Value
	}
	return spec.Path.Value
}
