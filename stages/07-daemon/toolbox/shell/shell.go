// Package shell is the toolbox's `sh`: POSIX grammar and expansions come from mvdan.cc/sh, everything that makes a shell a
// Unix program is here: real processes for commands and subshells, pids in $! and $$, traps on signals, waiting, exec.
//
// The interpreter that comes with mvdan.cc/sh runs subshells and jobs as goroutines of one process. In a container a person
// looks at `ps`, kills pids and traps TERM as process 1, so here a subshell is a second `sh` that gets its state as a script.
package shell

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/slipway-engine/slipway/stages/07-daemon/toolbox/applets"
	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// Shell is one shell: a single goroutine runs its statements.
type Shell struct {
	name   string   // $0
	params []string // $1…
	pid    int      // $$: a subshell keeps its parent's
	bang   int      // $!
	status int      // $?

	vars   map[string]expand.Variable
	scopes []map[string]expand.Variable // what `local` must restore, one map per function call
	funcs  map[string]*syntax.Stmt
	set    options

	fds   map[int]*os.File
	flow  flow
	depth struct{ loops, calls, conditions int }

	traps    map[string]string
	inTrap   bool
	signals  chan os.Signal
	children *children
	builtins map[string]builtin
	applets  map[string]applets.Applet // those that run inside the shell
}

// options are the flags of set(1).
type options struct{ errexit, nounset, xtrace, noglob, noexec, interactive bool }

// flow says that statements are being left: by break, continue, return or exit.
type flow struct {
	kind   flowKind
	levels int
}

type flowKind int

const (
	flowNone flowKind = iota
	flowBreak
	flowContinue
	flowReturn
	flowExit
)

// Main is the program `sh`: options, then a string, a file or standard input. It returns the exit status.
func Main(args []string, inside map[string]applets.Applet) int {
	s := newShell(args[0], inside)
	if state := os.Getenv(stateVariable); state != "" {
		return s.subshellMain(state)
	}
	return s.main(args[1:])
}

