package ociconfig

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// DefaultShmSize is the size of /dev/shm, in bytes.
const DefaultShmSize = 64 << 20

// defaultMounts are Docker's, in the order in which they are made.
func defaultMounts() []specs.Mount {
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro", "nosuid", "noexec", "nodev"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
	}
}

// mounts lists the defaults that the user's own mounts do not cover, then the user's, outer before inner.
func (k *compiler) mounts() error {
	own := k.c.Mounts
	if k.c.InitPath != "" {
		own = append(slices.Clone(own), Mount{Kind: Bind, Source: k.c.InitPath, Destination: InitDestination, ReadOnly: true})
	}
	covered := map[string]bool{}
	for _, m := range own {
		covered[path.Clean(m.Destination)] = true
	}
	for _, m := range defaultMounts() {
		k.addMount(covered, k.relaxed(m))
	}
	if m, ok := k.shm(); ok {
		k.addMount(covered, m)
	}
	own = slices.Clone(own)
	slices.SortStableFunc(own, func(a, b Mount) int { return cmp.Compare(depth(a.Destination), depth(b.Destination)) })
	for _, m := range own {
		made, err := m.spec()
		if err != nil {
			return err
		}
		k.spec.Mounts = append(k.spec.Mounts, made)
	}
	return nil
}

func (k *compiler) addMount(covered map[string]bool, m specs.Mount) {
	if !covered[m.Destination] {
		k.spec.Mounts = append(k.spec.Mounts, m)
	}
}

// relaxed makes /sys and the cgroups writable for a privileged container.
func (k *compiler) relaxed(m specs.Mount) specs.Mount {
	if k.c.HostConfig.Privileged {
		m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "ro" })
	}
	return m
}

// shm is /dev/shm, which follows the mode of the IPC namespace.
func (k *compiler) shm() (specs.Mount, bool) {
	hc := k.c.HostConfig
	const dst = "/dev/shm"
	bind := []string{"rbind", "rprivate"}
	switch {
	case hc.IpcMode.IsNone():
		return specs.Mount{}, false
	case hc.IpcMode.IsHost():
		return specs.Mount{Destination: dst, Type: "bind", Source: dst, Options: bind}, true
	case hc.IpcMode.IsContainer():
		return specs.Mount{Destination: dst, Type: "bind", Source: k.c.Join.Shm, Options: bind}, true
	}
	size := cmp.Or(hc.ShmSize, DefaultShmSize)
	return specs.Mount{
		Destination: dst, Type: "tmpfs", Source: "shm",
		Options: []string{"nosuid", "noexec", "nodev", "mode=1777", fmt.Sprintf("size=%d", size)},
	}, true
}

func (m Mount) spec() (specs.Mount, error) {
	if !path.IsAbs(m.Destination) {
		return specs.Mount{}, fmt.Errorf("mount destination %q is not an absolute path", m.Destination)
	}
	out := specs.Mount{Destination: path.Clean(m.Destination), Type: string(m.Kind)}
	switch m.Kind {
	case Tmpfs:
		out.Source = "tmpfs"
		out.Options = mergeTmpfs([]string{"noexec", "nosuid", "nodev"}, m.Options)
	case Bind:
		out.Source = m.Source
		out.Options = []string{"rbind", cmp.Or(m.Propagation, "rprivate")}
		if m.NonRecursive {
			out.Options[0] = "bind"
		}
	}
	if m.ReadOnly {
		out.Options = append(out.Options, "ro")
	}
	return out, nil
}

// mergeTmpfs lets an option of the user win over the default it contradicts (exec over noexec).
func mergeTmpfs(defaults, own []string) []string {
	return append(slices.DeleteFunc(defaults, func(d string) bool {
		return slices.Contains(own, strings.TrimPrefix(d, "no"))
	}), own...)
}

func depth(p string) int { return strings.Count(path.Clean(p), "/") }
