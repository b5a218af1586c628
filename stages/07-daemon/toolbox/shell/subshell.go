package shell

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/syntax"
)

// stateVariable names the descriptor on which a subshell finds its state.
const stateVariable = "_SLIPWAY_SH_STATE"

// subshell starts a copy of this shell that runs the statements. Go cannot fork, so the copy gets the state as a script:
// variables, functions, parameters and options, then the statements. A negative result is a status.
func (s *Shell) subshell(list []*syntax.Stmt, fds map[int]*os.File, ownGroup bool) int {
	self, ok := s.self()
	if !ok {
		s.complain("cannot find myself for a subshell")
		return -2
	}
	state, err := s.stateFile(list)
	if err != nil {
		s.complain("subshell: %v", err)
		return -2
	}
	defer closeFile(state)
	fds = maps.Clone(fds)
	at := 10
	for fds[at] != nil {
		at++
	}
	fds[at] = state
	env := append(s.exported(nil), fmt.Sprintf("%s=%d", stateVariable, at))
	pid, status := s.startFile(self, os.Args, env, fds, ownGroup)
	if pid == 0 {
		return -status
	}
	return pid
}

// self is this program by a name that shows as `sh` in the process list where possible.
func (s *Shell) self() (string, bool) {
	exe, err := os.Executable()
	if err != nil {
		exe = ""
	}
	for _, name := range []string{lookPath("sh", s.vars["PATH"].Str), "/bin/sh"} {
		if real, err := filepath.EvalSymlinks(name); err == nil && (real == exe || exe == "") {
			return name, true
		}
	}
	return exe, exe != ""
}

func (s *Shell) stateFile(list []*syntax.Stmt) (*os.File, error) {
	fd, err := unix.MemfdCreate("sh", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "state")
	var text strings.Builder
	fmt.Fprintf(&text, "%d %d %d %q\n", s.pid, s.status, s.bang, s.name)
	if err := s.writeState(&text); err != nil {
		return f, err
	}
	printer := syntax.NewPrinter()
	for _, st := range list {
		if err := printer.Print(&text, st); err != nil {
			return f, err
		}
		text.WriteString("\n")
	}
	if _, err := f.WriteString(text.String()); err != nil {
		return f, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return f, err
}

// writeState writes what the environment does not carry, as shell text.
func (s *Shell) writeState(w *strings.Builder) error {
	readonly := []string{}
	for _, name := range slices.Sorted(maps.Keys(s.vars)) {
		v := s.vars[name]
		if !v.IsSet() {
			continue
		}
		if !v.Exported {
			fmt.Fprintf(w, "%s=%s\n", name, quote(v.Str))
		}
		if v.ReadOnly {
			readonly = append(readonly, name)
		}
	}
	printer := syntax.NewPrinter()
	for _, name := range slices.Sorted(maps.Keys(s.funcs)) {
		fmt.Fprintf(w, "%s() ", name)
		if err := printer.Print(w, s.funcs[name]); err != nil {
			return err
		}
		w.WriteString("\n")
	}
	w.WriteString("set --")
	for _, param := range s.params {
		w.WriteString(" " + quote(param))
	}
	w.WriteString("\n")
	for _, name := range readonly {
		fmt.Fprintf(w, "readonly %s\n", name)
	}
	for signal, action := range s.traps {
		if action == "" {
			fmt.Fprintf(w, "trap '' %s\n", signal) // ignored stays ignored, caught is reset (POSIX 2.11)
		}
	}
	set := s.set
	set.interactive = false
	set.errexit = set.errexit && s.depth.conditions == 0 // in a condition -e is ignored, in its subshells too (POSIX 2.14, set)
	if letters := set.letters(); letters != "" {
		fmt.Fprintf(w, "set -%s\n", letters)
	}
	return nil
}

// quote makes one literal word.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// subshellMain is the other end: it reads the state and runs it.
func (s *Shell) subshellMain(where string) int {
	fd, ok := atoi(where)
	if !ok {
		s.complain("%s: bad descriptor %q", stateVariable, where)
		return 2
	}
	f := os.NewFile(uintptr(fd), "state")
	text, err := io.ReadAll(f)
	closeFile(f)
	if err != nil {
		s.complain("read the subshell's state: %v", err)
		return 2
	}
	header, script, _ := strings.Cut(string(text), "\n")
	if _, err := fmt.Sscanf(header, "%d %d %d %q", &s.pid, &s.status, &s.bang, &s.name); err != nil {
		s.complain("read the subshell's state: %v", err)
		return 2
	}
	if err := os.Unsetenv(stateVariable); err != nil {
		s.complain("%v", err)
		return 2
	}
	s.adoptFiles(fd)
	status := s.status
	file, err := newParser().Parse(strings.NewReader(script), "")
	if err != nil {
		s.complain("syntax error: %v", err)
		return 2
	}
	s.status = status
	for i, st := range file.Stmts {
		if i == len(file.Stmts)-1 && s.replaceable(st) {
			s.execStmt(st)
			break
		}
		s.stmt(st)
		if s.flow.kind != flowNone {
			break
		}
	}
	return s.leave()
}

// adoptFiles takes over the descriptors above 2 that the parent shell had open.
func (s *Shell) adoptFiles(state int) {
	for fd := 3; fd < 10; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && fd != state && flags&unix.FD_CLOEXEC == 0 {
			s.fds[fd] = os.NewFile(uintptr(fd), fmt.Sprintf("fd%d", fd))
		}
	}
}

