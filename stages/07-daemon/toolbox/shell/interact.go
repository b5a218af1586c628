package shell

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// errInterrupted ends a half-typed statement at ctrl-c.
var errInterrupted = errors.New("interrupted")

// interact reads statements from a person: prompt, edit, run; after a syntax error or ctrl-c parsing starts afresh.
func (s *Shell) interact() int {
	s.defaults()
	input := newLineReader(s)
	for s.session(input) {
	}
	return s.leave()
}

// session parses until exit or the end of input (false), or an error after which parsing starts afresh (true).
func (s *Shell) session(input *lineReader) (again bool) {
	input.begin()
	parser := newParser()
	for list, err := range parser.InteractiveSeq(input) {
		switch {
		case errors.Is(err, errInterrupted):
			s.status = 130
			return true
		case err != nil:
			s.complain("syntax error: %v", err)
			s.status = 2
			return true
		case parser.Incomplete():
			input.prompt = "PS2"
			continue
		}
		for _, st := range list {
			s.stmt(st)
			if s.flow.kind == flowExit {
				return false
			}
		}
		s.flow = flow{}
		input.prompt = "PS1"
	}
	if input.err == nil || errors.Is(input.err, errInterrupted) {
		return true
	}
	fmt.Fprintln(s.file(2))
	return false
}

// lineReader gives the parser one line at a time. On a terminal lines are edited, with a history; elsewhere they are read as they come.
type lineReader struct {
	s       *Shell
	prompt  string // the variable: PS1, or PS2 inside a statement
	pending string
	err     error
	editor  *term.Terminal
	last    *lastByte
}

func newLineReader(s *Shell) *lineReader {
	r := &lineReader{s: s}
	if isTerminal(0) && isTerminal(2) && os.Getenv("TERM") != "dumb" {
		r.last = &lastByte{r: os.Stdin}
		r.editor = r.newEditor()
	}
	return r
}

func (r *lineReader) newEditor() *term.Terminal {
	return term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{r.last, os.Stderr}, "")
}

func (r *lineReader) begin() { r.prompt, r.pending, r.err = "PS1", "", nil }

// Read is called by the parser when it needs more.
func (r *lineReader) Read(buf []byte) (int, error) {
	for r.pending == "" {
		line, err := r.line()
		if errors.Is(err, errInterrupted) && r.prompt == "PS1" {
			r.s.status = 130
			continue
		}
		if err != nil {
			r.err = err
			return 0, err
		}
		r.pending = line + "\n"
	}
	n := copy(buf, r.pending)
	r.pending = r.pending[n:]
	return n, nil
}

func (r *lineReader) line() (string, error) {
	prompt := r.s.prompt(r.prompt)
	if r.editor == nil {
		fmt.Fprint(r.s.file(2), prompt)
		line, err := r.s.readLine(true)
		if err != nil && line != "" {
			return line, nil // the last line has no newline
		}
		return line, err
	}
	return r.edit(prompt)
}

// edit keeps the terminal raw only while a line is typed: commands get it as they expect it.
func (r *lineReader) edit(prompt string) (string, error) {
	state, err := term.MakeRaw(0)
	if err != nil {
		return "", fmt.Errorf("set the terminal to raw mode: %w", err)
	}
	defer func() { _ = term.Restore(0, state) }() // the next line tries again
	if columns, rows, err := term.GetSize(0); err == nil && columns > 0 {
		_ = r.editor.SetSize(columns, rows) // it only fails where the terminal cannot be written to, and then so does the prompt
	}
	r.editor.SetPrompt(prompt)
	line, err := r.editor.ReadLine()
	if errors.Is(err, io.EOF) && r.last.b == 3 { // ctrl-c
		fmt.Fprint(os.Stderr, "^C\r\n")
		history := r.editor.History
		r.editor = r.newEditor() // the old one would go on with the line that was given up
		r.editor.History = history
		return "", errInterrupted
	}
	return line, err
}

// lastByte reads one byte at a time, so that what is typed ahead is left for the next command, and remembers it.
type lastByte struct {
	r io.Reader
	b byte
}

func (l *lastByte) Read(buf []byte) (int, error) {
	if len(buf) == 0 {
		return 0, nil
	}
	n, err := l.r.Read(buf[:1])
	if n == 1 {
		l.b = buf[0]
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
