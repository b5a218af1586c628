package learner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/gotest"
	"github.com/slipway-engine/slipway/course/marks"
	"github.com/slipway-engine/slipway/course/verdict"
)

// Trial tests the exercises of one stage's copy. The tests of a package are
// compiled once, for all its exercises.
type Trial struct {
	Root, Stage string

	tmp   string
	run   gotest.Runner
	built map[string]error // by package
}

// NewTrial makes the folder for the test binaries, below dir ("" is the usual
// place for such); Close removes it.
func NewTrial(ctx context.Context, root, stage, dir string) (*Trial, error) {
	run, err := gotest.NewRunner(ctx)
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(dir, "slipway-trial-")
	return &Trial{Root: root, Stage: stage, tmp: tmp, run: run, built: map[string]error{}}, err
}

// Close removes the test binaries.
func (t *Trial) Close() error { return os.RemoveAll(t.tmp) }

// Try runs one exercise's test against the learner's copy. What does not
// compile is not yet right, with the compiler's words.
func (t *Trial) Try(ctx context.Context, e exercise.Exercise) (verdict.Verdict, error) {
	dir, binary, v, err := t.build(ctx, e)
	if err != nil || v != nil {
		return deref(v), err
	}
	r, err := t.run.Run(ctx, binary, dir, e.Package, e.Pattern(), Env(t.Root), 1)
	return verdict.Read(r), err
}

// build compiles the tests of an exercise's package, once. A verdict means that
// the compiler has given it already.
func (t *Trial) build(ctx context.Context, e exercise.Exercise) (dir, binary string, v *verdict.Verdict, err error) {
	dir, there := Dir(t.Root, t.Stage)
	if !there {
		return "", "", nil, fmt.Errorf("you have no copy of %s: make stage-%s start", t.Stage, t.Stage[1:2])
	}
	binary = filepath.Join(t.tmp, strings.NewReplacer("/", "_", ".", "").Replace(e.Package)+".test")
	err, done := t.built[e.Package]
	if !done {
		err = gotest.Build(ctx, dir, e.Package, binary, Env(t.Root))
		t.built[e.Package] = err
	}
	if said, ok := errors.AsType[*gotest.BuildError](err); ok {
		text, blamed := Compiler(dir, t.Stage, said.Output)
		if len(blamed) > 0 && !slices.Contains(blamed, e.Slug) {
			return "", "", &verdict.Verdict{State: verdict.Untried, Slug: e.Slug, Text: "not tried: " + strings.Join(blamed, ", ") + " does not compile"}, nil
		}
		return "", "", &verdict.Verdict{State: verdict.NotYetRight, Slug: e.Slug, Code: "COMPILE", Text: text}, nil
	}
	return dir, binary, nil, err
}

func deref(v *verdict.Verdict) verdict.Verdict {
	if v == nil {
		return verdict.Verdict{}
	}
	return *v
}

var position = regexp.MustCompile(`^(\S+\.go):([0-9]+):([0-9]+: )?(.*)`)

// complaints is how many of the compiler's are retold.
const complaints = 6

// Compiler retells what the compiler said, each complaint with the exercise in
// whose region it lies; blamed are those exercises.
func Compiler(dir, stage, said string) (text string, blamed []string) {
	var b strings.Builder
	b.WriteString("It does not compile.\n")
	told, more := 0, 0
	for line := range strings.Lines(said) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "FAIL") {
			continue
		}
		m := position.FindStringSubmatch(line)
		if m == nil {
			fmt.Fprintf(&b, "  %s\n", line)
			continue
		}
		n, _ := strconv.Atoi(m[2])
		where := "outside of every exercise"
		if src, err := os.ReadFile(filepath.Join(dir, m[1])); err == nil {
			if slug := marks.At(string(src), n); slug != "" {
				where = "in " + slug
				if !slices.Contains(blamed, slug) {
					blamed = append(blamed, slug)
				}
			}
		}
		if told++; told > complaints {
			more++
			continue
		}
		fmt.Fprintf(&b, "  %s, line %d (learn/%s/%s):\n      %s\n", where, n, stage, m[1], m[4])
	}
	if more > 0 {
		fmt.Fprintf(&b, "  and %d more\n", more)
	}
	return b.String(), blamed
}
