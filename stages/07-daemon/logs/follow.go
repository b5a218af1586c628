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
		if err != nil {
			return err
		}
		_ = r.file.Close()
		r.file, r.rest = next, nil
	}
}

// successor opens the file that was begun when old was rotated away; nil when the newest one is not there yet.
func successor(old *os.File, path string) (*os.File, error) {
	is, err := old.Stat()
	if err != nil {
		return nil, err
	}
	n := 0
	for {
		info, err := os.Stat(rotated(path, n+1))
		if err != nil || os.SameFile(info, is) {
			break // its place, or beyond the oldest: old itself was removed
		}
		n++
	}
	f, err := os.Open(rotated(path, n))
	if os.IsNotExist(err) {
		return nil, nil
	}
	return f, err
}
