package main

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// protect makes this process run from a read-only view of its own program, when the verb lets a container's program be executed.
//
// An image can name /proc/self/exe as its program, or as a script's interpreter: then the kernel executes us inside the
// container, and whoever is root there could open our file by /proc/PID/exe and, once nobody runs it, write to it
// (CVE-2019-5736). Opened through a read-only mount it cannot be written: so copy the mount of our file, detached and
// read-only, and execute ourselves through it, once. Where the program lies on a read-only mount already, nothing is done; a
// caller that starts us often can arrange for that.
func protect(args []string) error {
	if os.Geteuid() != 0 || !slices.ContainsFunc(args, func(a string) bool { return a == "create" || a == "run" || a == "exec" }) {
		return nil
	}
	var st unix.Statfs_t
	if err := unix.Statfs("/proc/self/exe", &st); err != nil {
		return err
	}
	if st.Flags&unix.ST_RDONLY != 0 { // older kernels have named us after the descriptor that we were executed by
		return unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(unsafe.StringData("slipway-runtime\x00"))), 0, 0, 0)
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, "/proc/self/exe", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("open_tree of our own program: %w", err)
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fmt.Errorf("read-only view of our own program: %w", err)
	}
	return fmt.Errorf("execute ourselves through a read-only view: %w", execveat(fd, os.Args, os.Environ()))
}

// execveat replaces this program by the one that a descriptor refers to (execveat(2), AT_EMPTY_PATH).
func execveat(fd int, argv, env []string) error {
	argvp, err := syscall.SlicePtrFromStrings(argv)
	if err != nil {
		return err
	}
	envp, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return err
	}
	empty := [1]byte{}
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(&empty[0])),
		uintptr(unsafe.Pointer(&argvp[0])), uintptr(unsafe.Pointer(&envp[0])), unix.AT_EMPTY_PATH, 0)
	return errno
}
