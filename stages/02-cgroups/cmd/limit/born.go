package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

type unixStatus = syscall.WaitStatus

// command prepares a program that is in the group before its first instruction. On v2 clone3 makes it there.
// On v1 there is no such call: limit executes itself, and that process joins before it becomes the program.
func command(g *cgroup.Group, program string, args []string) (cmd *exec.Cmd, release func(), err error) {
	dir, files, err := g.Birth()
	if err != nil {
		return nil, nil, err
	}
	release = func() {
		for _, f := range append(files, dir) {
			f.Close() // nil is allowed
		}
	}
	cmd = &exec.Cmd{Path: program, Args: args}
	if len(files) > 0 {
		cmd.Path = "/proc/self/exe"
		cmd.Args = append([]string{"limit", "born", strconv.Itoa(len(files)), program}, args...)
		cmd.ExtraFiles = files
	}
	if dir != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	}
	return cmd, release, nil
}

// newBorn is the other side of command: limit born N PROGRAM ARG0 [ARG...], with N files from descriptor 3 on.
func newBorn() *cobra.Command {
	return &cobra.Command{
		Use: "born", Hidden: true, DisableFlagParsing: true, Args: cobra.MinimumNArgs(3),
		RunE: func(_ *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[0])
			if err != nil {
				return err
			}
			return born(n, args[1], args[2:])
		},
	}
}

// born joins with this thread alone, which is enough: execve makes it the whole process.
func born(n int, program string, args []string) error {
	runtime.LockOSThread()
	for fd := 3; fd < 3+n; fd++ {
		if _, err := unix.Write(fd, []byte("0")); err != nil {
			name, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)) // best effort, for the message
			return fmt.Errorf("join %s: %w", name, err)
		}
		unix.CloseOnExec(fd)
	}
	return startError{fmt.Errorf("execute %s: %w", program, unix.Exec(program, args, os.Environ()))}
}
