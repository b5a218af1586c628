package jsonlog

import (
	"bytes"
	"errors"
	"time"
)

// MaxLine is where Docker cuts a line: a longer one is written in pieces of this size, of which only
// the last has its newline, so a reader joins them without knowing.
const MaxLine = 16 << 10

// Stream turns one output (stdout or stderr) of a container into lines of a File.
type Stream struct {
	file    *File
	tail    []byte    // `","stream":"stdout","time":"`: the same for each line
	rest    []byte    // an unfinished line, shorter than MaxLine
	partial time.Time // when the first piece of an unfinished long line was written; zero: none was
}

// Stream is a new output with the given name.
func (f *File) Stream(name string) *Stream {
	return &Stream{file: f, tail: []byte(`","stream":"` + name + `","time":"`)}
}

// Write logs what has arrived. Lines that came together carry the same time, are encoded into one
// buffer and are written with one system call.
func (s *Stream) Write(p []byte) (int, error) {
	b := s.file.begin()
	data := p
	if len(s.rest) > 0 {
		s.rest = append(s.rest, p...)
		data = s.rest
	}
	rest, err := s.lines(b, data, time.Now().UTC())
	s.keep(rest)
	return len(p), errors.Join(err, b.end())
}

// lines puts data into the batch with one call of s.line for each loggable piece: a whole line with
// its newline, or MaxLine bytes of a line that is longer. What is neither yet is the rest.
func (s *Stream) lines(b *batch, data []byte, now time.Time) (rest []byte, err error) {
	//ex:begin shim.logs
	for len(data) > 0 {
		window := data[:min(len(data), MaxLine)]
		length, whole := bytes.IndexByte(window, '\n')+1, true
		if length == 0 && len(window) < MaxLine {
			break
		}
		if length == 0 {
			length, whole = MaxLine, false
		}
		s.line(b, data[:length], whole, now)
		data = data[length:]
	}
	return data, nil
	//ex:stub
	// return nil, todo.Exercise("shim.logs")
	//ex:end shim.logs
}

// keep holds an unfinished line until more comes. A stream between lines holds no buffer.
func (s *Stream) keep(data []byte) {
	switch {
	case len(data) == 0:
		s.rest = nil
	case cap(s.rest) > 2*MaxLine:
		s.rest = bytes.Clone(data)
	default:
		s.rest = append(s.rest[:0], data...)
	}
}

// Flush writes an unfinished line as it is, without a newline: no more will come.
func (s *Stream) Flush() error {
	if len(s.rest) == 0 {
		return nil
	}
	b := s.file.begin()
	s.line(b, s.rest, false, time.Now().UTC())
	s.rest = nil
	return b.end()
}

// line encodes one piece. All pieces of a long line carry the time of its first.
func (s *Stream) line(b *batch, line []byte, whole bool, now time.Time) {
	if !s.partial.IsZero() {
		now = s.partial
	}
	b.open(len(line))
	b.buf = append(b.buf, `{"log":"`...)
	b.buf = appendString(b.buf, line)
	b.buf = append(b.buf, s.tail...)
	b.buf = b.stamp(now)
	b.buf = append(b.buf, "\"}\n"...)
	if whole {
		s.partial = time.Time{}
	} else {
		s.partial = now
	}
}
