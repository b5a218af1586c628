package main

import (
	"cmp"
	"fmt"
	"path"
	"strconv"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// spec is the config.json of `slipctl run`: a container with namespaces of its
// own (the network's is new and empty), the usual mounts, and what the image says.
func spec(o runOptions, id string, image ocispec.ImageConfig, args []string) (*specs.Spec, error) {
	uid, gid, err := numericUser(image.User)
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		args = append(append([]string{}, image.Entrypoint...), image.Cmd...)
	}
	if len(args) == 0 {
		return nil, fmt.Errorf("the image names no command: give one")
	}
	caps := capabilities()
	s := &specs.Spec{
		Version:  specs.Version,
		Hostname: id,
		Root:     &specs.Root{Path: "rootfs"},
		Mounts:   mounts(),
		Process: &specs.Process{
			Terminal:        o.tty,
			User:            specs.User{UID: uid, GID: gid},
			Args:            args,
			Env:             environment(o, image.Env),
			Cwd:             cmp.Or(image.WorkingDir, "/"),
			NoNewPrivileges: true,
			Capabilities:    &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
		},
		Linux: &specs.Linux{
			CgroupsPath: path.Join("/", "slipway", id),
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace},
				{Type: specs.MountNamespace},
				{Type: specs.UTSNamespace},
				{Type: specs.IPCNamespace},
				{Type: specs.NetworkNamespace},
			},
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
				"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	if o.memory > 0 {
		s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &o.memory}}
	}
	return s, nil
}

// numericUser reads UID[:GID]. A name would need the image's /etc/passwd, which
// only the engine reads.
func numericUser(user string) (uid, gid uint32, err error) {
	if user == "" {
		return 0, 0, nil
	}
	u, g, _ := strings.Cut(user, ":")
	ids := [2]uint32{}
	for i, text := range []string{u, cmp.Or(g, "0")} {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return 0, 0, fmt.Errorf("the image's user %q: slipctl understands numbers only", user)
		}
		ids[i] = uint32(n)
	}
	return ids[0], ids[1], nil
}

func environment(o runOptions, image []string) []string {
	env := append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, image...)
	if o.tty {
		env = append(env, "TERM=xterm")
	}
	return append(env, o.env...)
}

// capabilities are Docker's default set.
func capabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
		"CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
	}
}

func mounts() []specs.Mount {
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
	}
}
