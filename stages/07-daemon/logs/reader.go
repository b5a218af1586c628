package logs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// errEnough ends a reading: the bound of Until was reached.
var errEnough = errors.New("enough")

// Read calls emit for every entry that the query wants, oldest first. With Follow it goes on until ctx ends, or
// until ended is closed and everything written before that was emitted. A log that does not exist yet is empty.
func Read(ctx context.Context, path string, q Query, ended <-chan struct{}, emit func(Entry) error) error {
	r := &reader{path: path, query: q, emit: emit}
	defer r.close()
	err := r.history()
	if err == nil && q.Follow {
		err = r.follow(ctx, ended)
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// reader walks the rotated files and then stays with the newest one.
type reader struct {
	path  string
	query Query
	emit  func(Entry) error

	file *os.File // the newest file, read up to where its lines end
	rest []byte   // an unfinished last line
}

func (r *reader) close() {
	if r.file != nil {
		_ = r.file.Close()
	}
}

// history emits what is there now, and leaves the newest file open at its end.
func (r *reader) history() error {
	files, err := openAll(r.path)
	if err != nil || len(files) == 0 {
		return err
	}
	defer func() {
		for _, f := range files {
			if f != r.file {
				_ = f.Close()
			}
		}
	}()
	first := 0
	if r.query.Tail >= 0 {
		if first, err = seekTail(files, r.query.Tail); err != nil {
			return err
		}
	}
	r.file = files[len(files)-1]
	for _, f := range files[first:] {
		if err := r.drain(f); err != nil {
			return err
		}
	}
	return nil
}

// openAll opens the rotated files, oldest first. A rotation in between shifts the names, and for a moment one is missing; so
// the list is taken again while it has a gap, or the newest file is another one afterwards. A gap that stays is a writer that
// died in the middle: then what there is is the log.
func openAll(path string) ([]*os.File, error) {
	for tries := 0; ; tries++ {
		files, gap, err := openOnce(path)
		whole := !gap && (len(files) == 0 || sameFile(files[len(files)-1], path))
		if err != nil || whole || gap && tries > 20 {
			return files, err
		}
		for _, f := range files {
			_ = f.Close()
		}
		if tries > 200 {
			return nil, fmt.Errorf("log %s is rotated faster than it can be opened", path)
		}
		time.Sleep(time.Millisecond)
	}
}

// openOnce opens what has a name now; gap: a number is missing that is followed by another.
func openOnce(path string) (files []*os.File, gap bool, err error) {
	last := -1
	for n := 0; n-last <= 2; n++ {
		f, err := os.Open(rotated(path, n))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return files, gap, err
		}
		gap = gap || n != last+1
		last = n
		files = append([]*os.File{f}, files...)
	}
	return files, gap, nil
}

func rotated(path string, n int) string {
	if n == 0 {
		return path
	}
	return fmt.Sprintf("%s.%d", path, n)
}

func sameFile(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

// drain emits the whole lines from f's position to its end, and keeps the rest for the next call.
func (r *reader) drain(f *os.File) error {
	in := bufio.NewReaderSize(f, 64<<10)
	for {
		piece, err := in.ReadSlice('\n')
		r.rest = append(r.rest, piece...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		line := r.rest
		if err := r.line(line); err != nil {
			return err
		}
		r.rest = r.rest[:0]
	}
}

// line emits one line. A damaged one (a power cut in the middle of a write) is skipped: the lines after it count.
func (r *reader) line(line []byte) error {
	line = bytes.Trim(line, "\x00\n")
	if len(line) == 0 {
		return nil
	}
	e, err := decode(line)
	if err != nil {
		return nil
	}
	if r.query.past(e) {
		return errEnough
	}
	if !r.query.wants(e) {
		return nil
	}
	return r.emit(e)
}

// remaining is the time until the query's Until bound; without one it is very long.
func (q Query) remaining() time.Duration {
	if q.Until.IsZero() {
		return 24 * 365 * time.Hour
	}
	return max(0, time.Until(q.Until))
}
