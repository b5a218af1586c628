package cgroup

import (
	"errors"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Give makes the group a user's own: its directory, and the files in it that the kernel lists as what a delegated
// group consists of (cgroups(7), "Delegation"; runtime-spec config-linux.md, "Cgroup ownership"). The limits stay
// whose they were. Only v2 can be given away: on v1 it does nothing.
func (g *Group) Give(uid int) error {
	p, ok := g.unified()
	if !ok || g.layout.mode != V2 {
		return nil
	}
	if err := g.refuseRoot("give away"); err != nil {
		return err
	}
	for _, file := range append([]string{"."}, delegateFiles()...) {
		_, err := p.do(func(root int) (int, error) {
			return 0, unix.Fchownat(root, path.Join(p.rel, file), uid, -1, unix.AT_SYMLINK_NOFOLLOW)
		})
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return p.fail("chown", file, err)
		}
	}
	return nil
}

// delegateFiles is the kernel's list, since Linux 4.15.
func delegateFiles() []string {
	data, err := os.ReadFile("/sys/kernel/cgroup/delegate")
	if err != nil {
		return []string{"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"}
	}
	var files []string
	for _, name := range strings.Fields(string(data)) {
		if !strings.Contains(name, "/") {
			files = append(files, name)
		}
	}
	return files
}
