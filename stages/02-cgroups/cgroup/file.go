package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// place is a group in one hierarchy: the only thing here that touches files. Every file is opened beneath
// the hierarchy's descriptor, without following links, without leaving the mount, and never with O_CREATE
// (which cgroupfs answers with EACCES where ENOENT is the truth).
type place struct {
	tree *tree
	rel  string // "slipway/ID"; "." is the hierarchy's root
}

func (p place) String() string { return path.Join(p.tree.mount, p.rel) }

func (p place) child(name string) place { return place{p.tree, path.Join(p.rel, name)} }

// parent returns the place above; ok is false at the hierarchy's root.
func (p place) parent() (up place, ok bool) {
	return place{p.tree, path.Dir(p.rel)}, p.rel != "."
}

func (p place) fail(op, file string, err error) error {
	return &os.PathError{Op: op, Path: path.Join(p.String(), file), Err: err}
}

// do makes a system call with the hierarchy's descriptor, which stays open meanwhile whatever the garbage
// collector thinks of the Layout. A Layout that was only parsed has none.
func (p place) do(call func(root int) (int, error)) (int, error) {
	if p.tree.dir == nil {
		return -1, errors.New("the cgroup layout was parsed but not opened")
	}
	defer runtime.KeepAlive(p.tree)
	return retry(func() (int, error) { return call(int(p.tree.dir.Fd())) })
}

// openFD opens a file of the group, or the group itself when file is ".".
func (p place) openFD(file string, flags int) (int, error) {
	fd, err := p.do(func(root int) (int, error) {
		return openBeneath(root, path.Join(p.rel, file), flags|unix.O_CLOEXEC)
	})
	if err != nil {
		return -1, p.fail("open", file, err)
	}
	return fd, nil
}

func (p place) open(file string, flags int) (*os.File, error) {
	fd, err := p.openFD(file, flags)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path.Join(p.String(), file)), nil
}

// openBeneath opens name below a directory by openat2(2), or step by step where the system call is missing
// or a seccomp filter refuses it.
func openBeneath(dir int, name string, flags int) (int, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	}
	fd, err := retry(func() (int, error) { return unix.Openat2(dir, name, &how) })
	if err == unix.ENOSYS || err == unix.EPERM {
		return openWalk(dir, name, flags)
	}
	return fd, err
}

// openWalk is openat2's BENEATH by hand: no link in any component, no "..".
func openWalk(dir int, name string, flags int) (int, error) {
	at := dir
	first, rest, more := strings.Cut(name, "/")
	for {
		f := flags
		if more {
			f = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
		}
		if first == ".." || first == "" {
			return -1, unix.EXDEV
		}
		fd, err := retry(func() (int, error) { return unix.Openat(at, first, f|unix.O_NOFOLLOW, 0) })
		if at != dir {
			unix.Close(at)
		}
		if err != nil || !more {
			return fd, err
		}
		at = fd
		first, rest, more = strings.Cut(rest, "/")
	}
}

// read returns a whole file, without the newline at its end.
func (p place) read(file string) (string, error) {
	fd, err := p.openFD(file, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var data []byte
	buf := make([]byte, 4096)
	for {
		n, err := retry(func() (int, error) { return unix.Read(fd, buf) })
		if errors.Is(err, unix.ENODEV) { // kernfs: the group was removed while its file was open
			err = unix.ENOENT
		}
		if err != nil {
			return "", p.fail("read", file, err)
		}
		if n == 0 {
			return strings.TrimSuffix(string(data), "\n"), nil
		}
		data = append(data, buf[:n]...)
	}
}

// write hands the kernel each value in one write(2), as its parsers want it. The error names file and value.
func (p place) write(file string, values ...string) error {
	fd, err := p.openFD(file, unix.O_WRONLY)
	if err != nil {
		return fmt.Errorf("write %q: %w", values[0], err)
	}
	defer unix.Close(fd)
	for _, data := range values {
		if _, err := retry(func() (int, error) { return unix.Write(fd, []byte(data)) }); err != nil {
			return fmt.Errorf("write %q: %w", data, p.fail("write", file, err))
		}
	}
	return nil
}

// exists asks for the directory only.
func (p place) exists() bool { return p.stat(".") == unix.S_IFDIR }

// has asks for a file of the group.
func (p place) has(file string) bool { return p.stat(file) == unix.S_IFREG }

// stat returns the type of a file, 0 if there is none.
func (p place) stat(file string) uint32 {
	var s unix.Stat_t
	_, err := p.do(func(root int) (int, error) {
		return 0, unix.Fstatat(root, path.Join(p.rel, file), &s, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		return 0
	}
	return s.Mode & unix.S_IFMT
}

// children lists the groups directly below.
func (p place) children() ([]place, error) {
	dir, err := p.open(".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	var below []place
	for _, e := range entries {
		if e.IsDir() {
			below = append(below, p.child(e.Name()))
		}
	}
	return below, err
}

// retry repeats a system call that a signal interrupted: Go preempts by signal, and a write to a memory
// limit that has to reclaim first can be interrupted many times.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
