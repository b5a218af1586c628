// Package marks finds the exercises in the real source and cuts them out.
//
// A region of a file is an exercise:
//
//	//ex:begin ns.join
//	…the solution…
//	//ex:stub
//	// return todo.Exercise("ns.join")
//	//ex:end ns.join
//
// Cutting replaces the solution by the uncommented stub, and mends the imports
// by the syntax tree, so that every cut compiles.
package marks

import (
	"fmt"
	"regexp"
	"strings"
)

// Region is one marked exercise in a file. Lines count from 0.
type Region struct {
	Slug             string
	Begin, Stub, End int // the lines of the three marks; Stub is -1 in a cut
}

var (
	mark = regexp.MustCompile(`^\s*//ex:(begin|stub|end)\s*(\S*)\s*$`)
	slug = regexp.MustCompile(`^[a-z][a-z0-9]*(\.[a-z0-9]+(-[a-z0-9]+)*)+$`)
)

// Find lists the regions of a source text, in order. A begin without its end, a
// region without a stub, or a nested one is an error that names the line.
func Find(src string) ([]Region, error) {
	found, err := scan(src)
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		if r.Stub < 0 {
			return nil, fmt.Errorf("line %d: %s has no stub", r.End+1, r.Slug)
		}
	}
	return found, nil
}

// FindCut lists the regions of a cut, which has marks but no stubs: their Stub
// is -1.
func FindCut(src string) ([]Region, error) { return scan(src) }

func scan(src string) ([]Region, error) {
	var found []Region
	var open *Region
	for n, line := range strings.Split(src, "\n") {
		m := mark.FindStringSubmatch(line)
		switch {
		case m == nil:
		case m[1] == "begin" && open != nil:
			return nil, fmt.Errorf("line %d: %s begins inside %s", n+1, m[2], open.Slug)
		case m[1] == "begin" && !slug.MatchString(m[2]):
			return nil, fmt.Errorf("line %d: %q is no slug", n+1, m[2])
		case m[1] == "begin":
			open = &Region{Slug: m[2], Begin: n, Stub: -1}
		case open == nil:
			return nil, fmt.Errorf("line %d: ex:%s outside of an exercise", n+1, m[1])
		case m[1] == "stub":
			open.Stub = n
		case m[2] != open.Slug:
			return nil, fmt.Errorf("line %d: %s ends inside %s", n+1, m[2], open.Slug)
		default:
			open.End = n
			found = append(found, *open)
			open = nil
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: %s has no end", open.Begin+1, open.Slug)
	}
	return found, nil
}
