package shell

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

type builtin func(argv []string) int

// builtinTable lists the commands that must run in the shell because they change it.
func (s *Shell) builtinTable() map[string]builtin {
	return map[string]builtin{
		":": func([]string) int { return 0 }, "break": s.breakBuiltin, "continue": s.breakBuiltin, "return": s.returnBuiltin, "exit": s.exitBuiltin,
		".": s.source, "source": s.source, "eval": s.evalBuiltin, "exec": s.execBuiltin, "export": s.export, "readonly": s.export,
		"set": s.setBuiltin, "shift": s.shift, "trap": s.trapBuiltin, "unset": s.unset, "cd": s.cd, "read": s.read, "wait": s.waitBuiltin,
		"umask": s.umask, "ulimit": s.ulimit, "local": s.local, "type": s.typeBuiltin, "command": s.commandBuiltin, "jobs": s.jobs,
		"getopts": s.getopts,
	}
}

// isSpecial tells the special builtins of POSIX 2.14.
func isSpecial(name string) bool {
	return slices.Contains([]string{"break", ":", "continue", ".", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift", "trap", "unset"}, name)
}

// fatal ends a script after an error of a special builtin (POSIX 2.8.1); a person at a prompt may go on.
func (s *Shell) fatal() int {
	if !s.set.interactive {
		s.flow = flow{kind: flowExit}
	}
	return 2
}

// numeric reads the optional number of break, return, exit and shift.
func (s *Shell) numeric(argv []string, fallback int) (int, bool) {
	if len(argv) < 2 {
		return fallback, true
	}
	n, err := strconv.Atoi(argv[1])
	if err != nil || n < 0 {
		s.complain("%s: Illegal number: %s", argv[0], argv[1])
		return 2, false
	}
	return n, true
}

func (s *Shell) breakBuiltin(argv []string) int {
	n, ok := s.numeric(argv, 1)
	if !ok || s.depth.loops == 0 || n == 0 {
		return 0
	}
	kind := flowBreak
	if argv[0] == "continue" {
		kind = flowContinue
	}
	s.flow = flow{kind, min(n, s.depth.loops)}
	return 0
}

func (s *Shell) returnBuiltin(argv []string) int {
	n, _ := s.numeric(argv, s.status)
	s.flow = flow{kind: flowReturn}
	if s.depth.calls == 0 {
		s.flow.kind = flowExit
	}
	return n
}

func (s *Shell) exitBuiltin(argv []string) int {
	n, _ := s.numeric(argv, s.status)
	s.flow = flow{kind: flowExit}
	return n
}

func (s *Shell) source(argv []string) int {
	if len(argv) < 2 {
		s.complain("%s: filename argument required", argv[0])
		return 2
	}
	name := argv[1]
	if !strings.Contains(name, "/") {
		if full := lookPath(name, s.vars["PATH"].Str); full != "" {
			name = full
		}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		s.complain("can't open '%s': %s", argv[1], reason(err))
		return s.fatal()
	}
	s.status = 0
	s.depth.calls++
	s.eval(string(text))
	s.depth.calls--
	if s.flow.kind == flowReturn {
		s.flow = flow{}
	}
	return s.status
}

func (s *Shell) evalBuiltin(argv []string) int {
	s.status = 0
	s.eval(strings.Join(argv[1:], " "))
	return s.status
}

// execBuiltin replaces the shell; without a command it only keeps its redirections.
func (s *Shell) execBuiltin(argv []string) int {
	if len(argv) == 1 {
		return 0
	}
	status := s.replace(argv[1:], s.exported(nil))
	if !s.set.interactive {
		s.flow = flow{kind: flowExit}
	}
	return status
}

func (s *Shell) export(argv []string) int {
	args := argv[1:]
	if len(args) == 0 || args[0] == "-p" {
		for _, name := range slices.Sorted(maps.Keys(s.vars)) {
			v := s.vars[name]
			if argv[0] == "export" && v.Exported || argv[0] == "readonly" && v.ReadOnly {
				fmt.Fprintf(s.file(1), "%s %s=%s\n", argv[0], name, quote(v.Str))
			}
		}
		return 0
	}
	for _, arg := range args {
		name, value, given := strings.Cut(arg, "=")
		if !syntax.ValidName(name) {
			s.complain("%s: %s: bad variable name", argv[0], name)
			return 2
		}
		if given && !s.assign(name, value) {
			return 2
		}
		v := s.vars[name]
		v.Exported = v.Exported || argv[0] == "export"
		v.ReadOnly = v.ReadOnly || argv[0] == "readonly"
		s.vars[name] = v
	}
	return 0
}

func (s *Shell) local(argv []string) int {
	if len(s.scopes) == 0 {
		s.complain("local: not in a function")
		return s.fatal()
	}
	scope := s.scopes[len(s.scopes)-1]
	for _, arg := range argv[1:] {
		name, value, given := strings.Cut(arg, "=")
		if _, saved := scope[name]; !saved {
			scope[name] = s.vars[name]
		}
		if given {
			s.assign(name, value)
		} else {
			s.vars[name] = expand.Variable{}
		}
	}
	return 0
}

func (s *Shell) setBuiltin(argv []string) int {
	args := argv[1:]
	if len(args) == 0 {
		for _, name := range slices.Sorted(maps.Keys(s.vars)) {
			if v := s.vars[name]; v.IsSet() {
				fmt.Fprintf(s.file(1), "%s=%s\n", name, quote(v.Str))
			}
		}
		return 0
	}
	for len(args) > 0 && len(args[0]) > 1 && (args[0][0] == '-' || args[0][0] == '+') {
		word := args[0]
		args = args[1:]
		if word == "--" {
			s.params = args
			return 0
		}
		if word[1:] == "o" && len(args) > 0 {
			if !s.set.byName(args[0], word[0] == '-') {
				s.complain("set: illegal option -o %s", args[0])
				return 2
			}
			args = args[1:]
			continue
		}
		for _, letter := range word[1:] {
			if !s.set.byLetter(letter, word[0] == '-') {
				s.complain("set: illegal option -%c", letter)
				return 2
			}
		}
	}
	if len(args) > 0 {
		s.params = args
	}
	return 0
}

func (s *Shell) shift(argv []string) int {
	n, ok := s.numeric(argv, 1)
	if !ok || n > len(s.params) {
		s.complain("shift: can't shift that many")
		return 2
	}
	s.params = s.params[n:]
	return 0
}

func (s *Shell) unset(argv []string) int {
	args, functions := argv[1:], false
	for len(args) > 0 && (args[0] == "-v" || args[0] == "-f") {
		functions, args = args[0] == "-f", args[1:]
	}
	for _, name := range args {
		if functions {
			delete(s.funcs, name)
			continue
		}
		if s.vars[name].ReadOnly {
			s.complain("unset: %s: is read only", name)
			return 2
		}
		delete(s.vars, name)
	}
	return 0
}

func (s *Shell) cd(argv []string) int {
	dir := s.vars["HOME"].Str
	if len(argv) > 1 {
		dir = argv[len(argv)-1]
	}
	show := dir == "-"
	if show {
		dir = s.vars["OLDPWD"].Str
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(s.vars["PWD"].Str, dir)
	}
	if err := os.Chdir(dir); err != nil {
		s.complain("cd: can't cd to %s: %s", argv[len(argv)-1], reason(err))
		return 2
	}
	s.assign("OLDPWD", s.vars["PWD"].Str)
	s.assign("PWD", filepath.Clean(dir))
	if show {
		fmt.Fprintln(s.file(1), dir)
	}
	return 0
}

// read takes one line of standard input, byte by byte: what follows belongs to the next command.
func (s *Shell) read(argv []string) int {
	args, raw := argv[1:], false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-r":
			raw = true
		case "-p":
			if len(args) > 1 {
				fmt.Fprint(s.file(2), args[1])
				args = args[1:]
			}
		default:
			s.complain("read: illegal option %s", args[0])
			return 2
		}
		args = args[1:]
	}
	line, err := s.readLine(raw)
	if len(args) == 0 {
		args = []string{"REPLY"}
	}
	values := expand.ReadFields(s.config(), line, len(args), raw)
	for i, name := range args {
		value := ""
		if i < len(values) {
			value = values[i]
		}
		if !s.assign(name, value) {
			return 2
		}
	}
	if err != nil {
		return 1
	}
	return 0
}

