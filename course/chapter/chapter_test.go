package chapter

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/course/exercise"
)

func TestFillReplacesWhatIsMarkedAndTwiceIsTheSame(t *testing.T) {
	made := func(kind, name string) (string, error) { return kind + " of " + name + "\n", nil }
	const page = "a\n<!-- ex:table 02-x -->\nold\n\n<!-- /ex -->\nb\n```md\n<!-- ex:code in.fence -->\n```\n<!-- ex:code a.b -->\n<!-- /ex -->\n"
	const want = "a\n<!-- ex:table 02-x -->\ntable of 02-x\n<!-- /ex -->\nb\n```md\n<!-- ex:code in.fence -->\n```\n<!-- ex:code a.b -->\ncode of a.b\n<!-- /ex -->\n"
	once, err := fill(page, made)
	require.NoError(t, err)
	require.Equal(t, want, once)
	twice, err := fill(once, made)
	require.NoError(t, err)
	require.Equal(t, want, twice)
}

func TestFillNamesTheLine(t *testing.T) {
	no := func(_, name string) (string, error) {
		if name == "no" {
			return "", errors.New("no such thing")
		}
		return "", nil
	}
	for page, want := range map[string]string{
		"<!-- ex:code a -->\n":                      "a has no <!-- /ex -->",
		"x\n<!-- ex:code no -->\n":                  "line 2: no such thing",
		"<!-- ex:code a -->\n<!-- ex:table b -->\n": "line 2: b begins inside a",
	} {
		_, err := fill(page, no)
		require.EqualError(t, err, want)
	}
}

func TestTable(t *testing.T) {
	all := []exercise.Exercise{
		{Slug: "a.b", Stage: "02-x", File: "a.go", Minutes: 20, Title: "it holds", Needs: []string{"a.a", "a.c"}},
		{Slug: "z.z", Stage: "02-x", File: "z.go", Minutes: 5, Title: "more"},
	}
	got, err := table(all, "02-x/a.")
	require.NoError(t, err)
	require.Equal(t, "| exercise | minutes | what holds when it is done | needs |\n|---|---|---|---|\n| `a.b` in `a.go` | 20 | it holds | `a.a`, `a.c` |\n", got)
	_, err = table(all, "03-y")
	require.EqualError(t, err, "no exercises 03-y")
}

func TestDedent(t *testing.T) {
	require.Equal(t, "a\n\tb\nc", dedent("\t\ta\n\t\t\tb\n\t\tc"))
}

func TestSame(t *testing.T) {
	require.True(t, same("pid N\n…\nend\n", "pid 123\nx\ny\nend\n"))
	require.True(t, same("a\n…\n", "a\n"))
	require.True(t, same("a … c\n", "a b b c\n"))
	require.False(t, same("a … c\n", "a b\n"))
	require.False(t, same("pid N\n", "pid x\n"))
	require.False(t, same("a\n", "a\nb\n"))
	require.False(t, same("NAME 1.5\n", "NAME 1x5\n"), "other characters mean themselves")
}

func TestBlocksAreExecuted(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "docs"), 0o755))
	page := "```console run\n$ echo 'a  b' $((1+1))\na b N\n$ false\n$ touch here; ls\nhere\n$ echo a b | wc -w\nN\n```\n\n```console\n$ never\n```\n\n```console run\n$ echo no\nyes\n```\n"
	require.NoError(t, os.WriteFile(filepath.Join(root, "docs", "x.md"), []byte(page), 0o600))
	got, err := Run(t.Context(), root, "")
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Empty(t, got[0].Fault)
	require.Equal(t, 15, got[1].Line)
	require.Contains(t, got[1].Fault, "want\n$ echo no\nyes\n  got\n$ echo no\nno\n")
}

func TestALineGoesOn(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "docs"), 0o755))
	page := "```console run\n$ for i in 1 2\n> do echo $i; done\n1\n2\n```\n\n```console run gold\n$ true\n```\n"
	require.NoError(t, os.WriteFile(filepath.Join(root, "docs", "x.md"), []byte(page), 0o600))
	require.Len(t, blocks("x.md", page), 2)
	got, err := blocks("x.md", page)[0].try(t.Context(), root)
	require.NoError(t, err)
	require.Empty(t, got.Fault)
	_, err = Run(t.Context(), root, "x")
	require.EqualError(t, err, `docs/x.md:8: a block can need root, v1 or v2, not "gold"`)
	none, err := Run(t.Context(), root, "y")
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestCodesAndSolutions(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"docs/why/A-B-1.md":  "# A-B-1: what is wrong\n\nMore.\n",
		"stages/01-x/p/p.go": "package p\n\nfunc f() {\n\t//ex:begin a.b\n\tprintln(1)\n\t//ex:stub\n\t// // nothing\n\t//ex:end a.b\n}\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	all := []exercise.Exercise{{Slug: "a.b", Stage: "01-x", File: "p/p.go", Mistakes: []exercise.Mistake{{Name: "m", Code: "A-B-1"}, {Name: "n", Code: "A-B-1"}}}}
	got, err := codes(root, all, "01-x")
	require.NoError(t, err)
	require.Equal(t, "| code | what it says | exercise |\n|---|---|---|\n| [A-B-1](why/A-B-1.md) | what is wrong | `a.b` |\n", got)
	got, err = solutions(root, all, "01-x")
	require.NoError(t, err)
	require.Contains(t, got, "```go\nprintln(1)\n```")
	_, err = solutions(root, all, "02-y")
	require.EqualError(t, err, "no exercises 02-y")
}
