package snapshot

import (
	"errors"
	"fmt"
	"os"

	"github.com/slipway-engine/slipway/stages/03-rootfs/apart"
	"golang.org/x/sys/unix"
)

// Detached makes a mount that is attached nowhere, for whoever gets the file to move_mount(2) it where he wants: a container in mount and user
// namespaces of its own could not make it, and on the host nobody sees it. It is gone when the file is closed.
func Detached(m Mount) (*os.File, error) {
	if m.Target != "" {
		return nil, fmt.Errorf("mount on %q of the root: %w", m.Target, ErrInvalid)
	}
	dir, err := os.MkdirTemp("", "slipway-mount-")
	if err != nil {
		return nil, err
	}
	tree := -1
	err = apart.Do(func() (err error) {
		if err := MountAll([]Mount{m}, dir); err != nil {
			return err
		}
		tree, err = unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		return err
	})
	if err = errors.Join(err, os.Remove(dir)); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(tree), "snapshot"), nil
}
