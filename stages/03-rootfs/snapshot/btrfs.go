package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Btrfs is Copy where the file system copies a whole tree in no time: each snapshot is a subvolume (btrfs-subvolume(8)).
type Btrfs struct {
	*Copy
}

// NewBtrfs opens the snapshots in dir, which must lie on btrfs. ErrLocked while another process has it open.
func NewBtrfs(dir string, options ...Option) (*Btrfs, error) {
	s, err := openStore(dir, "bind", discardSubvolume, options)
	if err != nil {
		return nil, err
	}
	if err := onBtrfs(dir); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &Btrfs{&Copy{s, subvolume}}, nil
}

func onBtrfs(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if st.Type != unix.BTRFS_SUPER_MAGIC {
		return fmt.Errorf("%s is not on btrfs: %w", dir, ErrInvalid)
	}
	return nil
}

// subvolume makes a subvolume, a snapshot of another when from is not "".
func subvolume(_ context.Context, from, to string) error {
	if from == "" {
		if err := control(subvolCreate, to, -1); err != nil {
			return fmt.Errorf("make subvolume %s: %w", to, err)
		}
		return os.Chmod(to, 0o755)
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := control(snapCreate, to, int64(source.Fd())); err != nil {
		return fmt.Errorf("make subvolume %s of %s: %w", to, from, err)
	}
	return nil
}

// discardSubvolume removes a snapshot's directory. The kernel drops a subvolume's files by itself, later.
func discardSubvolume(dir string) error {
	err := control(snapDestroy, filepath.Join(dir, "fs"), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTTY) {
		return fmt.Errorf("remove subvolume %s/fs: %w", dir, err)
	}
	return os.RemoveAll(dir) // and what is no subvolume, or was made in one by a container: rmdir(2) takes an empty one
}

// The requests of ioctl-btrfs(2): all take a directory and a name in it.
const (
	snapCreate   = 0x50009401
	subvolCreate = 0x5000940e
	snapDestroy  = 0x5000940f
)

// volArgs is struct btrfs_ioctl_vol_args.
type volArgs struct {
	fd   int64 // of the subvolume to copy
	name [4088]byte
}

func control(request uintptr, path string, fd int64) error {
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer parent.Close()
	args := volArgs{fd: fd}
	copy(args.name[:len(args.name)-1], filepath.Base(path))
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, parent.Fd(), request, uintptr(unsafe.Pointer(&args))); errno != 0 {
		return errno
	}
	return nil
}

var _ Snapshotter = (*Btrfs)(nil)
