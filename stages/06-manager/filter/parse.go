package filter

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// scanner walks over the text of one filter.
type scanner struct {
	text string
	pos  int
}

func parse(text string) (Filter, error) {
	s := &scanner{text: text}
	var f Filter
	if text == "" {
		return f, nil
	}
	for {
		sel, err := s.selector()
		if err != nil {
			return nil, fmt.Errorf("at %d: %w", s.pos, err)
		}
		f = append(f, sel)
		if s.done() {
			return f, nil
		}
		if !s.take(",") {
			return nil, fmt.Errorf("at %d: expected ',' or the end", s.pos)
		}
	}
}

// selector = path [ operator value ]
func (s *scanner) selector() (Selector, error) {
	var sel Selector
	for {
		part, err := s.part()
		if err != nil {
			return sel, err
		}
		sel.Path = append(sel.Path, part)
		if !s.take(".") {
			break
		}
	}
	for _, op := range []Op{Equal, NotEqual, Matches} {
		if s.take(string(op)) {
			sel.Op = op
			break
		}
	}
	if sel.Op == Present {
		return sel, nil
	}
	var err error
	if sel.Value, err = s.value(sel.Op == Matches); err != nil {
		return sel, err
	}
	if sel.Op == Matches {
		sel.re, err = regexp.Compile(sel.Value)
	}
	return sel, err
}

// part = identifier | quoted
func (s *scanner) part() (string, error) {
	if s.peek('"') {
		return s.quoted()
	}
	start := s.pos
	for !s.done() && isWord(s.text[s.pos]) {
		s.pos++
	}
	if s.pos == start {
		return "", errors.New("expected a field name")
	}
	return s.text[start:s.pos], nil
}

// value = quoted | /regexp/ | |regexp| | everything up to the next ','
func (s *scanner) value(pattern bool) (string, error) {
	if s.peek('"') {
		return s.quoted()
	}
	if pattern && (s.peek('/') || s.peek('|')) {
		return s.delimited(s.text[s.pos])
	}
	start := s.pos
	for !s.done() && s.text[s.pos] != ',' {
		s.pos++
	}
	if s.pos == start {
		return "", errors.New("expected a value")
	}
	return s.text[start:s.pos], nil
}

func (s *scanner) quoted() (string, error) {
	raw, err := strconv.QuotedPrefix(s.text[s.pos:])
	if err != nil {
		return "", errors.New("unterminated or bad quoted string")
	}
	s.pos += len(raw)
	return strconv.Unquote(raw)
}

func (s *scanner) delimited(mark byte) (string, error) {
	rest := s.text[s.pos+1:]
	end := strings.IndexByte(rest, mark)
	if end < 0 {
		return "", fmt.Errorf("expected a closing %c", mark)
	}
	s.pos += end + 2
	return rest[:end], nil
}

func (s *scanner) done() bool       { return s.pos >= len(s.text) }
func (s *scanner) peek(c byte) bool { return !s.done() && s.text[s.pos] == c }

func (s *scanner) take(word string) bool {
	if !strings.HasPrefix(s.text[s.pos:], word) {
		return false
	}
	s.pos += len(word)
	return true
}

func isWord(c byte) bool {
	return c == '_' || c == '-' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