func (s *Shell) readLine(raw bool) (string, error) {
	var line []byte
	buf := make([]byte, 1)
	for {
		n, err := s.file(0).Read(buf)
		if n == 0 {
			if err == nil {
				err = io.EOF
			}
			return string(line), err
		}
		if buf[0] == '\n' {
			if !raw && len(line) > 0 && line[len(line)-1] == '\\' {
				line = line[:len(line)-1]
				continue
			}
			return string(line), nil
		}
		line = append(line, buf[0])
	}
}

func (s *Shell) umask(argv []string) int {
	if len(argv) < 2 {
		old := unix.Umask(0)
		unix.Umask(old)
		fmt.Fprintf(s.file(1), "%04o\n", old)
		return 0
	}
	mask, err := strconv.ParseUint(argv[1], 8, 12)
	if err != nil {
		s.complain("umask: bad mask '%s'", argv[1])
		return 1
	}
	unix.Umask(int(mask))
	return 0
}

// ulimit shows or sets one limit (getrlimit(2)); sizes of memory are in KiB, of core and file in 512 or 1024 bytes as in ash.
func (s *Shell) ulimit(argv []string) int {
	limits := map[byte]struct {
		which int
		unit  uint64
		name  string
	}{
		'n': {unix.RLIMIT_NOFILE, 1, "open files"}, 'u': {unix.RLIMIT_NPROC, 1, "processes"}, 'c': {unix.RLIMIT_CORE, 512, "core file (blocks)"},
		'f': {unix.RLIMIT_FSIZE, 512, "file size (blocks)"}, 'v': {unix.RLIMIT_AS, 1024, "address space (KiB)"}, 's': {unix.RLIMIT_STACK, 1024, "stack (KiB)"},
		'l': {unix.RLIMIT_MEMLOCK, 1024, "locked memory (KiB)"}, 't': {unix.RLIMIT_CPU, 1, "cpu time (seconds)"}, 'd': {unix.RLIMIT_DATA, 1024, "data (KiB)"},
	}
	letter, hard, soft, all, value := byte('f'), false, false, false, ""
	for _, arg := range argv[1:] {
		if !strings.HasPrefix(arg, "-") {
			value = arg
			continue
		}
		for _, c := range []byte(arg[1:]) {
			switch c {
			case 'H':
				hard = true
			case 'S':
				soft = true
			case 'a':
				all = true
			default:
				letter = c
			}
		}
	}
	text := func(n, unit uint64) string {
		if n == unix.RLIM_INFINITY {
			return "unlimited"
		}
		return strconv.FormatUint(n/unit, 10)
	}
	show := func(l unix.Rlimit, unit uint64) string {
		if hard {
			return text(l.Max, unit)
		}
		return text(l.Cur, unit)
	}
	var now unix.Rlimit
	if all {
		for _, c := range slices.Sorted(maps.Keys(limits)) {
			if err := unix.Getrlimit(limits[c].which, &now); err != nil {
				s.complain("ulimit: %v", err)
				return 1
			}
			fmt.Fprintf(s.file(1), "-%c: %-24s %s\n", c, limits[c].name, show(now, limits[c].unit))
		}
		return 0
	}
	limit, ok := limits[letter]
	if !ok {
		s.complain("ulimit: illegal option -%c", letter)
		return 2
	}
	if err := unix.Getrlimit(limit.which, &now); err != nil {
		s.complain("ulimit: %v", err)
		return 1
	}
	if value == "" {
		fmt.Fprintln(s.file(1), show(now, limit.unit))
		return 0
	}
	n := uint64(unix.RLIM_INFINITY)
	if value != "unlimited" {
		parsed, err := strconv.ParseUint(value, 10, 54)
		if err != nil {
			s.complain("ulimit: bad number: %s", value)
			return 2
		}
		n = parsed * limit.unit
	}
	if hard || !soft {
		now.Max = n
	}
	if soft || !hard {
		now.Cur = n
	}
	// Through the syscall package, which otherwise puts RLIMIT_NOFILE back to what it was at its own start in every child.
	if err := syscall.Setrlimit(limit.which, &syscall.Rlimit{Cur: now.Cur, Max: now.Max}); err != nil {
		s.complain("ulimit: error setting limit: %s", reason(err))
		return 1
	}
	return 0
}

