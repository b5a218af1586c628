package jsonlog

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

// Options are the json-file driver's: rotation starts when MaxSize bytes are reached, and MaxFiles
// are kept with the current one. Zero MaxSize: no rotation.
type Options struct {
	MaxSize  int64
	MaxFiles int
}

// File is a log that several streams write to. A line is never torn and never mixed with another.
type File struct {
	mu      sync.Mutex // held from begin to end of a batch
	path    string
	opts    Options
	f       *os.File // nil: closed, or a rotation failed half-way
	closed  bool
	size    int64 // of f, whole lines only
	lost    int64 // lines that could not be written
	batch   batch
	bufs    sync.Pool // *[]byte; an idle log's buffer goes with the next collection
	lastNow time.Time // the time that stamp holds
	lastFmt []byte
}

// Open opens a log for appending. The mode is Docker's, 0640.
func Open(path string, opts Options) (*File, error) {
	l := &File{path: path, opts: opts}
	if err := l.open(os.O_APPEND); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *File) open(how int) error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|how, 0o640)
	if err != nil {
		return fmt.Errorf("open log file: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return fmt.Errorf("open log file: %w", err)
	}
	l.f, l.size = f, info.Size()
	return nil
}

// Close closes the file. Streams must have been flushed.
func (l *File) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}

// Lost is how many lines a full disk or an I/O error has cost so far.
func (l *File) Lost() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// batch collects encoded lines until they are written at once.
type batch struct {
	log   *File
	buf   []byte
	lines int64
	err   error
}

func (l *File) begin() *batch {
	l.mu.Lock()
	l.batch = batch{log: l}
	if buf, ok := l.bufs.Get().(*[]byte); ok {
		l.batch.buf = (*buf)[:0]
	}
	return &l.batch
}

func (b *batch) end() error {
	b.flush()
	l, buf, err := b.log, b.buf, b.err
	l.bufs.Put(&buf)
	l.batch = batch{}
	l.mu.Unlock()
	return err
}

// writeAt is when a batch is written although more lines follow.
const writeAt = 256 << 10

// open makes room for one more line: what is collected is written when there is enough of it or
// when the file is full, and a full file is rotated.
func (b *batch) open(length int) {
	l := b.log
	full := l.opts.MaxSize > 0 && l.size+int64(len(b.buf)) >= l.opts.MaxSize
	if full || len(b.buf)+length > writeAt {
		b.flush()
	}
	if full && l.size >= l.opts.MaxSize {
		b.note(l.rotate())
	}
	b.lines++
}

func (b *batch) note(err error) {
	if b.err == nil {
		b.err = err
	}
}

// flush writes the collected lines. A write that came to an end early (a full disk) is taken back,
// so that the next line starts at the beginning of a line.
func (b *batch) flush() {
	l := b.log
	if len(b.buf) > 0 {
		n, err := l.write(b.buf)
		if err != nil {
			b.note(fmt.Errorf("write log file: %w", err))
			l.lost += b.lines
			if n > 0 {
				b.note(l.f.Truncate(l.size))
			}
		} else {
			l.size += int64(n)
		}
	}
	b.buf, b.lines = b.buf[:0], 0
}

func (l *File) write(p []byte) (int, error) {
	if l.closed {
		return 0, os.ErrClosed
	}
	if l.f == nil { // a rotation could not open the new file; try again
		if err := l.open(os.O_APPEND); err != nil {
			return 0, err
		}
	}
	return l.f.Write(p)
}

// stamp appends a time as RFC 3339 with nanoseconds, formatted once per batch.
func (b *batch) stamp(now time.Time) []byte {
	l := b.log
	if !now.Equal(l.lastNow) || l.lastFmt == nil {
		l.lastNow, l.lastFmt = now, now.AppendFormat(l.lastFmt[:0], time.RFC3339Nano)
	}
	return append(b.buf, l.lastFmt...)
}

// rotate moves PATH to PATH.1, PATH.1 to PATH.2 and so on; the oldest beyond MaxFiles is
// overwritten. With one file only it is emptied.
func (l *File) rotate() error {
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
	if l.opts.MaxFiles < 2 {
		return l.open(os.O_TRUNC | os.O_APPEND)
	}
	var first error
	for i := l.opts.MaxFiles - 1; i > 0; i-- {
		err := os.Rename(l.numbered(i-1), l.numbered(i))
		if err != nil && !os.IsNotExist(err) && first == nil {
			first = fmt.Errorf("rotate log file: %w", err)
		}
	}
	return errors.Join(first, l.open(os.O_APPEND))
}

func (l *File) numbered(i int) string {
	if i == 0 {
		return l.path
	}
	return l.path + "." + strconv.Itoa(i)
}
