package main

import (
	"errors"
	"fmt"
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

// The fake runtime's checkpoint and restore: the images are two files, what it was told and the program that ran.

// checkpoint leaves files where the images would be, and ends the container as criu does.
func (f fake) checkpoint() error {
	if err := os.MkdirAll(f.images, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(f.images, "work"), []byte(f.work), 0o600); err != nil {
		return err
	}
	pid, err := f.pid()
	if err != nil {
		return err
	}
	program, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err == nil {
		err = os.WriteFile(filepath.Join(f.images, "program"), program, 0o600)
	}
	if err != nil || f.leaveRunning {
		return err
	}
	return errors.Join(unix.Kill(pid, unix.SIGKILL), os.RemoveAll(f.dir()))
}

// restore runs the program anew. Like criu it leaves a log.
func (f fake) restore() error {
	if err := os.WriteFile(filepath.Join(f.work, "restore.log"), []byte(strings.Join(os.Args[1:], " ")), 0o600); err != nil {
		return err
	}
	if exists(filepath.Join(f.images, "broken")) {
		return errors.New("criu failed: type RESTORE errno 0")
	}
	for exists(filepath.Join(f.images, "slow")) { // until the test takes it away
		time.Sleep(5 * time.Millisecond)
	}
	program, err := os.ReadFile(filepath.Join(f.images, "program"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.dir(), 0o700); err != nil {
		return err
	}
	args := append([]string{fakeInitName, ""}, strings.Split(strings.TrimSuffix(string(program), "\x00"), "\x00")...)
	leave := f.leave
	if f.console != "" {
		leave = f.leaveOnTerminal
	}
	pid, err := leave(args)
	if err != nil {
		return err
	}
	return os.WriteFile(f.file("pid"), []byte(strconv.Itoa(pid)), 0o600)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// leaveOnTerminal is leave with a terminal, whose master goes to the console socket.
func (f fake) leaveOnTerminal(args []string) (int, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return 0, err
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return 0, err
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return 0, err
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return 0, err
	}
	defer slave.Close()
	conn, err := net.Dial("unix", f.console)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	_, _, err = conn.(*net.UnixConn).WriteMsgUnix([]byte("tty"), unix.UnixRights(int(master.Fd())), nil)
	if err != nil {
		return 0, err
	}
	path, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := &exec.Cmd{Path: path, Args: args, Stdin: slave, Stdout: slave, Stderr: slave}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	return cmd.Process.Pid, os.WriteFile(f.pidFile, []byte(strconv.Itoa(cmd.Process.Pid)), 0o600)
}
