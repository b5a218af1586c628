package enter

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"golang.org/x/sys/unix"
)

// sendCopy makes a tmpfs that holds what the image has at its target (the option tmpcopyup). The parent does it, because a
// tree of any depth is no list of system calls. A target that is not there gives an empty one.
func (r *Root) sendCopy(m Mount) launch.Step {
	return r.send("copy "+m.Target+" of the image to a tmpfs", "option tmpcopyup: it starts with what it covers", func(run *launch.Run) (f *os.File, err error) {
		err = inMountNamespace(run.PID(), func() error {
			if f, err = newTmpfs(m); err != nil {
				return err
			}
			if err := copyUp(r.Root, relative(m.Target), f); err != nil {
				return closeAnd(f, err)
			}
			return nil
		})
		return f, err
	})
}

// newTmpfs makes one that is mounted nowhere yet (fsopen(2), fsmount(2)).
func newTmpfs(m Mount) (*os.File, error) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetString(fs, "source", cmp.Or(m.Source, "tmpfs")); err != nil {
		return nil, err
	}
	for option := range strings.SplitSeq(m.Data, ",") {
		key, value, has := strings.Cut(option, "=")
		switch {
		case key == "":
		case has:
			err = unix.FsconfigSetString(fs, key, value)
		default:
			err = unix.FsconfigSetFlag(fs, key)
		}
		if err != nil {
			return nil, fmt.Errorf("option %q: %w", option, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, err
	}
	set, _ := attributes(m.Flags &^ unix.MS_RDONLY)
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, int(set))
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "tmpfs"), nil
}

// copyUp copies a directory below root into the mount to. Links of the image stay links; they are resolved inside root.
func copyUp(root, dir string, to *os.File) error {
	in, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(in)
	from, err := unix.Openat2(in, dir, &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: inRoot})
	if errors.Is(err, unix.ENOENT) {
		return nil
	} else if err != nil {
		return err
	}
	defer unix.Close(from)
	dst, err := unix.Openat(int(to.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dst)
	var st unix.Stat_t
	if err := errors.Join(unix.Fstat(from, &st), unix.Fchown(dst, int(st.Uid), int(st.Gid))); err != nil {
		return err
	}
	return copyDirectory(from, dst)
}

// copyDirectory copies what is in src; both are descriptors, no name is resolved twice.
func copyDirectory(src, dst int) error {
	again, err := unix.Openat(src, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(again), "directory")
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := copyEntry(src, dst, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func copyEntry(src, dst int, name string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(src, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	var err error
	kind := st.Mode & unix.S_IFMT
	switch kind {
	case unix.S_IFLNK:
		err = copyLink(src, dst, name, st.Size)
	case unix.S_IFDIR:
		if err = unix.Mkdirat(dst, name, 0o700); err == nil {
			err = within(src, dst, name, unix.O_DIRECTORY, unix.O_RDONLY|unix.O_DIRECTORY, copyDirectory)
		}
	case unix.S_IFREG:
		err = within(src, dst, name, unix.O_NONBLOCK, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, copyContent)
	default:
		err = unix.Mknodat(dst, name, kind, int(st.Rdev))
	}
	if err != nil {
		return err
	}
	return copyOwner(dst, name, &st)
}

// within opens a name in both directories and calls do with them.
func within(src, dst int, name string, from, to int, do func(src, dst int) error) error {
	const flags = unix.O_NOFOLLOW | unix.O_CLOEXEC
	in, err := unix.Openat(src, name, unix.O_RDONLY|from|flags, 0)
	if err != nil {
		return err
	}
	defer unix.Close(in)
	out, err := unix.Openat(dst, name, to|flags, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(out)
	return do(in, out)
}

func copyContent(src, dst int) error {
	for {
		n, err := unix.CopyFileRange(src, nil, dst, nil, 1<<20, 0)
		switch {
		case err == unix.EXDEV || err == unix.EINVAL || err == unix.EOPNOTSUPP:
			return readWrite(src, dst)
		case err != nil || n == 0:
			return err
		}
	}
}

// readWrite is for file systems that do not copy themselves.
func readWrite(src, dst int) error {
	_, err := io.Copy(descriptor(dst), descriptor(src))
	return err
}

// descriptor reads and writes a file that somebody else closes.
type descriptor int

func (d descriptor) Read(p []byte) (int, error) {
	n, err := unix.Read(int(d), p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

func (d descriptor) Write(p []byte) (int, error) { return unix.Write(int(d), p) }

func copyLink(src, dst int, name string, size int64) error {
	to := make([]byte, size+1)
	n, err := unix.Readlinkat(src, name, to)
	if err != nil {
		return err
	}
	return unix.Symlinkat(string(to[:n]), dst, name)
}

// copyOwner gives the copy the owner, the mode and the time of the original, in this order: a change of owner takes setuid away.
func copyOwner(dst int, name string, st *unix.Stat_t) error {
	err := unix.Fchownat(dst, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFLNK {
		err = unix.Fchmodat(dst, name, st.Mode&0o7777, 0)
	}
	if err == nil {
		err = unix.UtimesNanoAt(dst, name, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
	}
	return err
}
