package enter

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"golang.org/x/sys/unix"
)

// mapped says so in the list.
func (m Mount) mapped() string {
	if m.IDs == nil {
		return ""
	}
	return " and map its ids"
}

// sent tells whether the parent opens what is mounted and sends the child its descriptor.
func (r *Root) sent(m Mount) bool {
	return m.Bind() && (r.ParentOpens || m.IDs != nil) || m.CopyUp
}

// openMail makes the socket over which the parent sends what it has opened.
func (r *Root) openMail() launch.Step {
	return launch.Step{
		Name: "make a socket for descriptors", Because: "unix(7) SCM_RIGHTS: what the container's ids may not reach, the parent opens at its turn",
		Do: func(run *launch.Run) error {
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			r.mailbox = os.NewFile(uintptr(pair[0]), "descriptors")
			run.Hold(r.mail, os.NewFile(uintptr(pair[1]), "descriptors"))
			return nil
		},
		Undo: func(*launch.Run) error { return r.closeMail() },
	}
}

func (r *Root) closeMail() error {
	if err := r.mailbox.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// send is a parent's step that opens something and gives the child its descriptor.
func (r *Root) send(name, because string, open func(*launch.Run) (*os.File, error)) launch.Step {
	r.letters++
	last := r.letters == r.expected
	return launch.Step{Name: name, Because: because, Do: func(run *launch.Run) error {
		f, err := open(run)
		if err != nil {
			return err
		}
		err = unix.Sendmsg(int(r.mailbox.Fd()), []byte{1}, unix.UnixRights(int(f.Fd())), nil, 0)
		if last {
			err = errors.Join(err, r.closeMail())
		}
		return errors.Join(err, f.Close())
	}}
}

// receive takes the descriptor that the parent has sent.
func (r *Root) receive(into launch.Slot) []launch.Instr {
	control, data := memory(0, 0, 0), launch.Buf(1)
	iov := memory(0, 1)
	iov.Ptr = map[int]*launch.Mem{0: data}
	message := memory(0, 0, 0, 1, 0, 24, 0) // name, namelen, iov, iovlen, control, controllen, flags
	message.Ptr = map[int]*launch.Mem{16: iov, 32: control}
	const header = 16 + 4 // cmsg_len of one descriptor
	return []launch.Instr{
		launch.Call(unix.SYS_RECVMSG, r.mail, message, launch.Int(unix.MSG_CMSG_CLOEXEC)).At("letter").On(unix.EINTR, "letter"),
		launch.Expect(control, 0, ^uint64(0), header, unix.EBADF),
		launch.Load(control, 16, into),
	}
}

// sendSource copies the mount of a bind's source, as the container's mount namespace has it: with the host's right to reach it,
// and with the flags that this namespace must not take away (mount_namespaces(7), locked mounts).
func (r *Root) sendSource(m Mount) launch.Step {
	return r.send("open "+m.Source+m.mapped(), "its path may lead through directories that the container's ids may not search", func(run *launch.Run) (f *os.File, err error) {
		var users *os.File
		if m.IDs != nil {
			if users, err = m.IDs.Users(); err != nil {
				return nil, err
			}
			defer users.Close()
		}
		flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
		if m.Flags&unix.MS_REC != 0 {
			flags |= unix.AT_RECURSIVE
		}
		err = inMountNamespace(run.PID(), func() error {
			fd, err := unix.OpenTree(unix.AT_FDCWD, m.Source, flags)
			if err != nil {
				return err
			}
			f = os.NewFile(uintptr(fd), m.Source)
			return nil
		})
		if err == nil && users != nil {
			if err = m.IDs.apply(f, users); err != nil {
				_ = f.Close() // the first error is the cause
			}
		}
		return f, err
	})
}

// apply maps the ids of a mount that nobody sees yet: only a detached one may be mapped.
func (ids *IDs) apply(tree, users *os.File) error {
	flags := uint(unix.AT_EMPTY_PATH)
	if ids.Deep {
		flags |= unix.AT_RECURSIVE
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users.Fd())}
	if err := unix.MountSetattr(int(tree.Fd()), "", flags, &attr); err != nil {
		return fmt.Errorf("map its ids: %w", err)
	}
	return nil
}

// inMountNamespace calls f on a thread that sees the files as the process pid does. The thread ends with it.
func inMountNamespace(pid int, f func() error) (err error) {
	proc := "/proc/" + strconv.Itoa(pid)
	ns, err := os.Open(proc + "/ns/mnt")
	if err != nil {
		return err
	}
	defer ns.Close()
	root, err := unix.Open(proc+"/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	launch.OnOwnThread(func() (keep bool) {
		if err = unix.Unshare(unix.CLONE_FS); err != nil {
			return true
		}
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS); err != nil {
			err = fmt.Errorf("join the container's mount namespace: %w", err)
		} else if err = errors.Join(unix.Fchdir(root), unix.Chroot(".")); err == nil {
			err = f()
		}
		return false
	})
	return err
}

// openNode copies the mount of the host's device node, after making sure that it is that device.
func openNode(d Device, s launch.Slot) launch.Step {
	return launch.Step{
		Name: "open the host's " + d.Path, Because: "verified before it is shown inside (CVE-2025-31133)",
		Do: func(run *launch.Run) error {
			fd, err := unix.OpenTree(unix.AT_FDCWD, d.Path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
			if err != nil {
				return err
			}
			f := os.NewFile(uintptr(fd), d.Path)
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil {
				return closeAnd(f, err)
			}
			if st.Mode&unix.S_IFMT != d.Type || st.Rdev != unix.Mkdev(d.Major, d.Minor) {
				return closeAnd(f, fmt.Errorf("it is not device %d:%d: %w", d.Major, d.Minor, unix.ENXIO))
			}
			run.Hold(s, f)
			return nil
		},
	}
}

func closeAnd(f *os.File, err error) error {
	_ = f.Close() // the first error is the cause
	return err
}
