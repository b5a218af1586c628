package runtime

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// mountsOn counts the mounts that are stacked on a directory.
func mountsOn(dir string) (int, error) {
	points, err := mountPoints()
	n := 0
	for _, p := range points {
		if p.point == dir {
			n++
		}
	}
	return n, err
}

// unmount takes away what a container without a mount namespace of its own has mounted, with the one mount that all of it lies
// on. What was on the directory before stays.
func (c *Container) unmount() error {
	if c.OnHost == 0 {
		return nil
	}
	for {
		n, err := mountsOn(c.Rootfs)
		if err != nil || n < c.OnHost {
			return err
		}
		if err := unix.Unmount(c.Rootfs, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmount %s: %w", c.Rootfs, err)
		}
	}
}
