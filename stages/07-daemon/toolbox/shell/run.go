package shell

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/slipway-engine/slipway/stages/07-daemon/toolbox/applets"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/pattern"
	"mvdan.cc/sh/v3/syntax"
)

// stmts runs statements until one leaves.
func (s *Shell) stmts(list []*syntax.Stmt) {
	for _, st := range list {
		s.stmt(st)
		if s.flow.kind != flowNone {
			return
		}
	}
}

// condition runs statements whose failure must not end the shell under `set -e`.
func (s *Shell) condition(list []*syntax.Stmt) bool {
	s.depth.conditions++
	s.stmts(list)
	s.depth.conditions--
	return s.status == 0
}

// stmt runs one statement: traps first, then redirections, the command, `!` and `set -e`.
func (s *Shell) stmt(st *syntax.Stmt) {
	s.runTraps()
	if s.flow.kind != flowNone || s.set.noexec {
		return
	}
	if st.Background {
		s.background(st)
		return
	}
	if st.Negated {
		s.depth.conditions++
	}
	s.redirected(st)
	if st.Negated {
		s.depth.conditions--
		s.status = map[bool]int{true: 1, false: 0}[s.status == 0]
	}
	s.runTraps()
	if s.status != 0 && s.set.errexit && s.depth.conditions == 0 && s.flow.kind == flowNone && !st.Negated && !isList(st.Cmd) {
		s.flow = flow{kind: flowExit}
	}
}

// isList tells `a && b`: its last command has already answered for itself.
func isList(cmd syntax.Command) bool {
	b, ok := cmd.(*syntax.BinaryCmd)
	return ok && (b.Op == syntax.AndStmt || b.Op == syntax.OrStmt)
}

func (s *Shell) redirected(st *syntax.Stmt) {
	if len(st.Redirs) == 0 {
		s.command(st.Cmd)
		return
	}
	saved := s.saveFiles()
	opened, ok := s.redirect(st.Redirs)
	if !ok {
		s.status = 1
	} else {
		s.status = map[bool]int{true: 0, false: s.status}[st.Cmd == nil]
		s.command(st.Cmd)
	}
	if isExec(st.Cmd) && ok && s.status == 0 {
		return // `exec >file` keeps what was opened
	}
	s.fds = saved
	for _, f := range opened {
		closeFile(f)
	}
}

// isExec tells `exec` without a command.
func isExec(cmd syntax.Command) bool {
	call, ok := cmd.(*syntax.CallExpr)
	return ok && len(call.Args) == 1 && call.Args[0].Lit() == "exec"
}

func (s *Shell) command(cmd syntax.Command) {
	switch c := cmd.(type) {
	case nil:
	case *syntax.CallExpr:
		s.call(c)
	case *syntax.Block:
		s.stmts(c.Stmts)
	case *syntax.Subshell:
		s.status = s.waitFor(s.subshell(c.Stmts, s.fds, false))
	case *syntax.BinaryCmd:
		s.binary(c)
	case *syntax.IfClause:
		s.ifClause(c)
	case *syntax.WhileClause:
		s.while(c)
	case *syntax.ForClause:
		s.forClause(c)
	case *syntax.CaseClause:
		s.caseClause(c)
	case *syntax.FuncDecl:
		s.funcs[c.Name.Value] = c.Body
		s.status = 0
	case *syntax.TimeClause:
		if c.Stmt != nil {
			s.stmt(c.Stmt)
		}
	default:
		s.complain("%T is not POSIX shell", cmd)
		s.status = 2
	}
}

func (s *Shell) binary(c *syntax.BinaryCmd) {
	switch c.Op {
	case syntax.AndStmt:
		if s.condition([]*syntax.Stmt{c.X}) && s.flow.kind == flowNone {
			s.stmt(c.Y)
		}
	case syntax.OrStmt:
		if !s.condition([]*syntax.Stmt{c.X}) && s.flow.kind == flowNone {
			s.stmt(c.Y)
		}
	default:
		s.pipeline(c)
	}
}

func (s *Shell) ifClause(c *syntax.IfClause) {
	for c != nil {
		if len(c.Cond) == 0 { // a plain else
			s.stmts(c.Then)
			return
		}
		taken := s.condition(c.Cond)
		if s.flow.kind != flowNone {
			return
		}
		if taken {
			s.stmts(c.Then)
			return
		}
		c = c.Else
	}
	s.status = 0
}

func (s *Shell) while(c *syntax.WhileClause) {
	last := 0
	s.loop(func() bool {
		if s.condition(c.Cond) == c.Until || s.flow.kind != flowNone {
			return false
		}
		s.stmts(c.Do)
		last = s.status
		return true
	})
	if s.flow.kind == flowNone {
		s.status = last
	}
}

// loop repeats body until it returns false or break leaves it.
func (s *Shell) loop(body func() bool) {
	s.depth.loops++
	defer func() { s.depth.loops-- }()
	for body() {
		if s.leaveLoop() {
			return
		}
	}
	s.leaveLoop()
}

// leaveLoop consumes break and continue and tells whether this loop ends.
func (s *Shell) leaveLoop() bool {
	switch s.flow.kind {
	case flowNone:
		return false
	case flowBreak, flowContinue:
		if s.flow.levels > 1 {
			s.flow.levels--
			return true
		}
		ends := s.flow.kind == flowBreak
		s.flow = flow{}
		return ends
	}
	return true
}

