// Package managed keeps a slipway-manager of our own running: it starts one, starts another when that dies, and
// takes up the one that an earlier daemon left behind.
package managed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
	patience   = 10 * time.Second // between SIGTERM and SIGKILL
)

// Config says which program and where.
type Config struct {
	Program  string
	Root     string // what must last
	State    string // what is gone after a boot
	LogLevel string
	Log      *slog.Logger
}

// Address is its socket.
func (c Config) Address() string { return filepath.Join(c.State, "manager.sock") }

func (c Config) pidFile() string { return filepath.Join(c.State, "manager.pid") }

// Run keeps a manager running until ctx ends, and then stops it. It returns when it is gone.
func Run(ctx context.Context, c Config) error {
	for _, dir := range []string{c.Root, c.State} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	pause := firstPause
	for {
		began := time.Now()
		p, err := c.adoptOrStart()
		if err == nil {
			err = p.watch(ctx)
			if ctx.Err() != nil {
				return err
			}
			c.Log.Error("the manager died; starting another", "pid", p.pid, "err", err)
		} else {
			c.Log.Error("start the manager", "err", err)
		}
		if time.Since(began) > time.Minute {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
			pause = min(2*pause, lastPause)
		}
	}
}

// process is a manager that runs: our child, or one that an earlier daemon started.
type process struct {
	pid   int
	pidfd *os.File
	child *exec.Cmd // nil: adopted
}

func (c Config) adoptOrStart() (*process, error) {
	if p := c.adopt(); p != nil {
		c.Log.Info("found the manager of an earlier daemon", "pid", p.pid)
		return p, nil
	}
	return c.start()
}

// adopt finds a living manager by the pid file. A pid alone proves nothing: the number may belong to somebody
// else by now, so the start time must be the recorded one, and the socket must answer.
func (c Config) adopt() *process {
	data, err := os.ReadFile(c.pidFile())
	if err != nil {
		return nil
	}
	text, birth, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	pid, err := strconv.Atoi(text)
	if err != nil {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil
	}
	p := &process{pid: pid, pidfd: os.NewFile(uintptr(fd), "pidfd")}
	if now, err := startTime(pid); err != nil || now != birth {
		_ = p.pidfd.Close()
		return nil
	}
	for range 50 { // one that was just started may not listen yet
		conn, err := net.Dial("unix", c.Address())
		if err == nil {
			_ = conn.Close()
			return p
		}
		if p.exited(0) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	_ = p.pidfd.Close()
	return nil
}

// startTime is the moment of a process's birth in clock ticks, field 22 of proc_pid_stat(5); a zombie has none.
func startTime(pid int) (string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 20 || fields[0] == "Z" {
		return "", errors.New("it has ended")
	}
	return fields[19], nil
}

func (c Config) start() (*process, error) {
	cmd := exec.Command(c.Program, "--address", c.Address(), "--root", c.Root, "--state", c.State, "--log-level", c.LogLevel)
	fd := -1
	cmd.Stderr = os.Stderr
	cmd.Dir = "/"
	// A session of its own: a key typed at our terminal is not meant for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, PidFD: &fd}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{pid: cmd.Process.Pid, child: cmd, pidfd: os.NewFile(uintptr(fd), "pidfd")}
	birth, err := startTime(p.pid)
	if err == nil {
		err = os.WriteFile(c.pidFile(), fmt.Appendf(nil, "%d %s\n", p.pid, birth), 0o600)
	}
	if err != nil {
		c.Log.Warn("note the manager's pid", "err", err)
	}
	return p, nil
}

// watch returns when the process has ended; when ctx ends first, it ends the process.
func (p *process) watch(ctx context.Context) error {
	defer p.pidfd.Close()
	ended := make(chan error, 1)
	go func() {
		if p.child != nil {
			ended <- p.child.Wait()
			return
		}
		p.exited(-1)
		ended <- nil
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	_ = unix.PidfdSendSignal(int(p.pidfd.Fd()), unix.SIGTERM, nil, 0)
	select {
	case <-ended:
		return nil
	case <-time.After(patience):
	}
	err := unix.PidfdSendSignal(int(p.pidfd.Fd()), unix.SIGKILL, nil, 0)
	<-ended
	return err
}

// exited polls the pidfd (pidfd_open(2)): it is readable once the process has ended, reaped or not.
func (p *process) exited(timeoutMillis int) bool {
	for {
		fds := []unix.PollFd{{Fd: int32(p.pidfd.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, timeoutMillis)
		if err == unix.EINTR {
			continue
		}
		return err == nil && n > 0
	}
}