// describe tells what a command name is.
func (s *Shell) describe(name string) (word, long string, ok bool) {
	switch {
	case syntax.IsKeyword(name):
		return name, name + " is a shell keyword", true
	case s.funcs[name] != nil:
		return name, name + " is a function", true
	case s.builtins[name] != nil || s.applets[name] != nil:
		return name, name + " is a shell builtin", true
	}
	path := name
	if !strings.Contains(name, "/") {
		path = lookPath(name, s.vars["PATH"].Str)
	} else if unix.Access(name, unix.X_OK) != nil {
		path = ""
	}
	return path, name + " is " + path, path != ""
}

func (s *Shell) typeBuiltin(argv []string) int {
	status := 0
	for _, name := range argv[1:] {
		_, long, ok := s.describe(name)
		if !ok {
			fmt.Fprintf(s.file(1), "%s: not found\n", name)
			status = 127
			continue
		}
		fmt.Fprintln(s.file(1), long)
	}
	return status
}

// commandBuiltin is `command -v NAME`, `command -V NAME` and `command CMD`, which passes functions by.
func (s *Shell) commandBuiltin(argv []string) int {
	if len(argv) < 2 {
		return 0
	}
	if argv[1] == "-V" {
		return s.typeBuiltin(argv[1:])
	}
	if argv[1] != "-v" {
		body := s.funcs[argv[1]]
		delete(s.funcs, argv[1])
		s.dispatch(argv[1:], nil)
		if body != nil {
			s.funcs[argv[1]] = body
		}
		return s.status
	}
	status := 0
	for _, name := range argv[2:] {
		word, _, ok := s.describe(name)
		if !ok {
			status = 127
			continue
		}
		fmt.Fprintln(s.file(1), word)
	}
	return status
}

