package shell

import (
	"fmt"
	"os"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// interact reads from a terminal: prompt, statement, and after a syntax error a new line. The kernel's line discipline edits.
func (s *Shell) interact() int {
	s.defaults()
	for {
		again := s.session()
		if !again {
			break
		}
	}
	return s.leave()
}

// session parses until the end of input, exit, or an error after which parsing starts afresh.
func (s *Shell) session() (again bool) {
	fmt.Fprint(s.file(2), s.prompt("PS1"))
	input := &promptReader{s: s}
	for list, err := range newParser().InteractiveSeq(input) {
		if input.interrupted {
			fmt.Fprintln(s.file(2))
			s.status = 130
			return true
		}
		if err != nil {
			s.complain("syntax error: %v", err)
			s.status = 2
			return true
		}
		if syntaxIncomplete(input, list) {
			fmt.Fprint(s.file(2), s.prompt("PS2"))
			continue
		}
		for _, st := range list {
			s.flow = flow{}
			s.stmt(st)
			if s.flow.kind == flowExit {
				return false
			}
		}
		s.flow = flow{}
		fmt.Fprint(s.file(2), s.prompt("PS1"))
	}
	fmt.Fprintln(s.file(2))
	return false
}

// syntaxIncomplete tells a statement that goes on in the next line: the parser hands out nothing then.
func syntaxIncomplete(input *promptReader, list []*syntax.Stmt) bool {
	return len(list) == 0 && strings.TrimSpace(input.line) != "" && !strings.HasPrefix(strings.TrimSpace(input.line), "#")
}

// promptReader hands the parser one byte at a time and remembers the present line.
type promptReader struct {
	s           *Shell
	line        string
	fresh       bool
	interrupted bool
}

func (r *promptReader) Read(buf []byte) (int, error) {
	if r.fresh {
		r.line, r.fresh = "", false
	}
	n, err := r.s.file(0).Read(buf[:1])
	if n == 1 {
		r.line += string(buf[:1])
		r.fresh = buf[0] == '\n'
	}
	return n, err
}

// prompt expands \w, \u, \h and \$ the way ash does.
func (s *Shell) prompt(name string) string {
	text := s.vars[name].Str
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	dir := s.vars["PWD"].Str
	if home := s.vars["HOME"].Str; home != "" && home != "/" && (dir == home || strings.HasPrefix(dir, home+"/")) {
		dir = "~" + dir[len(home):]
	}
	mark := "$"
	if os.Geteuid() == 0 {
		mark = "#"
	}
	return strings.NewReplacer(`\w`, dir, `\h`, host, `\$`, mark, `\u`, s.vars["USER"].Str, `\n`, "\n").Replace(text)
}
