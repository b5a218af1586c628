package logs

import (
	"context"
	"os"
	"time"
)

// follow stays with the newest file until the container has ended or the client has gone.
//
// Three things can happen: the file grows, it is rotated (its name belongs to another file), the container ends.
// The order in the loop is what makes it gap-free: the watch exists before the first look at the file, and after
// the end there is one more look.
func (r *reader) follow(ctx context.Context, ended <-chan struct{}) error {
	watch, err := newWatch(r.path)
	if err != nil {
		return err
	}
	defer watch.close()
	until := time.NewTimer(r.query.remaining())
	defer until.Stop()
	//ex:begin daemon.logs-follow
	for last := false; ; {
		if err := r.catchUp(); err != nil || last {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-until.C:
			last = true
		case <-ended:
			last = true
		case err := <-watch.failed:
			return err
		case <-watch.changed:
		}
	}
	//ex:stub
	// return todo.Exercise("daemon.logs-follow")
	//ex:end daemon.logs-follow
}

// catchUp emits everything up to the end of the newest file, crossing rotations on the way.
func (r *reader) catchUp() error {
	for {
		if r.file == nil {
			f, err := os.Open(r.path)
			if os.IsNotExist(err) {
				return nil
			}
			if err != nil {
				return err
			}
			r.file = f
		}
		// The order matters: what was written to a file was written before its name was taken away.
		newest := sameFile(r.file, r.path)
		if err := r.drain(r.file); err != nil || newest {
			return err
		}
		next, err := successor(r.file, r.path)
		if err != nil || next == nil { // the old file stays open: only from it can the next one be told
			return err
		}
		_ = r.file.Close()
		r.file, r.rest = next, nil
	}
}

// successor opens the file that was begun when old was rotated away; nil when the newest one is not there yet.
//
// The log may be rotated again while it is looked for: then every name means the file before it, and for a moment one name
// means none. So the places are looked at again once it is open: only if old still stands right behind it, is it the next one.
func successor(old *os.File, path string) (*os.File, error) {
	is, err := old.Stat()
	if err != nil {
		return nil, err
	}
	for {
		n, found := place(is, path)
		f, err := os.Open(rotated(path, n))
		switch {
		case os.IsNotExist(err) && n == 0:
			return nil, nil
		case os.IsNotExist(err):
			continue // it is being renamed
		case err != nil:
			return nil, err
		}
		if again, still := place(is, path); again == n && still == found && sameFile(f, rotated(path, n)) {
			return f, nil
		}
		_ = f.Close()
	}
}

// place is the number of the file that follows the one that is meant: one less than its own, or the oldest's when it is no
// longer there (false). A single missing number is a rename in progress; two are the end.
func place(is os.FileInfo, path string) (next int, found bool) {
	for n := 1; n-next <= 2; n++ {
		info, err := os.Stat(rotated(path, n))
		if err != nil {
			continue
		}
		if os.SameFile(info, is) {
			return n - 1, true
		}
		next = n
	}
	return next, false
}