// replaceable tells whether the last command may take this process over: a plain program, and no trap to run afterwards.
func (s *Shell) replaceable(st *syntax.Stmt) bool {
	call, ok := st.Cmd.(*syntax.CallExpr)
	if !ok || st.Negated || st.Background || len(call.Args) == 0 || !s.isProgram(call) {
		return false
	}
	for _, action := range s.traps {
		if action != "" {
			return false
		}
	}
	return len(s.children.pids()) == 0
}

// execStmt replaces the shell by a simple command.
func (s *Shell) execStmt(st *syntax.Stmt) {
	s.runTraps()
	if _, ok := s.redirect(st.Redirs); !ok {
		s.status = 1
		return
	}
	call := st.Cmd.(*syntax.CallExpr)
	argv, ok := s.words(call)
	if !ok {
		return
	}
	extra, ok := s.temporary(call.Assigns)
	if !ok {
		return
	}
	if len(argv) == 0 {
		return
	}
	s.trace(argv)
	s.status = s.replace(argv, s.exported(extra))
}

// replace is execve: descriptors are put in their places first. It only returns on failure.
func (s *Shell) replace(argv, env []string) int {
	path, status := s.find(argv[0], s.vars["PATH"].Str)
	if status != 0 {
		return status
	}
	if err := s.placeFiles(); err != nil {
		s.complain("%v", err)
		return 126
	}
	signal.Reset()
	for name, action := range s.traps {
		if sig, ok := signalOf(name); ok && action == "" {
			signal.Ignore(sig)
		}
	}
	err := unix.Exec(path, argv, env)
	if err == unix.ENOEXEC {
		if self, ok := s.self(); ok {
			err = unix.Exec(self, append([]string{"sh", path}, argv[1:]...), env)
		}
	}
	s.complain("%s: %s", argv[0], reason(err))
	return 126
}

// placeFiles moves every open file to its own number; first all are copied out of the way.
func (s *Shell) placeFiles() error {
	copies := map[int]int{}
	for fd, f := range s.fds {
		if f == nil {
			continue
		}
		if f.Fd() == uintptr(fd) {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
				return fmt.Errorf("keep descriptor %d: %w", fd, err)
			}
			continue
		}
		n, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 20)
		if err != nil {
			return fmt.Errorf("copy descriptor %d: %w", fd, err)
		}
		copies[fd] = n
	}
	for fd, n := range copies {
		if err := unix.Dup3(n, fd, 0); err != nil {
			return fmt.Errorf("place descriptor %d: %w", fd, err)
		}
	}
	for fd := range 10 {
		if f, known := s.fds[fd]; known && f == nil {
			_ = unix.Close(fd) // `>&-`: that it was not open is as good
		}
	}
	return nil
}