func (s *Shell) jobs([]string) int {
	for i, pid := range s.children.pids() {
		state := "Running"
		if err := unix.Kill(pid, 0); errors.Is(err, unix.ESRCH) {
			state = "Done"
		}
		fmt.Fprintf(s.file(1), "[%d] %d %s\n", i+1, pid, state)
	}
	return 0
}

// getopts takes one option per call; OPTIND counts words, and the place inside a word is kept in _OPTPOS.
func (s *Shell) getopts(argv []string) int {
	if len(argv) < 3 {
		s.complain("usage: getopts OPTSTRING VAR [ARG]...")
		return 2
	}
	spec, name, args := argv[1], argv[2], s.params
	if len(argv) > 3 {
		args = argv[3:]
	}
	silent := strings.HasPrefix(spec, ":")
	index, _ := atoi(s.vars["OPTIND"].Str)
	index = max(index, 1)
	place, _ := atoi(s.vars["_OPTPOS"].Str)
	end := func() int {
		s.assign(name, "?")
		s.assign("_OPTPOS", "0")
		return 1
	}
	if index > len(args) || len(args[index-1]) < 2 || args[index-1][0] != '-' {
		return end()
	}
	word := args[index-1]
	if word == "--" {
		s.assign("OPTIND", strconv.Itoa(index+1))
		return end()
	}
	place = max(place, 1)
	letter := string(word[place])
	place++
	next := func() {
		if place >= len(word) {
			index, place = index+1, 0
		}
		s.assign("OPTIND", strconv.Itoa(index))
		s.assign("_OPTPOS", strconv.Itoa(place))
	}
	at := strings.Index(spec, letter)
	if at < 0 || letter == ":" {
		next()
		s.assign(name, "?")
		if silent {
			s.assign("OPTARG", letter)
		} else {
			s.complain("Illegal option -%s", letter)
		}
		return 0
	}
	if at+1 == len(spec) || spec[at+1] != ':' {
		next()
		s.assign(name, letter)
		return 0
	}
	value := word[place:]
	place = len(word)
	if value == "" {
		index++
		if index > len(args) {
			s.assign("OPTIND", strconv.Itoa(index))
			s.assign("_OPTPOS", "0")
			s.assign(name, map[bool]string{true: ":", false: "?"}[silent])
			if silent {
				s.assign("OPTARG", letter)
			} else {
				s.complain("No arg for -%s option", letter)
			}
			return 0
		}
		value = args[index-1]
	}
	next()
	s.assign(name, letter)
	s.assign("OPTARG", value)
	return 0
}
