package shell

import (
	"io"
	"maps"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

func (s *Shell) saveFiles() map[int]*os.File { return maps.Clone(s.fds) }

// redirect applies redirections in order (POSIX 2.7) and returns the files it opened.
func (s *Shell) redirect(list []*syntax.Redirect) ([]*os.File, bool) {
	var opened []*os.File
	if len(list) > 0 {
		s.fds = maps.Clone(s.fds)
	}
	for _, r := range list {
		f, ok := s.oneRedirect(r)
		if f != nil {
			opened = append(opened, f)
		}
		if !ok {
			return opened, false
		}
	}
	return opened, true
}

// oneRedirect returns the file it opened, if any.
func (s *Shell) oneRedirect(r *syntax.Redirect) (*os.File, bool) {
	fd := 1
	switch r.Op {
	case syntax.RdrIn, syntax.RdrInOut, syntax.DplIn, syntax.Hdoc, syntax.DashHdoc:
		fd = 0
	}
	if r.N != nil {
		n, err := strconv.Atoi(r.N.Value)
		if err != nil {
			s.complain("%s: bad descriptor", r.N.Value)
			return nil, false
		}
		fd = n
	}
	if r.Op == syntax.Hdoc || r.Op == syntax.DashHdoc {
		return s.hereDocument(fd, r.Hdoc)
	}
	word, ok := s.literal(r.Word)
	if !ok {
		return nil, false
	}
	if r.Op == syntax.DplIn || r.Op == syntax.DplOut {
		return nil, s.duplicate(fd, word)
	}
	modes := map[syntax.RedirOperator]int{
		syntax.RdrIn: os.O_RDONLY, syntax.RdrInOut: os.O_RDWR | os.O_CREATE, syntax.RdrOut: os.O_WRONLY | os.O_CREATE | os.O_TRUNC,
		syntax.RdrClob: os.O_WRONLY | os.O_CREATE | os.O_TRUNC, syntax.AppOut: os.O_WRONLY | os.O_CREATE | os.O_APPEND,
	}
	mode, known := modes[r.Op]
	if !known {
		s.complain("redirection %s is not POSIX shell", r.Op)
		return nil, false
	}
	f, err := os.OpenFile(word, mode, 0o666)
	if err != nil {
		verb := map[bool]string{true: "create", false: "open"}[mode&os.O_CREATE != 0]
		s.complain("can't %s %s: %s", verb, word, reason(err))
		return nil, false
	}
	s.fds[fd] = f
	return f, true
}

func (s *Shell) duplicate(fd int, word string) bool {
	if word == "-" {
		s.fds[fd] = nil
		return true
	}
	n, err := strconv.Atoi(word)
	if err != nil || s.fds[n] == nil {
		s.complain("%s: Bad file descriptor", word)
		return false
	}
	s.fds[fd] = s.fds[n]
	return true
}

// hereDocument puts the text in memory: a pipe would block when it is longer than the pipe.
func (s *Shell) hereDocument(fd int, body *syntax.Word) (*os.File, bool) {
	text := ""
	if body != nil {
		var err error
		if text, err = expand.Document(s.config(), body); err != nil {
			s.expansionFailed(err)
			return nil, false
		}
	}
	mem, err := unix.MemfdCreate("heredoc", unix.MFD_CLOEXEC)
	if err != nil {
		s.complain("here-document: %v", err)
		return nil, false
	}
	f := os.NewFile(uintptr(mem), "heredoc")
	if _, err := f.WriteString(text); err != nil {
		s.complain("here-document: %v", err)
		return f, false
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		s.complain("here-document: %v", err)
		return f, false
	}
	s.fds[fd] = f
	return f, true
}
