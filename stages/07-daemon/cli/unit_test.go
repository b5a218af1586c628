package cli

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/stretchr/testify/require"
)

func TestKeyReader(t *testing.T) {
	for _, test := range []struct {
		name, keys, typed, want string
		detached                bool
	}{
		{"nothing special", "", "hello", "hello", false},
		{"the default keys", "", "ab\x10\x11cd", "ab", true},
		{"half of them is text", "", "a\x10b", "a\x10b", false},
		{"the first twice", "", "\x10\x10\x11", "\x10", true},
		{"the end holds nothing back", "", "a\x10", "a\x10", false},
		{"other keys", "ctrl-a,x", "\x01y\x01x", "\x01y", true},
		{"a single key", "q", "abq", "ab", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys, err := parseKeys(test.keys)
			require.NoError(t, err)
			for _, r := range []io.Reader{strings.NewReader(test.typed), iotest.OneByteReader(strings.NewReader(test.typed))} {
				got, err := io.ReadAll(&keyReader{r: r, keys: keys})
				require.Equal(t, test.want, string(got))
				if test.detached {
					require.ErrorIs(t, err, errDetached)
				} else {
					require.NoError(t, err)
				}
			}
		})
	}
	for _, bad := range []string{"ctrl-", "ctrl-1", "ab", ",", "ctrl-pp"} {
		_, err := parseKeys(bad)
		require.Error(t, err, bad)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	var out bytes.Buffer
	p := &progress{out: bufio.NewWriter(&out), terminal: true, width: 150, now: time.Now, lines: map[string]int{}}
	for _, m := range []jsonstream.Message{
		{ID: "latest", Status: "Pulling from x"},
		{ID: "a", Status: "Pulling fs layer", Progress: &jsonstream.Progress{}},
		{ID: "b", Status: "Pulling fs layer", Progress: &jsonstream.Progress{}},
		{ID: "a", Status: "Downloading", Progress: &jsonstream.Progress{Current: 50, Total: 100}},
		{Status: "Digest: d"},
	} {
		require.NoError(t, p.show(m))
	}
	require.NoError(t, p.out.Flush())
	require.Equal(t, "latest: Pulling from x\n"+
		"\n\x1b[1A\x1b[2K\ra: Pulling fs layer \r\x1b[1B"+
		"\n\x1b[1A\x1b[2K\rb: Pulling fs layer \r\x1b[1B"+
		"\x1b[2A\x1b[2K\ra: Downloading ["+strings.Repeat("=", 25)+">"+strings.Repeat(" ", 25)+"]      50B/100B\r\x1b[2B"+
		"Digest: d\n", out.String())
}

func TestBar(t *testing.T) {
	now := time.Unix(100, 0)
	for _, test := range []struct {
		p     jsonstream.Progress
		width int
		want  string
	}{
		{jsonstream.Progress{}, 200, ""},
		{jsonstream.Progress{Current: 1500}, 200, "   1.5kB"},
		{jsonstream.Progress{Current: 3, Units: "layers"}, 200, "3 layers"},
		{jsonstream.Progress{Current: 50, Total: 100}, 80, "     50B/100B"},
		{jsonstream.Progress{Current: 100, Total: 100}, 200, "[" + strings.Repeat("=", 50) + ">]     100B/100B"},
		{jsonstream.Progress{Current: 200, Total: 100}, 80, "    200B"},
		{jsonstream.Progress{Current: 1, Total: 2, HideCounts: true}, 200, "[" + strings.Repeat("=", 25) + ">" + strings.Repeat(" ", 25) + "] "},
		{jsonstream.Progress{Current: 50, Total: 100, Start: 90}, 80, "     50B/100B 10s"},
	} {
		require.Equal(t, test.want, bar(test.p, test.width, now))
	}
}

func TestText(t *testing.T) {
	require.Equal(t, "8ecb42c6df86", shortID("sha256:8ecb42c6df866b22e1"))
	require.Equal(t, "ab", shortID("ab"))
	require.Equal(t, "abcd…", ellipsis("abcdef", 5))
	require.Equal(t, "äöü", ellipsis("äöü", 3))
	require.Equal(t, `"sh -c 'while true; …"`, quoted("sh -c 'while true; do :; done'", false))
	require.Equal(t, `"a\nb"`, quoted("a\nb", true))
}

func TestLanding(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	for _, test := range []struct {
		name, source, dest string
		isDir              bool
		want               target
		err                string
	}{
		{"a file into a directory", "/a/f", dir, false, target{dir, "f"}, ""},
		{"a file under a new name", "/a/f", dir + "/new", false, target{dir, "new"}, ""},
		{"a file over a file", "/a/f", dir + "/file", false, target{dir, "file"}, ""},
		{"a directory into a directory", "/a/d", dir, true, target{dir, "d"}, ""},
		{"a directory's contents", "/a/d/.", dir, true, target{dir, ""}, ""},
		{"a directory under a new name", "/a/d", dir + "/new", true, target{dir, "new"}, ""},
		{"a directory over a file", "/a/d", dir + "/file", true, target{}, "cannot copy directory"},
		{"into no directory", "/a/f", dir + "/no/", false, target{}, "no such directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := landing(test.source, test.isDir, test.dest)
			if test.err != "" {
				require.EqualError(t, err, test.err)
			}
			require.Equal(t, test.want, got)
		})
	}
	require.Equal(t, "new/x", renamed("d/x", "new"))
	require.Equal(t, "new", renamed("d/", "new"))
	require.Equal(t, "x/y", renamed("./x/y", ""))
	require.Equal(t, "new/x", renamed("d/../../x", "new"), "a name cannot climb out")
}

// TestUnpackIsNotFooled gives archives that a hostile container could make.
func TestUnpackIsNotFooled(t *testing.T) {
	outside := t.TempDir()
	tree := t.TempDir()
	require.NoError(t, os.Symlink(outside, filepath.Join(tree, "link")))
	var archive bytes.Buffer
	_, err := pack(&archive, tree, "d", os.Lstat)
	require.NoError(t, err)
	// A second archive writes through the link of the first.
	require.NoError(t, os.Remove(filepath.Join(tree, "link")))
	require.NoError(t, os.Mkdir(filepath.Join(tree, "link"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(tree, "link", "evil"), []byte("x"), 0o600))
	var second bytes.Buffer
	_, err = pack(&second, filepath.Join(tree, "link"), "d/link", os.Lstat)
	require.NoError(t, err)

	into := t.TempDir()
	_, err = unpack(&archive, into, "d", false)
	require.NoError(t, err)
	_, err = unpack(&second, into, "d", false)
	require.Error(t, err)
	entries, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestPackAndUnpack(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(from, "d", "sub"), 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(from, "d", "sub", "f"), []byte("text"), 0o640))
	require.NoError(t, os.Symlink("f", filepath.Join(from, "d", "sub", "l")))
	var archive bytes.Buffer
	_, err := pack(&archive, filepath.Join(from, "d"), "new", os.Lstat)
	require.NoError(t, err)
	_, err = unpack(&archive, to, "other", false)
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(to, "other", "sub", "l"))
	require.NoError(t, err)
	require.Equal(t, "text", string(text))
	info, err := os.Stat(filepath.Join(to, "other", "sub", "f"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm())
}
