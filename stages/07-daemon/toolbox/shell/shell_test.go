package shell_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-engine/slipway/stages/07-daemon/toolbox/applets"
	"github.com/slipway-engine/slipway/stages/07-daemon/toolbox/shell"
	"github.com/stretchr/testify/require"
)

// TestMain makes the test binary the toolbox when it is started by an applet's name, as the real program is.
func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	if name == "sh" {
		shell.BecomeFirst()
		inside := applets.Table()
		maps.DeleteFunc(inside, func(name string, _ applets.Applet) bool {
			return !slices.Contains([]string{"echo", "printf", "test", "[", "true", "false", "pwd", "kill"}, name)
		})
		os.Exit(shell.Main(os.Args, inside))
	}
	if applet := applets.Table()[name]; applet != nil {
		shell.BecomeFirst()
		os.Exit(applet(&applets.Proc{Args: os.Args, In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	os.Exit(m.Run())
}

// bin is a folder of links to this test binary, one per command.
func bin(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	for name := range applets.Table() {
		require.NoError(t, os.Symlink(self, filepath.Join(dir, name)))
	}
	require.NoError(t, os.Symlink(self, filepath.Join(dir, "sh")))
	return dir
}

// sh prepares `sh ARGS…` in an empty folder with nothing but the toolbox on PATH.
func sh(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(dir, "sh"), args...)
	cmd.Args[0] = "sh"
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + dir, "HOME=/root"}
	return cmd
}

func TestShell(t *testing.T) {
	dir := bin(t)
	for _, test := range []struct {
		name, script, want string
		status             int
	}{
		{"exit status of the last command", "true; sh -c 'exit 7'", "", 7},
		{"exit", "exit 3; echo no", "", 3},
		{"not found is 127", "nosuch 2>/dev/null", "", 127},
		{"not executable is 126", "echo x >f; ./f 2>/dev/null", "", 126},
		{"death by signal is 128 and its number", "sh -c 'kill -KILL $$'; echo $?", "137\n", 0},
		{"variables and splitting", `x="a  b"; echo $x "$x"`, "a b a  b\n", 0},
		{"defaults", `echo ${a:-d} ${a:=e} $a ${a:+f} ${#a}`, "d e e f 1\n", 0},
		{"suffixes", `p=/a/b.txt; echo ${p##*/} ${p%.txt}`, "b.txt /a/b\n", 0},
		{"arithmetic", `i=2; echo $((i * 3 + 1))`, "7\n", 0},
		{"command substitution of a program", `echo "[$(seq 2)]"`, "[1\n2]\n", 0},
		{"command substitution keeps state apart", `x=1; y=$(x=2; echo $x); echo $x $y`, "1 2\n", 0},
		{"command substitution of a builtin", "echo `pwd | wc -l`", "1\n", 0},
		{"subshell keeps state apart but inherits it", `x=1; f() { echo f$x; }; (x=2; f); f`, "f2\nf1\n", 0},
		{"subshell's dollar dollar is the parent's", `a=$$; (test $a = $$ && echo same)`, "same\n", 0},
		{"quotes survive a subshell", `x="it's"; (echo "$x")`, "it's\n", 0},
		{"pipeline", `seq 5 | grep -v 3 | wc -l`, "4\n", 0},
		{"a pipeline's status is its last command's", `false | true; echo $?; true | false; echo $?`, "0\n1\n", 0},
		{"while in a pipeline", `seq 2 | while read n; do echo "<$n>"; done`, "<1>\n<2>\n", 0},
		{"if, elif, else", `if false; then echo 1; elif true; then echo 2; else echo 3; fi`, "2\n", 0},
		{"for with break", `for i in 1 2 3; do [ $i = 3 ] && break; echo $i; done`, "1\n2\n", 0},
		{"continue of an outer loop", `for i in 1 2; do for j in a b; do [ $j = b ] && continue 2; echo $i$j; done; done`, "1a\n2a\n", 0},
		{"until", `i=0; until [ $i = 2 ]; do i=$((i+1)); done; echo $i`, "2\n", 0},
		{"case", `case abc in x|a*) echo yes;; *) echo no;; esac`, "yes\n", 0},
		{"function with local and return", `f() { local x=in; echo $x $1; return 4; }; x=out; f arg; echo $? $x`, "in arg\n4 out\n", 0},
		{"here-document", "cat <<E\n$((1+1)) 'q'\nE\n", "2 'q'\n", 0},
		{"quoted here-document", "cat <<'E'\n$x\nE\n", "$x\n", 0},
		{"redirections", `{ echo out; echo err >&2; } >f 2>&1; cat f; echo more >>f; wc -l <f`, "out\nerr\n3\n", 0},
		{"descriptor above two", `exec 3>f; echo x >&3; exec 3>&-; cat f`, "x\n", 0},
		{"descriptor above two in a subshell", `exec 3>f; (echo x >&3); cat f`, "x\n", 0},
		{"backslashes in values", `x=a\'b; echo $x; y="$x"\"; echo "$y"`, "a'b\na'b\"\n", 0},
		{"exec replaces the shell", `exec echo gone; echo no`, "gone\n", 0},
		{"set -e", `set -e; false || true; if false; then :; fi; echo on; false; echo no`, "on\n", 1},
		{"set -e spares conditions and negations", `set -e; (false; echo x) || echo caught; ! true; echo on`, "x\non\n", 0},
		{"a missing file ends a script", `. ./nosuch 2>/dev/null; echo no`, "", 2},
		{"kill -l translates", `kill -l 9 TERM 143`, "KILL\n15\nTERM\n", 0},
		{"set -u", `set -u; echo $nope 2>/dev/null`, "", 2},
		{"shift and positional parameters", `set -- a "b c" d; shift; echo $# "$1"; for x; do echo "<$x>"; done`, "2 b c\n<b c>\n<d>\n", 0},
		{"export reaches programs, others do not", `a=1; export b="2  3"; env | grep '^[ab]='`, "b=2  3\n", 0},
		{"assignment before a command", `x=1 sh -c 'echo $x'; echo "[$x]"`, "1\n[]\n", 0},
		{"readonly", `readonly x=1; x=2; echo no`, "", 2},
		{"background and wait", `sleep 0.01 & p=$!; wait $p; echo $?`, "0\n", 0},
		{"wait for a killed job", `sleep 50 & p=$!; kill $p; wait $p; echo $?`, "143\n", 0},
		{"wait for all", `sh -c 'exit 3' & true & wait; echo $?`, "0\n", 0},
		{"trap EXIT keeps the status", `trap 'echo bye' EXIT; exit 5`, "bye\n", 5},
		{"trap a signal from itself", `trap 'echo got' USR1; kill -USR1 $$; echo after`, "got\nafter\n", 0},
		{"trap ignores", `trap '' TERM; kill -TERM $$; echo alive`, "alive\n", 0},
		{"trap is listed", `trap 'echo x' INT; trap`, "trap -- 'echo x' INT\n", 0},
		{"kill without a trap ends the shell", `kill -TERM $$; echo no`, "", -1},
		{"getopts", `while getopts ab:c o -a -b v -c; do echo "$o$OPTARG"; OPTARG=; done`, "a\nbv\nc\n", 0},
		{"read splits", `echo "a b c" | { read x y; echo "$y"; }`, "b c\n", 0},
		{"eval and dot", `eval 'x=1'; echo 'y=2' >f; . ./f; echo $x$y`, "12\n", 0},
		{"globbing", `touch b a; echo *; echo 'c'*`, "a b\nc*\n", 0},
		{"negation", `! true; echo $?`, "1\n", 0},
		{"command -v and type", `command -v echo; type nosuch || echo missing`, "echo\nnosuch: not found\nmissing\n", 0},
		{"a script without #!", `echo 'echo script $1' >f; chmod +x f; ./f arg`, "script arg\n", 0},
		{"syntax error", `if then`, "", 2},
		{"umask and ulimit", `umask 027; umask; ulimit -n 64; ulimit -n; sh -c 'ulimit -n'`, "0027\n64\n64\n", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cmd := sh(t, dir, "-c", test.script)
			out, err := cmd.Output()
			if err != nil {
				require.IsType(t, &exec.ExitError{}, err)
			}
			require.Equal(t, test.want, string(out))
			require.Equal(t, test.status, cmd.ProcessState.ExitCode())
		})
	}
}

