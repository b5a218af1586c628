package logs

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// watch tells when something happens in the directory of a log: inotify(7) on the directory, not on the file,
// because rotation and creation are changes of names.
type watch struct {
	changed chan struct{} // holds one token; many changes are one wake-up
	failed  chan error
	file    *os.File
}

func newWatch(path string) (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	const what = unix.IN_MODIFY | unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), what); err != nil {
		_ = f.Close()
		return nil, &os.PathError{Op: "inotify_add_watch", Path: filepath.Dir(path), Err: err}
	}
	w := &watch{changed: make(chan struct{}, 1), failed: make(chan error, 1), file: f}
	go w.run()
	return w, nil
}

// run turns bytes into tokens; it ends when close closes the file.
func (w *watch) run() {
	buf := make([]byte, 4096)
	for {
		if _, err := w.file.Read(buf); err != nil {
			w.failed <- err
			return
		}
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

func (w *watch) close() { _ = w.file.Close() }
