package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/learner"
	"github.com/slipway-engine/slipway/course/marks"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"course": func() { os.Exit(run()) }})
}

// TestScripts walk a person's path through the course, in a checkout of their
// own: learn/ of the real one is never touched.
func TestScripts(t *testing.T) {
	root, err := checkout()
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN", "HOME", "NO_COLOR"} {
				if v := os.Getenv(name); v != "" {
					env.Setenv(name, v)
				}
			}
			env.Setenv("CHECKOUT", root)
			return parts(root, env.WorkDir)
		},
		Condition: func(cond string) (bool, error) {
			_, err := os.Stat(filepath.Join(root, "bin", "slipway-runtime"))
			return cond == "root" && os.Geteuid() == 0 || cond == "built" && err == nil || cond == "clone" && clone(root), nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"answer": answer,
		},
	})
}

// clone tells whether there is something to clone: a source archive has no .git.
func clone(root string) bool {
	_, err := os.Stat(filepath.Join(root, ".git"))
	return err == nil
}

// parts copies what a learner of the first three stages has.
func parts(root, to string) error {
	for _, dir := range []string{"stages/01-namespaces", "stages/02-cgroups", "stages/03-rootfs", "docs/why", "course/demos"} {
		if err := os.CopyFS(filepath.Join(to, dir), os.DirFS(filepath.Join(root, dir))); err != nil {
			return err
		}
	}
	if err := os.Symlink(filepath.Join(root, "bin"), filepath.Join(to, "bin")); err != nil {
		return err
	}
	for _, name := range []string{"course/demos.sh"} {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o644); err != nil {
			return err
		}
	}
	b, err := os.ReadFile(filepath.Join(root, "go.work"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, "go.work"), b, 0o644)
}

// answer types the reference's lines into the learner's copy: answer SLUG
// [OLD NEW], with one part of them changed to get them wrong.
func answer(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 && len(args) != 3 {
		ts.Fatalf("usage: answer SLUG [OLD NEW]")
	}
	root := ts.MkAbs(".") // the script is in the checkout
	all, err := exercise.Course(root)
	ts.Check(err)
	e, err := exercise.Named(all, args[0])
	ts.Check(err)
	p, err := learner.Find(root, e)
	ts.Check(err)
	body, err := p.Solution(e.Slug)
	ts.Check(err)
	if len(args) == 3 {
		if !strings.Contains(body, args[1]) {
			ts.Fatalf("the solution of %s has no %q:\n%s", e.Slug, args[1], body)
		}
		body = strings.ReplaceAll(body, args[1], args[2])
	}
	cut, err := os.ReadFile(p.Path)
	ts.Check(err)
	reference, err := os.ReadFile(filepath.Join(root, "stages", e.Stage, e.File))
	ts.Check(err)
	text, err := marks.Put(string(cut), e.Slug, body, string(reference))
	ts.Check(err)
	ts.Check(os.WriteFile(p.Path, []byte(text), 0o600))
}
