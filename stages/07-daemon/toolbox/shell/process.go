package shell

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/syntax"
)

// children are the shell's processes. As process 1 the shell also reaps those it never started.
type children struct {
	mu     sync.Mutex
	status map[int]int   // guarded by mu; exit statuses nobody has asked for yet
	known  map[int]bool  // guarded by mu; ours, running or not yet asked for
	ended  chan struct{} // something was reaped
}

func newChildren() *children {
	c := &children{status: map[int]int{}, known: map[int]bool{}, ended: make(chan struct{}, 1)}
	sigchld := make(chan os.Signal, 1)
	signal.Notify(sigchld, syscall.SIGCHLD)
	go func() {
		for range sigchld {
			c.reap()
		}
	}()
	return c
}

// reap collects everything that has ended; one SIGCHLD may stand for many (signal(7)).
func (c *children) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			break
		}
		if c.known[pid] {
			c.status[pid] = statusOf(ws)
		}
	}
	select {
	case c.ended <- struct{}{}:
	default:
	}
}

func statusOf(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// start forks and executes under the lock, so that reap never meets a child it does not know yet.
func (c *children) start(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pid, err := syscall.ForkExec(path, argv, attr)
	if err == nil {
		c.known[pid] = true
	}
	return pid, err
}

// take returns the status of an ended child and forgets it.
func (c *children) take(pid int) (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	status, ok := c.status[pid]
	if ok {
		delete(c.status, pid)
		delete(c.known, pid)
	}
	return status, ok
}

func (c *children) pids() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.known))
}

// waitFor waits for a foreground process. Trapped signals are remembered and acted upon afterwards (POSIX 2.11).
func (s *Shell) waitFor(pid int) int {
	if pid <= 0 {
		return -pid // could not be started: the status is there already
	}
	for {
		if status, ok := s.children.take(pid); ok {
			s.tellDeath(status)
			return status
		}
		<-s.children.ended
	}
}

// tellDeath words a death by signal for a person at a prompt.
func (s *Shell) tellDeath(status int) {
	if !s.set.interactive || status <= 128 {
		return
	}
	switch sig := syscall.Signal(status - 128); sig {
	case syscall.SIGINT:
		fmt.Fprintln(s.file(2))
	case syscall.SIGPIPE:
	default:
		if text := sig.String(); text != "" && !strings.HasPrefix(text, "signal ") {
			fmt.Fprintln(s.file(2), strings.ToUpper(text[:1])+text[1:])
		}
	}
}

// find looks a program up on PATH; it returns 127 when it is not there and 126 when it cannot be run.
func (s *Shell) find(name, path string) (string, int) {
	if strings.Contains(name, "/") {
		info, err := os.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			s.complain("%s: not found", name)
			return "", 127
		case err != nil:
			s.complain("%s: %s", name, reason(err))
			return "", 126
		case info.IsDir() || unix.Access(name, unix.X_OK) != nil:
			s.complain("%s: Permission denied", name)
			return "", 126
		}
		return name, 0
	}
	if full := lookPath(name, path); full != "" {
		return full, 0
	}
	s.complain("%s: not found", name)
	return "", 127
}

func lookPath(name, path string) string {
	for _, dir := range filepath.SplitList(path) {
		full := filepath.Join(dir, name)
		if dir == "" {
			full = "./" + name
		}
		if info, err := os.Stat(full); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return full
		}
	}
	return ""
}

// spawn starts a program; without a pid it returns the status that explains why not.
func (s *Shell) spawn(argv, env []string, fds map[int]*os.File) (int, int) {
	path, status := s.find(argv[0], s.vars["PATH"].Str)
	if status != 0 {
		return 0, status
	}
	return s.startFile(path, argv, env, fds, false)
}

func (s *Shell) startFile(path string, argv, env []string, fds map[int]*os.File, ownGroup bool) (int, int) {
	attr := &syscall.ProcAttr{Env: env, Files: descriptors(fds), Sys: &syscall.SysProcAttr{Setpgid: ownGroup}}
	pid, err := s.children.start(path, argv, attr)
	if errors.Is(err, syscall.ENOEXEC) { // a script without #! (POSIX 2.9.1.6)
		if self, ok := s.self(); ok {
			pid, err = s.children.start(self, append([]string{"sh", path}, argv[1:]...), attr)
		}
	}
	if err != nil {
		s.complain("%s: %s", argv[0], reason(err))
		if errors.Is(err, syscall.ENOENT) {
			return 0, 127
		}
		return 0, 126
	}
	return pid, 0
}

// descriptors lays the open files out for fork: the index is the descriptor in the child, -1... is closed there.
func descriptors(fds map[int]*os.File) []uintptr {
	highest := 2
	for fd := range fds {
		highest = max(highest, fd)
	}
	list := make([]uintptr, highest+1)
	for i := range list {
		list[i] = ^uintptr(0)
		if f := fds[i]; f != nil {
			list[i] = f.Fd()
		}
	}
	return list
}