func TestScriptOnStandardInput(t *testing.T) {
	cmd := sh(t, bin(t))
	cmd.Stdin = strings.NewReader("read line\nthis is data\necho \"got $line\"\nexit 2\n")
	out, err := cmd.Output()
	require.Error(t, err)
	require.Equal(t, "got this is data\n", string(out))
	require.Equal(t, 2, cmd.ProcessState.ExitCode())
}

func TestLastCommandOfAStringReplacesTheShell(t *testing.T) {
	cmd := sh(t, bin(t), "-c", "sleep 100")
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool {
		text, err := os.ReadFile("/proc/" + itoa(cmd.Process.Pid) + "/cmdline")
		return err == nil && string(text) == "sleep\x00100\x00"
	}, 5*time.Second, 5*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
}

func TestTrapInterruptsWait(t *testing.T) {
	cmd := sh(t, bin(t), "-c", `trap 'echo term; kill $!; exit 7' TERM; sleep 100 & echo ready; wait`)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	buf := make([]byte, 6)
	_, err = out.Read(buf)
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	var rest bytes.Buffer
	_, err = rest.ReadFrom(out)
	require.NoError(t, err)
	require.Error(t, cmd.Wait())
	require.Equal(t, "term\n", rest.String())
	require.Equal(t, 7, cmd.ProcessState.ExitCode())
}

// TestProcessOne runs the shell as the first process of a pid namespace, as a container does.
func TestProcessOne(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := bin(t)
	first := func(t *testing.T, script string) *exec.Cmd {
		cmd := sh(t, dir, "-c", script)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
		return cmd
	}
	t.Run("a signal nobody handles is dropped", func(t *testing.T) {
		out, err := first(t, `echo $$; kill -TERM $$; kill -INT 1; echo alive; exit 3`).Output()
		require.Error(t, err)
		require.Equal(t, "1\nalive\n", string(out))
	})
	t.Run("a trap is taken", func(t *testing.T) {
		cmd := first(t, `trap 'exit 9' TERM; kill -TERM 1; echo no`)
		out, err := cmd.Output()
		require.Error(t, err)
		require.Empty(t, string(out))
		require.Equal(t, 9, cmd.ProcessState.ExitCode())
	})
	t.Run("orphans are reaped and do not disturb wait", func(t *testing.T) {
		out, err := first(t, `sh -c 'sleep 0.02 & exit 0'; sleep 0.1 & wait $!; echo $?`).Output()
		require.NoError(t, err)
		require.Equal(t, "0\n", string(out))
	})
}

func itoa(n int) string {
	var text []byte
	for ; n > 0; n /= 10 {
		text = append([]byte{byte('0' + n%10)}, text...)
	}
	return string(text)
}
