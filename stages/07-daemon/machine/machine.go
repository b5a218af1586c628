// Package machine gathers what the engine must know of the host, once, at start.
package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/moby/profiles/seccomp"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/07-daemon/ociconfig"
)

// Host asks the kernel.
func Host() ociconfig.Host {
	return ociconfig.Host{
		CgroupV2: CgroupV2(), Bounding: Bounding(), CPUs: runtime.NumCPU(),
		Device: Device, Devices: Devices, Seccomp: seccomp.GetDefaultProfile,
	}
}

// CgroupV2 tells whether the machine has the unified hierarchy alone (cgroups(7)).
func CgroupV2() bool {
	var st unix.Statfs_t
	return unix.Statfs("/sys/fs/cgroup", &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// Bounding lists the capabilities that this process could pass on (prctl(2), PR_CAPBSET_READ). Nobody can give what
// is not in it, so asking for more would only make the container fail.
func Bounding() []string {
	have := []string{}
	for number, name := range ociconfig.AllCapabilities() {
		if v, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(number), 0, 0, 0); err == nil && v == 1 {
			have = append(have, name)
		}
	}
	return have
}

// Device describes the device at path, or all devices below a directory.
func Device(path string) ([]ociconfig.Device, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		d, ok := describe(path)
		if !ok {
			return nil, fmt.Errorf("%s: not a device node", path)
		}
		return []ociconfig.Device{d}, nil
	}
	return walk(path, nil)
}

// Devices are all of /dev that a privileged container gets: without what is mounted there for other purposes.
func Devices() ([]ociconfig.Device, error) {
	skip := []string{"/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/console", "/dev/.lxc", "/dev/.lxd-mounts", "/dev/.udev"}
	return walk("/dev", skip)
}

func walk(root string, skip []string) ([]ociconfig.Device, error) {
	var out []ociconfig.Device
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, s := range skip {
			if path == s {
				if e.IsDir() {
					return filepath.SkipDir
				}
				return nil
			}
		}
		if d, ok := describe(path); ok && !e.IsDir() && e.Type()&fs.ModeSymlink == 0 {
			out = append(out, d)
		}
		return nil
	})
	return out, err
}

func describe(path string) (ociconfig.Device, bool) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return ociconfig.Device{}, false
	}
	d := ociconfig.Device{
		Path: path, Major: int64(unix.Major(uint64(st.Rdev))), Minor: int64(unix.Minor(uint64(st.Rdev))),
		Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid,
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		d.Type = "c"
	case unix.S_IFBLK:
		d.Type = "b"
	default:
		return d, false
	}
	return d, true
}

// Hostname is the machine's.
func Hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return strings.TrimSpace(name)
}