// pipeline connects processes with pipes and takes the status of the last (POSIX 2.9.2).
func (s *Shell) pipeline(c *syntax.BinaryCmd) {
	parts := flatten(c)
	pids := make([]int, len(parts))
	input := s.fds[0]
	for i, part := range parts {
		fds := maps.Clone(s.fds)
		fds[0] = input
		var next, out *os.File
		if i < len(parts)-1 {
			var err error
			if next, out, err = os.Pipe(); err != nil {
				s.complain("pipe: %s", reason(err))
				s.status = 2
				return
			}
			fds[1] = out
			if partOp(c, i) == syntax.PipeAll {
				fds[2] = out
			}
		}
		pids[i] = s.startPart(part, fds)
		if i > 0 {
			closeFile(input)
		}
		closeFile(out)
		input = next
	}
	for _, pid := range pids {
		s.status = s.waitFor(pid)
	}
}

func flatten(c *syntax.BinaryCmd) []*syntax.Stmt {
	if left, ok := c.X.Cmd.(*syntax.BinaryCmd); ok && len(c.X.Redirs) == 0 && !c.X.Negated && (left.Op == syntax.Pipe || left.Op == syntax.PipeAll) {
		return append(flatten(left), c.Y)
	}
	return []*syntax.Stmt{c.X, c.Y}
}

func partOp(c *syntax.BinaryCmd, i int) syntax.BinCmdOperator {
	for range len(flatten(c)) - 2 - i {
		c = c.X.Cmd.(*syntax.BinaryCmd)
	}
	return c.Op
}

// startPart starts one process for a statement: a program directly, anything else as a subshell. A negative result is a status.
func (s *Shell) startPart(st *syntax.Stmt, fds map[int]*os.File) int {
	call, ok := st.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 || st.Negated || !s.isProgram(call) {
		return s.subshell([]*syntax.Stmt{st}, fds, false)
	}
	saved, depth := s.fds, s.flow
	s.fds = fds
	defer func() { s.fds, s.flow = saved, depth }()
	opened, ok := s.redirect(st.Redirs)
	defer func() {
		for _, f := range opened {
			closeFile(f)
		}
	}()
	if !ok {
		return -1
	}
	argv, ok := s.words(call)
	if !ok || len(argv) == 0 {
		return -s.status
	}
	extra, ok := s.temporary(call.Assigns)
	if !ok {
		return -s.status
	}
	s.trace(argv)
	pid, status := s.spawn(argv, s.exported(extra), s.fds)
	if pid == 0 {
		return -status
	}
	return pid
}

// isProgram tells whether a simple command surely names a program: a plain word that is no function, builtin or inner applet.
func (s *Shell) isProgram(call *syntax.CallExpr) bool {
	name := call.Args[0].Lit()
	return name != "" && s.funcs[name] == nil && s.builtins[name] == nil && s.applets[name] == nil
}

// background starts a statement and does not wait; without job control it reads /dev/null (POSIX 2.9.3.1).
func (s *Shell) background(st *syntax.Stmt) {
	fds := maps.Clone(s.fds)
	null, err := os.Open(os.DevNull)
	if err == nil && !s.set.interactive {
		fds[0] = null
	}
	copied := *st
	copied.Background = false
	pid := s.startPart(&copied, fds)
	closeFile(null)
	if pid > 0 {
		s.bang = pid
		s.status = 0
		return
	}
	s.status = -pid
}

// substitute runs $(…): a program or a subshell writes into a pipe, a builtin that changes nothing runs here.
func (s *Shell) substitute(w io.Writer, cs *syntax.CmdSubst) error {
	if len(cs.Stmts) == 0 {
		return nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer closeFile(read)
	fds := maps.Clone(s.fds)
	fds[1] = write
	var text bytes.Buffer
	var copied sync.WaitGroup
	copied.Go(func() { _, err = io.Copy(&text, read) })
	if len(cs.Stmts) == 1 && s.harmless(cs.Stmts[0]) {
		saved := s.fds
		s.fds = fds
		s.call(cs.Stmts[0].Cmd.(*syntax.CallExpr))
		s.fds = saved
		closeFile(write)
	} else {
		pid := 0
		if len(cs.Stmts) == 1 && !cs.Stmts[0].Background {
			pid = s.startPart(cs.Stmts[0], fds)
		} else {
			pid = s.subshell(cs.Stmts, fds, false)
		}
		closeFile(write)
		defer func() { s.status = s.waitFor(pid) }()
	}
	copied.Wait()
	if err != nil {
		return err
	}
	_, err = w.Write(text.Bytes())
	return err
}

// harmless tells a command that may run in this process although it stands in a subshell: it changes no state.
func (s *Shell) harmless(st *syntax.Stmt) bool {
	call, ok := st.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 || len(call.Assigns) > 0 || len(st.Redirs) > 0 || st.Negated || st.Background {
		return false
	}
	name := call.Args[0].Lit()
	return s.funcs[name] == nil && s.applets[name] != nil && name != "kill"
}
