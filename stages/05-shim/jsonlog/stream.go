package jsonlog

import (
	"bytes"
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
	now := time.Now().UTC()
	b := s.file.begin()
	data := p
	if len(s.rest) > 0 {
		s.rest = append(s.rest, p...)
		data = s.rest
	}
	for {
		line, rest, whole := cut(data)
		if line == nil {
			break
		}
		s.line(b, line, whole, now)
		data = rest
	}
	s.keep(data)
	return len(p), b.end()
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

// cut takes the next loggable piece off data: a whole line with its newline, or MaxLine bytes of a
// longer one. It returns nil when neither is there yet.
func cut(data []byte) (line, rest []byte, whole bool) {
	//ex:begin shim.logs
	window := data[:min(len(data), MaxLine)]
	if end := bytes.IndexByte(window, '\n'); end >= 0 {
		return data[:end+1], data[end+1:], true
	}
	if len(window) == MaxLine {
		return window, data[MaxLine:], false
	}
	return nil, data, false
	//ex:stub
	// return nil, data, false
	//ex:end shim.logs
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