func newShell(name string, inside map[string]applets.Applet) *Shell {
	s := &Shell{
		name: name, pid: os.Getpid(), vars: map[string]expand.Variable{}, funcs: map[string]*syntax.Stmt{}, traps: map[string]string{},
		fds:     map[int]*os.File{0: os.Stdin, 1: os.Stdout, 2: os.Stderr},
		signals: make(chan os.Signal, 64), children: newChildren(), applets: inside,
	}
	s.builtins = s.builtinTable()
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		if syntax.ValidName(name) && name != stateVariable {
			s.vars[name] = expand.Variable{Set: true, Exported: true, Kind: expand.String, Str: value}
		}
	}
	for name, value := range map[string]string{"IFS": " \t\n", "PS1": `\w \$ `, "PS2": "> ", "PS4": "+ ", "OPTIND": "1"} {
		if name == "IFS" || name == "OPTIND" || !s.vars[name].IsSet() {
			s.assign(name, value)
		}
	}
	if dir, err := os.Getwd(); err == nil {
		s.assign("PWD", dir)
	}
	if !s.vars["PATH"].IsSet() {
		s.assign("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	return s
}

func (s *Shell) main(args []string) int {
	var command *string
	stdin := false
	for len(args) > 0 && len(args[0]) > 1 && (args[0][0] == '-' || args[0][0] == '+') {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		if word == "-o" && len(args) > 0 {
			if !s.set.byName(args[0], true) {
				s.complain("illegal option -o %s", args[0])
				return 2
			}
			args = args[1:]
			continue
		}
		for _, letter := range word[1:] {
			switch letter {
			case 'c':
				command = new(string)
			case 's':
				stdin = true
			case 'l':
			default:
				if !s.set.byLetter(letter, word[0] == '-') {
					s.complain("illegal option -%c", letter)
					return 2
				}
			}
		}
	}
	switch {
	case command != nil:
		if len(args) == 0 {
			s.complain("-c requires an argument")
			return 2
		}
		*command = args[0]
		if len(args) > 1 {
			s.name, s.params = args[1], args[2:]
		}
		return s.runText(*command, true)
	case len(args) > 0 && !stdin:
		return s.runFile(args)
	}
	s.params = args
	if s.set.interactive || isTerminal(0) && isTerminal(2) {
		s.set.interactive = true
		return s.interact()
	}
	return s.runStream(os.Stdin)
}

func (s *Shell) runFile(args []string) int {
	text, err := os.ReadFile(args[0])
	if err != nil {
		s.complain("can't open '%s': %s", args[0], reason(err))
		return 127
	}
	s.name, s.params = args[0], args[1:]
	return s.runText(string(text), false)
}

// runText parses a whole script and runs it. With last, the final simple command replaces the shell: `sh -c 'sleep 9'` is one process.
func (s *Shell) runText(text string, last bool) int {
	file, err := newParser().Parse(strings.NewReader(text), "")
	if err != nil {
		s.complain("syntax error: %v", err)
		s.status = 2
		return s.leave()
	}
	for i, st := range file.Stmts {
		if last && i == len(file.Stmts)-1 && s.replaceable(st) {
			s.execStmt(st)
			break
		}
		s.stmt(st)
		if s.flow.kind == flowExit {
			break
		}
	}
	return s.leave()
}

// runStream reads statements one at a time, byte by byte, so that commands can read the rest of the same input.
func (s *Shell) runStream(r io.Reader) int {
	for st, err := range newParser().StmtsSeq(&byteReader{r}) {
		if err != nil {
			s.complain("syntax error: %v", err)
			s.status = 2
			break
		}
		s.stmt(st)
		if s.flow.kind == flowExit {
			break
		}
	}
	return s.leave()
}

// leave runs the EXIT trap and returns the final status.
func (s *Shell) leave() int {
	status := s.status
	if action, ok := s.traps["EXIT"]; ok {
		delete(s.traps, "EXIT")
		s.flow = flow{}
		s.eval(action)
		if s.flow.kind != flowExit {
			s.status = status
		}
	}
	return s.status & 0xff
}

// newParser reads POSIX shell; words such as [[ and (( are no syntax here, as in ash and dash.
func newParser() *syntax.Parser { return syntax.NewParser(syntax.Variant(syntax.LangPOSIX)) }

// byteReader hands out one byte at a time.
type byteReader struct{ r io.Reader }

func (b *byteReader) Read(buf []byte) (int, error) {
	if len(buf) == 0 {
		return 0, nil
	}
	return b.r.Read(buf[:1])
}

// complain prints the shell's own message: `sh: text`.
func (s *Shell) complain(format string, args ...any) {
	fmt.Fprintf(s.file(2), "%s: %s\n", s.name, fmt.Sprintf(format, args...))
}

// file is an open descriptor of the shell, or one that refuses everything.
func (s *Shell) file(fd int) *os.File {
	if f := s.fds[fd]; f != nil {
		return f
	}
	return os.NewFile(^uintptr(0), "closed")
}

func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	return err == nil
}

func reason(err error) string {
	text := applets.Reason(err)
	if at := strings.LastIndex(text, ": "); at >= 0 {
		return text[at+2:]
	}
	return text
}

func (o *options) byLetter(letter rune, on bool) bool {
	for known, field := range map[rune]*bool{'e': &o.errexit, 'u': &o.nounset, 'x': &o.xtrace, 'f': &o.noglob, 'n': &o.noexec, 'i': &o.interactive} {
		if letter == known {
			*field = on
			return true
		}
	}
	return false
}

func (o *options) byName(name string, on bool) bool {
	for known, letter := range map[string]rune{"errexit": 'e', "nounset": 'u', "xtrace": 'x', "noglob": 'f', "noexec": 'n'} {
		if name == known {
			return o.byLetter(letter, on)
		}
	}
	return false
}

// letters is $-.
func (o options) letters() string {
	text := ""
	for _, l := range []struct {
		on     bool
		letter string
	}{{o.errexit, "e"}, {o.noglob, "f"}, {o.interactive, "i"}, {o.nounset, "u"}, {o.xtrace, "x"}} {
		if l.on {
			text += l.letter
		}
	}
	return text
}

// BecomeFirst makes process 1 behave as the kernel promises: signals nobody handles are dropped (pid_namespaces(7)), where
// the Go runtime would end the program instead.
func BecomeFirst() {
	if os.Getpid() == 1 {
		drop := make(chan os.Signal, 1)
		signal.Notify(drop, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGPIPE)
	}
}

func atoi(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil
}
