//go:build interop

package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// engine is the engine under test, which can be killed in parts.
type engine struct {
	dir    string
	target string
	data   string   // its data root; a test may put it elsewhere
	flags  []string // more than the usual
	daemon *exec.Cmd
	log    *os.File
}

func newEngine(dir, target string) (*engine, error) {
	if target != "slipway" && target != "docker" {
		return nil, fmt.Errorf("target %q: want slipway or docker", target)
	}
	for _, d := range []string{dir, filepath.Join(dir, "client")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	log, err := os.Create(filepath.Join(dir, "daemon.log"))
	return &engine{dir: dir, target: target, data: filepath.Join(dir, "data"), log: log}, err
}

func (e *engine) socket() string { return filepath.Join(e.dir, "e.sock") }

// command is the daemon's command line: for both the same names of flags.
func (e *engine) command() *exec.Cmd {
	args := []string{
		"--host", "unix://" + e.socket(), "--data-root", e.data, "--exec-root", filepath.Join(e.dir, "exec"),
		"--pidfile", filepath.Join(e.dir, "daemon.pid"), "--live-restore",
	}
	if e.target == "docker" {
		return exec.Command("dockerd", append(append(args, "--storage-driver", "overlay2"), e.flags...)...)
	}
	return exec.Command(filepath.Join(os.Getenv("SLIPWAY_INTEROP_BIN"), "slipway-daemon"), append(append(args, "--debug"), e.flags...)...)
}

func (e *engine) start() error {
	e.daemon = e.command()
	e.daemon.Stdout, e.daemon.Stderr = e.log, e.log
	e.daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	fmt.Fprintf(e.log, "=== start %s\n", strings.Join(e.daemon.Args, " "))
	if err := e.daemon.Start(); err != nil {
		return err
	}
	err := eventually(90*time.Second, func() error { // an emulated machine is slow
		return e.docker(context.Background(), "version").Run()
	})
	if err != nil {
		return fmt.Errorf("%s does not answer: %w\n%s", e.daemon.Path, err, e.lastWords())
	}
	return nil
}

// lastWords are the end of the daemon's log, without the chatter.
func (e *engine) lastWords() string {
	text, err := os.ReadFile(e.log.Name())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(text), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "level=DEBUG") })
	return tail(strings.Join(lines, "\n"), 40)
}

func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// docker is the docker command, speaking to this engine alone.
func (e *engine) docker(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+e.socket(), "DOCKER_CONFIG="+filepath.Join(e.dir, "client"))
	cmd.WaitDelay = time.Second
	return cmd
}

// stop ends the daemon in order.
func (e *engine) stop() error {
	if e.daemon == nil {
		return nil
	}
	if err := e.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- e.daemon.Wait() }()
	select {
	case <-done:
		e.daemon = nil
		return nil
	case <-time.After(30 * time.Second):
		return fmt.Errorf("%s goes on 30 s after SIGTERM", e.daemon.Path)
	}
}

// killDaemon is the worst that can happen to it.
func (e *engine) killDaemon() error {
	err := e.daemon.Process.Kill()
	_ = e.daemon.Wait()
	return err
}

// killManager kills the manager: containerd's or ours, told by its command name.
func (e *engine) killManager() error {
	pid, err := e.manager()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

func (e *engine) manager() (int, error) {
	want := map[string]string{"docker": "containerd", "slipway": "slipway-manager"}[e.target]
	for _, p := range processes() {
		if p.comm == want && strings.Contains(p.args, e.dir) {
			return p.pid, nil
		}
	}
	return 0, fmt.Errorf("no process %s of this engine", want)
}

type process struct {
	pid, parent int
	comm, args  string
}

// processes are all in our process namespace but zombies and ourselves.
func processes() []process {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var list []process
	for _, d := range dirs {
		stat, err := os.ReadFile(d + "/stat")
		if err != nil {
			continue // it has ended meanwhile
		}
		open, end := strings.IndexByte(string(stat), '('), strings.LastIndexByte(string(stat), ')')
		fields := strings.Fields(string(stat[end+1:]))
		pid, _ := strconv.Atoi(filepath.Base(d))
		parent, _ := strconv.Atoi(fields[1])
		args, _ := os.ReadFile(d + "/cmdline")
		if fields[0] != "Z" && pid != os.Getpid() {
			list = append(list, process{pid, parent, string(stat[open+1 : end]), strings.ReplaceAll(string(args), "\x00", " ")})
		}
	}
	return list
}
