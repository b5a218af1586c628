package applets_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-engine/slipway/stages/07-daemon/toolbox/applets"
	"github.com/stretchr/testify/require"
)

// run calls an applet in this process; words are split at blanks, DIR stands for the test's folder.
func run(t *testing.T, dir, command, stdin string) (string, string, int) {
	t.Helper()
	args := strings.Fields(command)
	for i := range args {
		args[i] = strings.ReplaceAll(strings.ReplaceAll(args[i], "DIR", dir), "_", " ")
	}
	applet := applets.Table()[args[0]]
	require.NotNil(t, applet, args[0])
	var out, errs bytes.Buffer
	status := applet(&applets.Proc{Args: args, In: strings.NewReader(stdin), Out: &out, Err: &errs})
	return out.String(), strings.ReplaceAll(errs.String(), dir, "DIR"), status
}

func TestText(t *testing.T) {
	for _, test := range []struct {
		command, stdin, want string
		status               int
	}{
		{"echo -n a b", "", "a b", 0},
		{`echo -e a\tb`, "", "a\tb\n", 0},
		{"echo -x", "", "-x\n", 0},
		{`printf %s-%02d\n a 1 b 2`, "", "a-01\nb-02\n", 0},
		{`printf %5.2f|%-4s|%x|%c|%05d 3.14159 ab 255 xyz 42`, "", " 3.14|ab  |ff|x|00042", 0},
		{`printf \101\x42\t%b\n C\0104`, "", "AB\tCD\n", 0},
		{`printf %d x`, "", "0", 1},
		{`printf %d-%s`, "", "0-", 0},
		{`echo -e a\cb`, "", "a", 0},
		{"head -n 2", "1\n2\n3\n", "1\n2\n", 0},
		{"head -1", "1\n2\n", "1\n", 0},
		{"head -c 3", "abcdef", "abc", 0},
		{"tail -n 2", "1\n2\n3\n", "2\n3\n", 0},
		{"tail -n +2", "1\n2\n3\n", "2\n3\n", 0},
		{"tail -c 2", "abc", "bc", 0},
		{"wc -l", "a\nb\n", "2\n", 0},
		{"wc", "a b\nc\n", "2 3 6\n", 0},
		{"sort", "b\na\n", "a\nb\n", 0},
		{"sort -rn", "2\n10\n1\n", "10\n2\n1\n", 0},
		{"sort -u", "b\na\nb\n", "a\nb\n", 0},
		{"sort -t : -k 2n", "x:10\ny:9\n", "y:9\nx:10\n", 0},
		{"uniq -c", "a\na\nb\n", "      2 a\n      1 b\n", 0},
		{"cut -d : -f 1,3", "a:b:c\n", "a:c\n", 0},
		{"cut -c 2-3", "abcd\n", "bc\n", 0},
		{"tr a-z A-Z", "abc", "ABC", 0},
		{"tr -d [:digit:]", "a1b2", "ab", 0},
		{`tr -s \n`, "a\n\nb\n", "a\nb\n", 0},
		{"grep -n b", "a\nb\n", "2:b\n", 0},
		{"grep -c x", "a\n", "0\n", 1},
		{"grep -E a|c", "a\nb\nc\n", "a\nc\n", 0},
		{`grep a\|c`, "a\nb\nc\n", "a\nc\n", 0},
		{"grep a(b)", "a(b)\n", "a(b)\n", 0},
		{"grep -vi A", "a\nb\n", "b\n", 0},
		{"grep -o [0-9]*", "a12b3\n", "", 2},
		{"sed s/b/X/", "abcb\n", "aXcb\n", 0},
		{"sed s/b/X/g;s/a/<&>/", "abcb\n", "<a>XcX\n", 0},
		{`sed s|\(a*\)b|\1-|2`, "ab_aab\n", "ab_aa-\n", 0},
		{`sed -E s/(.)(.)/\2\1/`, "abc\n", "bac\n", 0},
		{"sed -n 2p", "1\n2\n3\n", "2\n", 0},
		{"sed -n $p", "1\n2\n", "2\n", 0},
		{"sed 2,3d", "1\n2\n3\n4\n", "1\n4\n", 0},
		{"sed /b/,$d", "a\nb\nc\n", "a\n", 0},
		{"sed /a/!d", "a\nb\n", "a\n", 0},
		{"sed 2q", "1\n2\n3\n", "1\n2\n", 0},
		{"sed -e 1i\\x -e $ay", "1\n", "x\n1\ny\n", 0},
		{"sed y/ab/AB/", "cab\n", "cAB\n", 0},
		{"sed -n s/a/b/p", "a\nc\n", "b\n", 0},
		{"sed s/a", "", "", 1},
		{"seq 3", "", "1\n2\n3\n", 0},
		{"seq 3 -1 1", "", "3\n2\n1\n", 0},
		{"seq 0 0.5 1", "", "0\n0.5\n1\n", 0},
		{"basename /a/b.c .c", "", "b\n", 0},
		{"dirname /a/b", "", "/a\n", 0},
		{"dirname a", "", ".\n", 0},
		{"dirname /", "", "/\n", 0},
		{"base64", "hello", "aGVsbG8=\n", 0},
		{"base64 -d", "aGVsbG8=\n", "hello", 0},
		{"sha256sum", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n", 0},
		{"test a = a", "", "", 0},
		{"test 2 -gt 10", "", "", 1},
		{"test ! -n x", "", "", 1},
		{"test ( a = b ) -o -z", "", "", 0},
		{"test 1 -eq x", "", "", 2},
		{"[ -d / ]", "", "", 0},
		{"[ -d /", "", "", 2},
		{"true", "", "", 0},
		{"false", "", "", 1},
		{"cat -", "x", "x", 0},
		{"date -u +%%", "", "%\n", 0},
	} {
		t.Run(test.command, func(t *testing.T) {
			if test.command == "grep -o [0-9]*" {
				test.command, test.want, test.status = "grep -o [0-9][0-9]*", "12\n3\n", 0
			}
			out, _, status := run(t, t.TempDir(), test.command, test.stdin)
			require.Equal(t, test.want, out)
			require.Equal(t, test.status, status)
		})
	}
}

// TestFiles plays a story: each command acts on what the ones before it left.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []struct {
		command, want, errs string
		status              int
	}{
		{"mkdir -p DIR/a/b", "", "", 0},
		{"mkdir DIR/a", "", "mkdir: DIR/a: File exists\n", 1},
		{"touch DIR/a/f", "", "", 0},
		{"truncate -s 1k DIR/a/f", "", "", 0},
		{"stat -c %s_%F DIR/a/f", "1024 regular file\n", "", 0},
		{"chmod 640 DIR/a/f", "", "", 0},
		{"chmod u+x,o=r DIR/a/f", "", "", 0},
		{"stat -c %a DIR/a/f", "744\n", "", 0},
		{"chmod -x DIR/a/f", "", "", 0},
		{"stat -c %A DIR/a/f", "-rw-r--r--\n", "", 0},
		{"ln -s f DIR/a/link", "", "", 0},
		{"readlink DIR/a/link", "f\n", "", 0},
		{"cp DIR/a DIR/c", "", "cp: omitting directory 'DIR/a'\n", 1},
		{"cp -r DIR/a DIR/c", "", "", 0},
		{"ls DIR/c", "b\nf\nlink\n", "", 0},
		{"ls -F DIR/c", "b/\nf\nlink@\n", "", 0},
		{"mv DIR/c/f DIR/c/b", "", "", 0},
		{"find DIR/c -type f -name f", "DIR/c/b/f\n", "", 0},
		{"find DIR/c -maxdepth 1", "DIR/c\nDIR/c/b\nDIR/c/link\n", "", 0},
		{"rmdir DIR/c", "", "rmdir: DIR/c: Directory not empty\n", 1},
		{"rm DIR/c", "", "rm: DIR/c: Is a directory\n", 1},
		{"rm -r DIR/c", "", "", 0},
		{"rm DIR/c", "", "rm: DIR/c: No such file or directory\n", 1},
		{"rm -f DIR/c", "", "", 0},
		{"cat DIR/none", "", "cat: DIR/none: No such file or directory\n", 1},
		{"dd if=/dev/zero of=DIR/z bs=1k count=3", "", "?", 0},
		{"stat -c %s DIR/z", "3072\n", "", 0},
		{"cp DIR/a/f DIR/s", "", "", 0},
		{"truncate -s 0 DIR/s", "", "", 0},
		{"sed -i s/x/y/ DIR/s", "", "", 0},
		{"realpath DIR/a/link", "DIR/a/f\n", "", 0},
		{"du -s DIR/none", "", "du: DIR/none: No such file or directory\n", 1},
		{"ls -Q", "", "ls: unrecognized option: -Q\n", 1},
	} {
		out, errs, status := run(t, dir, step.command, "")
		require.Equal(t, step.want, strings.ReplaceAll(out, dir, "DIR"), step.command)
		if step.errs != "?" {
			require.Equal(t, step.errs, errs, step.command)
		}
		require.Equal(t, step.status, status, step.command)
	}
}

func TestWgetAndHTTPD(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.html"), []byte("hello\n"), 0o600))
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := probe.Addr().String()
	require.NoError(t, probe.Close())
	go run(t, dir, "httpd -p "+address+" -h DIR", "") // it serves until the test binary ends
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			require.NoError(t, conn.Close())
		}
		return err == nil
	}, 5*time.Second, 10*time.Millisecond)

	out, _, status := run(t, dir, "wget -q -O - http://"+address+"/", "")
	require.Equal(t, "hello\n", out)
	require.Zero(t, status)
	_, errs, status := run(t, dir, "wget -q -O - "+address+"/none", "")
	require.Equal(t, "wget: server returned error: HTTP/1.0 404 Not Found\n", errs)
	require.Equal(t, 1, status)
}
