package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/shield"
)

func TestMain(m *testing.M) {
	testscript.Main(shield.Around(m), map[string]func(){"isolate": main, "asuser": asUser, "withpidfd": withPIDFD})
}

// TestScripts runs testdata/*.txtar: the program as a person uses it. gives N COMMAND checks an exit status.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv(top, os.TempDir())
			return open(os.TempDir(), env.WorkDir)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"gives": gives},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "time":
				_, err := os.Stat("/proc/self/ns/time")
				return err == nil, nil
			case "root":
				return os.Geteuid() == 0, nil
			case "lsns", "newuidmap", "unshare", "pgrep":
				_, err := exec.LookPath(cond)
				return err == nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

// gives runs a command that must end with a status: 128+N for signal N, as a shell says it.
func gives(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: gives STATUS COMMAND [ARG...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if failed, ok := err.(*exec.ExitError); ok { //nolint:errorlint // testscript returns it as it is
		got = fmt.Sprint(failed.ExitCode())
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}

// top names the folder that all folders of the tests lie in; inside a script os.TempDir is another.
const top = "ISOLATE_TEST_TOP"

// open lets an ordinary user reach what lies below the tests' own folders.
func open(top, dir string) error {
	for ; strings.HasPrefix(dir, top+"/"); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if err := os.Chmod(dir, info.Mode().Perm()|0o111); err != nil {
			return err
		}
	}
	return nil
}

const ordinary = 4242

// asUser is a program that becomes an ordinary user with a range of subordinate ids, as useradd(8) gives one, in a mount
// namespace of its own, and then the program that its arguments name.
func asUser() {
	runtime.LockOSThread()
	err := func() error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return err
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return err
		}
		for file, text := range map[string]string{
			"/etc/subuid": "sliptuser:300000:65536\n", "/etc/subgid": "sliptuser:400000:65536\n",
			"/etc/passwd": "root:x:0:0::/root:/bin/sh\nsliptuser:x:4242:4242::/tmp:/bin/sh\n", "/etc/group": "root:x:0:\nsliptuser:x:4242:\n",
		} {
			if err := cover(file, text); err != nil {
				return err
			}
		}
		path, err := exec.LookPath(os.Args[1])
		if err != nil {
			return err
		}
		if err := open(os.Getenv(top), filepath.Dir(path)); err != nil {
			return err
		}
		if err := syscall.Setgroups(nil); err != nil {
			return err
		}
		if err := syscall.Setresgid(ordinary, ordinary, ordinary); err != nil {
			return err
		}
		if err := syscall.Setresuid(ordinary, ordinary, ordinary); err != nil {
			return err
		}
		return syscall.Exec(path, os.Args[1:], os.Environ())
	}()
	fmt.Fprintln(os.Stderr, "asuser:", err)
	os.Exit(99)
}

// cover binds a file of ours over one of the machine, in this mount namespace.
func cover(file, text string) error {
	f, err := os.CreateTemp("", "slipt")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if _, err := os.Stat(file); err != nil { // a machine without uidmap has none
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			return err
		}
	}
	return unix.Mount(f.Name(), file, "", unix.MS_BIND, "")
}

// withPIDFD is a program: withpidfd PID COMMAND, with a pidfd of the process as descriptor 3.
func withPIDFD() {
	var pid int
	_, err := fmt.Sscan(os.Args[1], &pid)
	if err == nil {
		var fd int
		if fd, err = unix.PidfdOpen(pid, 0); err == nil {
			cmd := exec.Command(os.Args[2], os.Args[3:]...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, []*os.File{os.NewFile(uintptr(fd), "pidfd")}
			err = cmd.Run()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpidfd:", err)
		os.Exit(1)
	}
}

// TestStep is a person at a terminal, who presses a key for each step.
func TestStep(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: new namespaces")
	}
	for name, c := range map[string]struct {
		keys, want string
		not        string
		status     int
	}{
		"one by one": {"     ", "execve sh", "", 7},
		"the rest":   {"r", "clone3 uts", "execve sh", 7},
		"quit":       {" q", "isolate: set the hostname to box: stopped", "execve sh", 1},
	} {
		t.Run(name, func(t *testing.T) {
			master, terminal := pty(t)
			isolate, err := exec.LookPath("isolate")
			require.NoError(t, err)
			cmd := exec.Command(isolate, "--uts", "--hostname", "box", "--step", "--", "sh", "-c", "stty -a <&0 >&2; exit 7")
			cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			require.NoError(t, cmd.Start())
			require.NoError(t, terminal.Close())
			screen := play(t, master, c.keys)
			_ = cmd.Wait() // the status is looked at
			require.Equal(t, c.status, cmd.ProcessState.ExitCode(), screen)
			require.Contains(t, screen, c.want)
			if c.not != "" {
				require.NotContains(t, screen, c.not)
			}
			if c.status == 7 {
				require.Regexp(t, `[^-]icanon`, screen, "the program has the terminal as it was")
				require.Regexp(t, `[^-]echo\b`, screen)
			}
			if len(c.keys) > 1 && c.status == 7 {
				require.Contains(t, screen, "waits: look at /proc/")
			}
		})
	}
}

// play presses the next key each time that one is asked for, and returns what was on the screen.
func play(t *testing.T, master *os.File, keys string) string {
	t.Helper()
	var screen strings.Builder
	b := make([]byte, 4096)
	for asked := 0; ; {
		n, err := master.Read(b)
		screen.Write(b[:n])
		if err != nil { // EIO: nobody has the other end open
			return screen.String()
		}
		for ; strings.Count(screen.String(), "q: quit] ") > asked && asked < len(keys); asked++ {
			_, err := master.Write([]byte{keys[asked]})
			require.NoError(t, err)
		}
	}
}

func pty(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return master, terminal
}
