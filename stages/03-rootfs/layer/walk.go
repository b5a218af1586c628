package layer

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// walker holds the directory that entries are being made in, and all those above it up to the root, as descriptors.
// A tar lists a directory's files one after another, so most entries need no look-up at all,
// and none is ever looked up from the root of the host.
type walker struct {
	names []string // of the directories below the root
	fds   []int    // fds[0] is the root, fds[i+1] is names[i]
	// missing is called after a directory was made that the layer did not hold.
	missing func(path string, fd int) error
}

func openWalker(dir string) (*walker, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return &walker{fds: []int{fd}}, nil
}

func (w *walker) close() {
	for _, fd := range w.fds {
		unix.Close(fd)
	}
	w.fds = nil
}

func (w *walker) root() int { return w.fds[0] }
func (w *walker) top() int  { return w.fds[len(w.fds)-1] }

// cut closes all directories but the first n below the root.
func (w *walker) cut(n int) {
	for _, fd := range w.fds[n+1:] {
		unix.Close(fd)
	}
	w.names, w.fds = w.names[:n], w.fds[:n+1]
}

// enter makes dir, a clean path below the root or "", the top and gives its descriptor. Directories that are not there are made.
func (w *walker) enter(dir string) (int, error) {
	n, rest := 0, dir
	for n < len(w.names) && rest != "" {
		name, after, _ := strings.Cut(rest, "/")
		if name != w.names[n] {
			break
		}
		n, rest = n+1, after
	}
	w.cut(n)
	for rest != "" {
		name, after, _ := strings.Cut(rest, "/")
		if err := w.push(name); err != nil {
			return -1, err
		}
		rest = after
	}
	return w.top(), nil
}

func (w *walker) push(name string) error {
	fd, err := openDir(w.top(), name)
	if errors.Is(err, unix.ENOENT) {
		if fd, err = w.make(name); err == nil {
			return nil
		}
	}
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		fd, err = w.follow(name)
	}
	if err != nil {
		return fmt.Errorf("enter %s: %w", path.Join(append(w.names, name)...), err)
	}
	w.add(name, fd)
	return nil
}

// add makes fd, the directory name in the top, the new top and owns it.
func (w *walker) add(name string, fd int) {
	w.names, w.fds = append(w.names, name), append(w.fds, fd)
}

// make makes a directory that the layer needs but does not hold.
func (w *walker) make(name string) (int, error) {
	if err := unix.Mkdirat(w.top(), name, 0o755); err != nil {
		return -1, err
	}
	fd, err := openDir(w.top(), name)
	if err != nil {
		return -1, err
	}
	w.add(name, fd)
	if w.missing == nil {
		return fd, nil
	}
	return fd, w.missing(path.Join(w.names...), fd)
}

// follow opens a directory that is reached through a symbolic link. Images are full of them (/bin → usr/bin), and a
// hostile one points to /etc or ../../..: so the kernel resolves the whole path as if our root were "/"
// (openat2(2), RESOLVE_IN_ROOT), where an absolute link starts at the root and ".." ends there.
func (w *walker) follow(name string) (int, error) {
	p := path.Join(append(w.names, name)...)
	//ex:begin rootfs.unpack
	return unix.Openat2(w.root(), p, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	//ex:stub
	// _ = p
	// return -1, todo.Exercise("rootfs.unpack")
	//ex:end rootfs.unpack
}

// openDir opens the directory name in fd and follows no link: ELOOP or ENOTDIR tell that it is one.
func openDir(fd int, name string) (int, error) {
	return unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// cleanName gives the path of an entry below the root, "" for the root itself.
// A leading slash means the root, as everywhere; a path that climbs out is ErrEscape.
func cleanName(name string) (string, error) {
	p := path.Clean(strings.TrimLeft(name, "/"))
	switch {
	case p == "." || p == "":
		return "", nil
	case p == ".." || strings.HasPrefix(p, "../"):
		return "", ErrEscape
	}
	return p, nil
}

// splitPath gives the directory and the last part of a clean path.
func splitPath(p string) (dir, base string) {
	i := strings.LastIndexByte(p, '/')
	if i < 0 {
		return "", p
	}
	return p[:i], p[i+1:]
}
