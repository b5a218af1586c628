package initd

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"
)

// Say writes one line of ours to standard error.
func Say(words string) { _, _ = os.Stderr.WriteString("slipway-init: " + words + "\n") }

// Run starts the command, serves it until it ends, and returns the code to exit with: the child's, 128 and the signal that
// killed it, 127 for a program that is not there, 126 for one that cannot be run.
func Run(o Options) int {
	runtime.LockOSThread() // PR_SET_PDEATHSIG belongs to a thread
	if err := prepare(o); err != nil {
		Say(err.Error())
		return 1
	}
	// Listening starts before the child does: what comes in between is passed on when there is somebody to pass it to.
	died := make(chan os.Signal, 1) // one is enough: each is answered by collecting all there are
	signal.Notify(died, syscall.SIGCHLD)
	caught := make(chan os.Signal, 256)
	signal.Notify(caught)

	child, code, err := start(o.Command)
	if err != nil {
		Say(err.Error())
		return code
	}
	for {
		select {
		case s := <-caught:
			forward(s, child, o.Group)
		case <-died:
			if status, ended := collect(child, o.Warn); ended {
				return exitCode(status, o.Expect)
			}
		}
	}
}

// From linux/prctl.h.
const (
	prSetPdeathsig      = 1
	prSetChildSubreaper = 36
)

func prepare(o Options) error {
	if o.Parent != 0 {
		if _, _, e := syscall.RawSyscall(syscall.SYS_PRCTL, prSetPdeathsig, uintptr(o.Parent), 0); e != 0 {
			return os.NewSyscallError("prctl PR_SET_PDEATHSIG", e)
		}
	}
	if o.Subreaper {
		if _, _, e := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); e != 0 {
			return os.NewSyscallError("prctl PR_SET_CHILD_SUBREAPER", e)
		}
	} else if os.Getpid() != 1 {
		Say("not process 1 and no subreaper (-s): orphans go elsewhere")
	}
	return nil
}

// start runs the program in a process group of its own, and gives it the terminal if there is one, so that ^C goes to it.
func start(command []string) (pid, code int, err error) {
	path, err := lookPath(command[0])
	if err == nil {
		_, tty := foreground(0)
		attr := &syscall.ProcAttr{
			Env: os.Environ(), Files: []uintptr{0, 1, 2},
			Sys: &syscall.SysProcAttr{Setpgid: true, Foreground: tty, Ctty: 0},
		}
		if pid, err = syscall.ForkExec(path, command, attr); err == nil {
			return pid, 0, nil
		}
		err = &os.PathError{Op: "exec", Path: path, Err: err}
	}
	code = 126
	if os.IsNotExist(err) {
		code = 127
	}
	return 0, code, err
}

// foreground asks for the terminal's foreground process group; false: no terminal of ours.
func foreground(fd uintptr) (group int32, ok bool) {
	_, _, e := syscall.RawSyscall(syscall.SYS_IOCTL, fd, syscall.TIOCGPGRP, uintptr(unsafe.Pointer(&group)))
	return group, e == 0
}

// lookPath finds the program as execvp(3) does.
func lookPath(name string) (string, error) {
	for i := range len(name) {
		if name[i] == '/' {
			return name, nil
		}
	}
	path := os.Getenv("PATH")
	if path == "" {
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	var denied error
	for start, end := 0, 0; end <= len(path); end++ {
		if end < len(path) && path[end] != ':' {
			continue
		}
		full := path[start:end] + "/" + name
		start = end + 1
		var st syscall.Stat_t
		if err := syscall.Stat(full, &st); err == nil && st.Mode&syscall.S_IFMT == syscall.S_IFREG {
			if st.Mode&0o111 != 0 {
				return full, nil
			}
			denied = &os.PathError{Op: "exec", Path: full, Err: syscall.EACCES}
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", &os.PathError{Op: "exec", Path: name, Err: syscall.ENOENT}
}

// forward passes a signal on. Not those that the kernel raises for our own faults and our own terminal use, and not SIGURG,
// which Go's scheduler sends to itself.
func forward(s os.Signal, child int, group bool) {
	n, ok := s.(syscall.Signal)
	if !ok {
		return
	}
	switch n {
	case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGTTIN, syscall.SIGTTOU,
		syscall.SIGFPE, syscall.SIGILL, syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGTRAP, syscall.SIGSYS:
		return
	}
	if group {
		child = -child
	}
	if err := syscall.Kill(child, n); err != nil && err != syscall.ESRCH {
		Say("kill: " + err.Error())
	}
}

// collect takes every dead child there is, and tells whether ours was among them. The others were orphans.
func collect(child int, warn bool) (status syscall.WaitStatus, ended bool) {
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil || pid == 0: // ECHILD: nobody is left; 0: the others live
			return status, ended
		case pid == child:
			status, ended = ws, true
		case warn:
			Say("collected an orphan")
		}
	}
}

func exitCode(ws syscall.WaitStatus, expect [256]bool) int {
	code := ws.ExitStatus()
	if ws.Signaled() {
		code = 128 + int(ws.Signal())
	}
	if expect[code] {
		return 0
	}
	return code
}
