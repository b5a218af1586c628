package oci

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"

	"golang.org/x/sys/unix"
)

// readOnlyView opens a program through a detached, read-only copy of the mount it lies on
// (open_tree(2), mount_setattr(2)). A container can make its runtime execute itself inside
// (/proc/self/exe as the program) and then write to the runtime's file; through a read-only mount it
// cannot (CVE-2019-5736). Runtimes guard themselves by executing themselves a second time from such
// a place; one that is executed from there need not, and a whole program start is saved. It is not
// for every runtime: one that asks for its own path hears "/".
//
// nil means to execute the path as it is: a script, which its interpreter must open by name, or a
// kernel or user that may not copy mounts.
func readOnlyView(path string) *os.File {
	if !isELF(path) {
		return nil
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		unix.Close(fd)
		return nil
	}
	return os.NewFile(uintptr(fd), path)
}

func isELF(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	magic := make([]byte, 4)
	_, err = f.Read(magic)
	return err == nil && bytes.Equal(magic, []byte("\x7fELF"))
}

// throughView makes a command execute its program through a read-only view. The returned function
// gives the view up; what runs from it keeps it.
func throughView(cmd *exec.Cmd) (done func()) {
	view := readOnlyView(cmd.Path)
	if view == nil {
		return func() {}
	}
	cmd.Path = "/proc/self/fd/" + strconv.Itoa(int(view.Fd()))
	return func() { view.Close() }
}