func (s *Shell) forClause(c *syntax.ForClause) {
	words, ok := c.Loop.(*syntax.WordIter)
	if !ok {
		s.complain("for ((: not POSIX shell")
		s.status = 2
		return
	}
	items := s.params
	if words.InPos.IsValid() {
		if items, ok = s.fields(words.Items); !ok {
			return
		}
	}
	s.status = 0
	i := 0
	s.loop(func() bool {
		if i == len(items) || !s.assign(words.Name.Value, items[i]) {
			return false
		}
		i++
		s.stmts(c.Do)
		return true
	})
}

func (s *Shell) caseClause(c *syntax.CaseClause) {
	subject, ok := s.literal(c.Word)
	if !ok {
		return
	}
	s.status = 0
	for _, item := range c.Items {
		for _, word := range item.Patterns {
			text, err := expand.Pattern(s.config(), word)
			if err != nil {
				s.expansionFailed(err)
				return
			}
			if matches(text, subject) {
				s.stmts(item.Stmts)
				return
			}
		}
	}
}

func matches(glob, subject string) bool {
	expr, err := pattern.Regexp(glob, pattern.EntireString)
	if err != nil {
		return glob == subject
	}
	re, err := regexp.Compile(expr)
	return err == nil && re.MatchString(subject)
}

// call runs a simple command: assignments alone, a function, a builtin or a program.
func (s *Shell) call(c *syntax.CallExpr) {
	argv, ok := s.words(c)
	if !ok {
		return
	}
	if len(argv) == 0 {
		if len(c.Args) == 0 {
			s.status = 0 // a command substitution in a value sets it again
		}
		s.assignAll(c.Assigns)
		return
	}
	extra, ok := s.temporary(c.Assigns)
	if !ok {
		return
	}
	s.trace(argv)
	s.dispatch(argv, extra)
}

// words expands a command's arguments; those of export, readonly and local keep their values whole.
func (s *Shell) words(c *syntax.CallExpr) ([]string, bool) {
	if len(c.Args) > 1 {
		switch c.Args[0].Lit() {
		case "export", "readonly", "local":
			return s.declared(c.Args)
		}
	}
	return s.fields(c.Args)
}

func (s *Shell) trace(argv []string) {
	if s.set.xtrace {
		fmt.Fprintf(s.file(2), "%s%s\n", s.vars["PS4"].Str, strings.Join(argv, " "))
	}
}

func (s *Shell) assignAll(assigns []*syntax.Assign) {
	for _, a := range assigns {
		value, ok := s.literal(a.Value)
		if !ok {
			return
		}
		s.trace([]string{a.Name.Value + "=" + value})
		if !s.assign(a.Name.Value, value) {
			s.status = 2
			if !s.set.interactive {
				s.flow = flow{kind: flowExit}
			}
			return
		}
	}
}

// temporary expands the assignments before a command's name.
func (s *Shell) temporary(assigns []*syntax.Assign) (map[string]string, bool) {
	extra := map[string]string{}
	for _, a := range assigns {
		value, ok := s.literal(a.Value)
		if !ok {
			return nil, false
		}
		extra[a.Name.Value] = value
	}
	return extra, true
}

func (s *Shell) dispatch(argv []string, extra map[string]string) {
	name := argv[0]
	if body := s.funcs[name]; body != nil {
		s.withVars(extra, func() { s.callFunction(body, argv[1:]) })
		return
	}
	if b := s.builtins[name]; b != nil {
		if isSpecial(name) {
			for k, v := range extra {
				s.assign(k, v) // they stay after a special builtin (POSIX 2.14)
			}
			s.status = b(argv)
			return
		}
		s.withVars(extra, func() { s.status = b(argv) })
		return
	}
	if a := s.applets[name]; a != nil {
		s.status = a(&applets.Proc{Args: argv, In: s.file(0), Out: s.file(1), Err: s.file(2)})
		s.settle(argv)
		return
	}
	pid, status := s.spawn(argv, s.exported(extra), s.fds)
	if pid != 0 {
		status = s.waitFor(pid)
	}
	s.status = status
}

// withVars sets variables for the time of one call.
func (s *Shell) withVars(extra map[string]string, run func()) {
	old := map[string]expand.Variable{}
	for name, value := range extra {
		old[name] = s.vars[name]
		s.assign(name, value)
		v := s.vars[name]
		v.Exported = true
		s.vars[name] = v
	}
	run()
	for name, v := range old {
		s.vars[name] = v
	}
}

func (s *Shell) callFunction(body *syntax.Stmt, args []string) {
	params := s.params
	s.params = args
	s.scopes = append(s.scopes, map[string]expand.Variable{})
	s.depth.calls++
	loops := s.depth.loops
	s.depth.loops = 0
	s.stmt(body)
	s.depth.loops = loops
	s.depth.calls--
	for name, v := range s.scopes[len(s.scopes)-1] {
		s.vars[name] = v
	}
	s.scopes = s.scopes[:len(s.scopes)-1]
	s.params = params
	if s.flow.kind == flowReturn {
		s.flow = flow{}
	}
}

// eval parses and runs text in this shell.
func (s *Shell) eval(text string) {
	file, err := newParser().Parse(strings.NewReader(text), "")
	if err != nil {
		s.complain("syntax error: %v", err)
		s.status = 2
		return
	}
	s.stmts(file.Stmts)
}

func closeFile(f *os.File) {
	if f != nil {
		_ = f.Close() // it was only read from, or a write error has been seen by its writer
	}
}
