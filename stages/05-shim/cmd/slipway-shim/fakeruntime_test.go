package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The fake runtime is this test program under another name: runc's command line without containers.
// It needs neither root nor a kernel feature, and it can be told to misbehave.
const (
	fakeRuntimeName = "fake-runtime"
	fakeInitName    = "fake-init"
)

type fake struct {
	root, log, bundle, pidFile, process, console string
	all                                          bool
	words                                        []string
	images, work                                 string
	leaveRunning                                 bool
}

func parseFake(args []string) (f fake) {
	values := map[string]*string{
		"--root": &f.root, "--log": &f.log, "--bundle": &f.bundle, "--pid-file": &f.pidFile,
		"--process": &f.process, "--console-socket": &f.console, "--image-path": &f.images, "--work-path": &f.work,
	}
	for i := 0; i < len(args); i++ {
		switch target := values[args[i]]; {
		case target != nil:
			i++
			*target = args[i]
		case args[i] == "--log-format" || args[i] == "--format" || args[i] == "--resources":
			i++
		case args[i] == "--all":
			f.all = true
		case args[i] == "--leave-running":
			f.leaveRunning = true
		case !strings.HasPrefix(args[i], "--"):
			f.words = append(f.words, args[i])
		}
	}
	return f
}

func fakeRuntime(args []string) int {
	f := parseFake(args)
	verbs := map[string]func() error{
		"create": f.create, "start": f.start, "exec": f.exec, "kill": f.kill, "delete": f.delete, "ps": f.ps, "checkpoint": f.checkpoint,
		"restore": f.restore,
	}
	verb := verbs[f.words[0]]
	if verb == nil {
		return 1
	}
	if err := verb(); err != nil {
		line, _ := json.Marshal(map[string]string{"level": "error", "msg": err.Error()})
		if log, err := os.OpenFile(f.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
			log.Write(append(line, '\n'))
			log.Close()
		}
		return 1
	}
	return 0
}

func (f fake) dir() string          { return filepath.Join(f.root, f.words[1]) }
func (f fake) pid() (int, error)    { return readNumber(filepath.Join(f.dir(), "pid")) }
func (f fake) file(n string) string { return filepath.Join(f.dir(), n) }

func readNumber(path string) (int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, errors.New("container does not exist")
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}

type fakeProcess struct {
	Args []string `json:"args"`
}

func (f fake) create() error {
	var spec struct {
		Process     fakeProcess
		Annotations map[string]string
	}
	data, err := os.ReadFile(filepath.Join(f.bundle, "config.json"))
	if err == nil {
		err = json.Unmarshal(data, &spec)
	}
	if err != nil {
		return err
	}
	if text := spec.Annotations["fake.create-error"]; text != "" {
		return errors.New(text)
	}
	if err := os.MkdirAll(f.dir(), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(f.file("slow"), []byte(spec.Annotations["fake.slow-start"]), 0o600); err != nil {
		return err
	}
	if err := unix.Mkfifo(f.file("gate"), 0o600); err != nil {
		return err
	}
	pid, err := f.leave(append([]string{fakeInitName, f.file("gate")}, spec.Process.Args...))
	if err != nil {
		return err
	}
	return os.WriteFile(f.file("pid"), []byte(strconv.Itoa(pid)), 0o600)
}

// leave starts a process that outlives the runtime and writes the pid file.
func (f fake) leave(args []string) (int, error) {
	path, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := &exec.Cmd{Path: path, Args: args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid := cmd.Process.Pid
	return pid, os.WriteFile(f.pidFile, []byte(strconv.Itoa(pid)), 0o600)
}

// fakeInit waits at the gate, if there is one, and becomes the program.
func fakeInit(args []string) int {
	if args[0] != "" {
		gate, err := os.Open(args[0])
		if err != nil {
			return 250
		}
		gate.Close()
	}
	path, err := exec.LookPath(args[1])
	if err == nil {
		err = syscall.Exec(path, args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, err)
	return 251
}

func (f fake) start() error {
	for range 1000 { // until init has come to the gate
		gate, err := os.OpenFile(f.file("gate"), os.O_WRONLY|unix.O_NONBLOCK, 0)
		if err == nil {
			gate.Close()
			slow, _ := os.ReadFile(f.file("slow"))
			pause, _ := time.ParseDuration(string(slow))
			time.Sleep(pause)
			return nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	return errors.New("cannot start a container that has stopped")
}

func (f fake) exec() error {
	if _, err := f.pid(); err != nil {
		return err
	}
	data, err := os.ReadFile(f.process)
	if err != nil {
		return err
	}
	var p fakeProcess
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	if p.Args[0] == "missing" {
		return errors.New(`exec: "missing": executable file not found in $PATH`)
	}
	pid, err := f.leave(append([]string{fakeInitName, ""}, p.Args...))
	if err != nil {
		return err
	}
	list, err := os.OpenFile(f.file("execs"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer list.Close()
	_, err = fmt.Fprintln(list, pid)
	return err
}

func (f fake) kill() error {
	signal, _ := strconv.Atoi(f.words[2])
	pid, err := f.pid()
	if err != nil {
		return err
	}
	if f.all {
		data, _ := os.ReadFile(f.file("execs"))
		for _, exec := range strings.Fields(string(data)) {
			n, _ := strconv.Atoi(exec)
			unix.Kill(n, unix.Signal(signal))
		}
	}
	if err := unix.Kill(pid, unix.Signal(signal)); err != nil && !f.all {
		return errors.New("container not running")
	}
	return nil
}

func (f fake) delete() error {
	pid, err := f.pid()
	if err != nil {
		return err
	}
	unix.Kill(pid, unix.SIGKILL)
	return os.RemoveAll(f.dir())
}

func (f fake) ps() error {
	pid, err := f.pid()
	if err != nil {
		return err
	}
	pids := []int{pid}
	data, _ := os.ReadFile(f.file("execs"))
	for _, exec := range strings.Fields(string(data)) {
		n, _ := strconv.Atoi(exec)
		pids = append(pids, n)
	}
	slices.Sort(pids)
	return json.NewEncoder(os.Stdout).Encode(pids)
}
