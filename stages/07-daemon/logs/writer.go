package logs

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"time"
)

// maxLine is where a line is cut into pieces, as Docker does it.
const maxLine = 16 << 10

// Writer writes a json-file with rotation. The daemon needs it only when a foreign shim hands it plain pipes
// (--classic-stdio); our shim writes the file itself.
type Writer struct {
	mu      sync.Mutex // guards all below
	path    string
	file    *os.File
	size    int64
	maxSize int64 // bytes; 0: no rotation
	keep    int   // files, the current one included
}

// NewWriter opens the log for appending.
func NewWriter(path string, maxSize int64, keep int) (*Writer, error) {
	w := &Writer{path: path, maxSize: maxSize, keep: max(1, keep)}
	return w, w.open()
}

func (w *Writer) open() error {
	f, err := os.OpenFile(w.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w.file, w.size = f, info.Size()
	return nil
}

// Stream returns a writer that cuts what it is given into lines of one stream. Close writes the unfinished line.
func (w *Writer) Stream(name string) *LineWriter { return &LineWriter{to: w, stream: name} }

// Close closes the file.
func (w *Writer) Close() error { return w.file.Close() }

func (w *Writer) append(e Entry) error {
	line, err := e.Encode(nil)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.maxSize > 0 && w.size > 0 && w.size+int64(len(line)) > w.maxSize {
		if err := w.rotateLocked(); err != nil {
			return err
		}
	}
	n, err := w.file.Write(line)
	w.size += int64(n)
	return err
}

func (w *Writer) rotateLocked() error {
	for n := w.keep - 1; n > 0; n-- {
		err := os.Rename(rotated(w.path, n-1), rotated(w.path, n))
		if err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	if w.keep == 1 {
		if err := os.Remove(w.path); err != nil {
			return err
		}
	}
	return errors.Join(w.file.Close(), w.open())
}

// LineWriter is an io.WriteCloser that makes entries of the lines written to it.
type LineWriter struct {
	to     *Writer
	stream string
	rest   []byte
}

func (l *LineWriter) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		n := bytes.IndexByte(l.rest, '\n') + 1
		if n == 0 || n > maxLine {
			if len(l.rest) < maxLine {
				return len(p), nil
			}
			n = maxLine
		}
		if err := l.emit(l.rest[:n]); err != nil {
			return len(p), err
		}
		l.rest = l.rest[n:]
	}
}

// Close writes what is left.
func (l *LineWriter) Close() error {
	if len(l.rest) == 0 {
		return nil
	}
	defer func() { l.rest = nil }()
	return l.emit(l.rest)
}

func (l *LineWriter) emit(line []byte) error {
	return l.to.append(Entry{Line: string(line), Stream: l.stream, Time: time.Now().UTC()})
}
