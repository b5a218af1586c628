package learner_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/exercise"
	"github.com/slipway-engine/slipway/course/learner"
	"github.com/slipway-engine/slipway/course/verdict"
)

const source = `package p

import (
	"errors"
	"strings"
)

func A() error {
	//ex:begin p.a
	return errors.New(strings.ToUpper("a"))
	//ex:stub
	// return nil
	//ex:end p.a
}

func B() string {
	//ex:begin p.b
	return strings.Repeat("b", 2)
	//ex:stub
	// return ""
	//ex:end p.b
}
`

const test = `package p

import "testing"

func TestA(t *testing.T) {
	if err := A(); err == nil || err.Error() != "A" {
		t.Fatalf("\nNOT YET RIGHT  p.a  \"a\"  [P-A-1]\n  saw  %v", err)
	}
}
`

var a = exercise.Exercise{Slug: "p.a", Stage: "01-namespaces", File: "p/p.go", Package: "./p", Test: "TestA"}

func checkout(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.work":                                             "go 1.26\n\nuse (\n\t./stages/01-namespaces\n\t./stages/02-two\n)\n",
		"stages/01-namespaces/go.mod":                         "module example.com/m\n\ngo 1.26\n",
		"stages/01-namespaces/p/p.go":                         source,
		"stages/01-namespaces/p/p_test.go":                    test,
		"stages/01-namespaces/testdata/mistakes/p.a/no.patch": "x",
		"stages/02-two/go.mod":                                "module example.com/two\n\ngo 1.26\n\nreplace example.com/m => ../01-namespaces\n",
	} {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return root
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(b)
}

func TestStartTwiceLosesNothing(t *testing.T) {
	root := checkout(t)
	fresh, err := learner.Start(root, "01-namespaces")
	require.NoError(t, err)
	require.True(t, fresh)
	mine := filepath.Join(root, "learn/01-namespaces/p/p.go")
	require.Contains(t, read(t, mine), "\t//ex:begin p.a\n\treturn nil\n\t//ex:end p.a")
	require.NoDirExists(t, filepath.Join(root, "learn/01-namespaces/testdata/mistakes"))

	require.NoError(t, os.WriteFile(mine, []byte("my work"), 0o600))
	fresh, err = learner.Start(root, "01-namespaces")
	require.NoError(t, err)
	require.False(t, fresh)
	require.Equal(t, "my work", read(t, mine))

	_, err = learner.Start(root, "02-two")
	require.NoError(t, err)
	require.Contains(t, read(t, root, "learn/02-two/go.mod"), "=> ../../stages/01-namespaces")
	names, err := filepath.Glob(filepath.Join(root, "learn", ".new-*"))
	require.NoError(t, err)
	require.Empty(t, names)
}

func TestAFolderThatIsNoCopyIsNotTouched(t *testing.T) {
	root := checkout(t)
	require.NoError(t, os.MkdirAll(filepath.Join(root, "learn/01-namespaces"), 0o755))
	_, err := learner.Start(root, "01-namespaces")
	require.ErrorContains(t, err, "move it away first")
}

func TestUseKeepsTheOtherChoices(t *testing.T) {
	root := checkout(t)
	require.Equal(t, learner.Reference, learner.Chosen(root, "01-namespaces"))
	require.ErrorContains(t, learner.Use(root, "01-namespaces", learner.Mine), "make stage-1 start")
	_, err := learner.Start(root, "01-namespaces")
	require.NoError(t, err)
	require.Equal(t, learner.Mine, learner.Chosen(root, "01-namespaces"))
	require.NoError(t, learner.Use(root, "01-namespaces", learner.Reference))
	_, err = learner.Start(root, "02-two")
	require.NoError(t, err)
	require.Equal(t, learner.Reference, learner.Chosen(root, "01-namespaces"), "a start elsewhere changes nothing here")
	require.Contains(t, read(t, learner.Workspace(root)), "go 1.26\n\nuse (\n\t../stages/01-namespaces\n\t./02-two\n)\n")
}

func TestResetAndSolveChangeOneRegionAndKeepWhatWasThere(t *testing.T) {
	root := checkout(t)
	_, err := learner.Start(root, "01-namespaces")
	require.NoError(t, err)
	kept, err := learner.Reset(root, a)
	require.NoError(t, err)
	require.Empty(t, kept, "it is a stub already")

	kept, err = learner.Solve(root, a)
	require.NoError(t, err)
	require.Contains(t, read(t, kept), "return nil")
	p, err := learner.Find(root, a)
	require.NoError(t, err)
	require.Equal(t, "\treturn errors.New(strings.ToUpper(\"a\"))", p.Body)
	require.Contains(t, read(t, p.Path), "\"errors\"", "with what it imports")
	require.Contains(t, read(t, p.Path), "return \"\"", "the other region is as it was")
	require.Equal(t, p.Body, splitLine(read(t, p.Path), p.Line))

	kept, err = learner.Reset(root, a)
	require.NoError(t, err)
	require.Contains(t, kept, "p.go.2")
	p, err = learner.Find(root, a)
	require.NoError(t, err)
	require.Equal(t, "\treturn nil", p.Body)
}

func splitLine(text string, line int) string {
	for i := range text {
		if line == 1 {
			for j := i; ; j++ {
				if text[j] == '\n' {
					return text[i:j]
				}
			}
		}
		if text[i] == '\n' {
			line--
			if line == 1 {
				return splitLine(text[i+1:], 1)
			}
		}
	}
	return ""
}

func TestALostMarkIsNamed(t *testing.T) {
	root := checkout(t)
	_, err := learner.Start(root, "01-namespaces")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(root, "learn/01-namespaces/p/p.go"), []byte("package p\n"), 0o600))
	_, err = learner.Find(root, a)
	require.EqualError(t, err, "learn/01-namespaces/p/p.go: no exercise p.a; put the marks //ex:begin and //ex:end back, or learn/course reset --file p.a gives the file anew")
}

func TestTrialTellsWrongFromRightFromBroken(t *testing.T) {
	root := checkout(t)
	_, err := learner.Start(root, "01-namespaces")
	require.NoError(t, err)
	mine := filepath.Join(root, "learn/01-namespaces/p/p.go")
	try := func() verdict.Verdict {
		trial, err := learner.NewTrial(t.Context(), root, "01-namespaces", "")
		require.NoError(t, err)
		defer trial.Close()
		v, err := trial.Try(t.Context(), a)
		require.NoError(t, err)
		return v
	}
	require.Equal(t, "P-A-1", try().Code)

	require.NoError(t, os.WriteFile(mine, []byte("package p\n\nfunc A() error {\n\t//ex:begin p.a\n\treturn nonsense\n\t//ex:end p.a\n}\n"), 0o600))
	v := try()
	require.Equal(t, verdict.NotYetRight, v.State)
	require.Equal(t, "It does not compile.\n  in p.a, line 5 (learn/01-namespaces/p/p.go):\n      undefined: nonsense\n", v.Text)

	require.NoError(t, os.WriteFile(mine, []byte(source), 0o600))
	require.Equal(t, verdict.Done, try().State)
}
