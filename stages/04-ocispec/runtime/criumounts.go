package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/criu"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

// A mount of the host's gets three names in a checkpoint: where it is in the container, as the kernel says; its name in the
// images, which is config.json's destination; and on restore its source, which is config.json's too. What the container's
// paths lead to is asked only to find the mount, and what is found must be one (CVE-2026-119101).

// config is the container's configuration with the sources of binds made absolute, as create used them.
func (c *Container) config() (*specs.Spec, error) {
	s, err := c.dir.Config()
	if err != nil {
		return nil, err
	}
	s.Root = &specs.Root{Path: c.Rootfs, Readonly: s.Root != nil && s.Root.Readonly}
	spec.Absolute(s, c.Bundle)
	return s, nil
}

// dumpMounts maps the mount points in the container to names.
func (c *Container) dumpMounts() ([]criu.Pair, error) {
	s, err := c.config()
	if err != nil {
		return nil, err
	}
	list, err := c.externals(s)
	if err != nil {
		return nil, err
	}
	root, err := openRoot(c.Process.PID)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	points, err := mountsOf(c.Process.PID)
	if err != nil {
		return nil, err
	}
	var pairs []criu.Pair
	taken := map[string]string{}
	for _, e := range list {
		point, err := findMount(root, points, e)
		if err != nil {
			return nil, fmt.Errorf("external mount %s: %w", e.Target, err)
		}
		if point == "" {
			continue
		}
		if other, ok := taken[point]; ok {
			return nil, fmt.Errorf("external mounts %s and %s are both at %s in the container", other, e.Target, point)
		}
		taken[point] = e.Target
		name := e.Target
		if e.Masked {
			name = e.Source
		}
		pairs = append(pairs, criu.Pair{Key: point, Value: name})
	}
	return pairs, nil
}

func (c *Container) externals(s *specs.Spec) ([]plan.External, error) {
	facts := plan.Facts{Files: fileSources(s.Mounts)}
	if c.Cgroup != "" {
		group, err := c.group()
		if err != nil {
			return nil, err
		}
		facts.Cgroup = cgroupFacts(group, s)
	}
	return plan.Externals(s, facts)
}

func openRoot(pid int) (*os.File, error) {
	return os.OpenFile("/proc/"+strconv.Itoa(pid)+"/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// mountsOf maps the ids of a process's mounts to their points, as it sees them (proc_pid_mountinfo(5)).
func mountsOf(pid int) (map[uint64]string, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/mountinfo")
	if err != nil {
		return nil, err
	}
	points := map[uint64]string{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		id, err := strconv.ParseUint(f[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("mountinfo: %w", err)
		}
		points[id] = unescape(f[4])
	}
	return points, nil
}

// openInside resolves a path below a container's root.
func openInside(root *os.File, name string) (*os.File, error) {
	fd, err := unix.Openat2(int(root.Fd()), strings.TrimPrefix(name, "/"), &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// findMount returns the mount point of an external mount; "" when it is one that need not be there.
func findMount(root *os.File, points map[uint64]string, e plan.External) (string, error) {
	f, err := openInside(root, e.Target)
	if err != nil {
		if e.Optional {
			return "", nil
		}
		return "", err
	}
	defer f.Close()
	var st unix.Statx_t
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &st); err != nil {
		return "", fmt.Errorf("statx: %w", err)
	}
	point, ok := points[st.Mnt_id]
	isMount := ok && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	if e.Masked && !(st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev_major == 1 && st.Rdev_minor == 3) {
		return "", nil // a directory: an empty tmpfs lies on it, which is the container's own
	}
	switch {
	case !isMount && e.Optional:
		return "", nil
	case !isMount:
		return "", fmt.Errorf("nothing is mounted there")
	case point != filepath.Clean(e.Target) && !same(&st, e.Source):
		return "", fmt.Errorf("the path leads to the mount at %s, which does not show %s", point, e.Source)
	}
	return point, plan.CheckExternalName(point)
}

// same tells whether a file is what a path on the host names.
func same(st *unix.Statx_t, source string) bool {
	var want unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, source, 0, unix.STATX_BASIC_STATS, &want); err != nil {
		return false
	}
	return st.Ino == want.Ino && st.Dev_major == want.Dev_major && st.Dev_minor == want.Dev_minor
}

// restoreMounts maps names to sources, all from config.json.
func restoreMounts(list []plan.External) []criu.Pair {
	var pairs []criu.Pair
	masked := false
	for _, e := range list {
		if e.Masked {
			masked = true
			continue
		}
		pairs = append(pairs, criu.Pair{Key: e.Target, Value: e.Source})
	}
	if masked {
		pairs = append(pairs, criu.Pair{Key: "/dev/null", Value: "/dev/null"})
	}
	return pairs
}

// stillReadonly makes sure that images, which may be a stranger's, have not made writable what config.json gives to be read.
func stillReadonly(pid int, list []plan.External) error {
	root, err := openRoot(pid)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, e := range list {
		if !e.Readonly {
			continue
		}
		f, err := openInside(root, e.Target)
		if err != nil {
			return fmt.Errorf("external mount %s: %w", e.Target, err)
		}
		var st unix.Statfs_t
		err = unix.Fstatfs(int(f.Fd()), &st)
		_ = f.Close() // only looked at
		if err != nil {
			return fmt.Errorf("external mount %s: %w", e.Target, err)
		}
		if st.Flags&unix.ST_RDONLY == 0 {
			return fmt.Errorf("external mount %s: config.json says ro, the images made it writable", e.Target)
		}
	}
	return nil
}
