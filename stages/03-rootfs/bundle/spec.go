package bundle

import (
	"cmp"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Spec is the config.json for an image whose root file system is in rootfs (image-spec, conversion.md).
func Spec(config ocispec.Image, rootfs string) (*specs.Spec, error) {
	c := config.Config
	args := append(slices.Clone(c.Entrypoint), c.Cmd...)
	if len(args) == 0 {
		args = []string{"sh"}
	}
	user, err := User(c.User, rootfs)
	if err != nil {
		return nil, err
	}
	env := c.Env
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "PATH=") }) {
		env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, env...)
	}
	caps := usualCapabilities()
	return &specs.Spec{
		Version: "1.0.2", // the oldest that has all of this: every runtime takes it
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{
			User: user, Args: args, Env: env, Cwd: cmp.Or(c.WorkingDir, "/"), NoNewPrivileges: true,
			Capabilities: &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
		},
		Hostname: "bundle", Mounts: usualMounts(), Annotations: annotations(config),
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.MountNamespace}, {Type: specs.NetworkNamespace},
			},
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
				"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}, nil
}

func usualCapabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP",
		"CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
	}
}

func usualMounts() []specs.Mount {
	quiet := []string{"nosuid", "noexec", "nodev"}
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: quiet},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: append([]string{"mode=1777", "size=65536k"}, quiet...)},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: quiet},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: append([]string{"ro"}, quiet...)},
	}
}

// annotations are those that conversion.md names, and the image's labels, which win.
func annotations(config ocispec.Image) map[string]string {
	all := map[string]string{
		"org.opencontainers.image.os": config.OS, "org.opencontainers.image.architecture": config.Architecture,
		"org.opencontainers.image.author": config.Author, "org.opencontainers.image.stopSignal": config.Config.StopSignal,
	}
	for k, v := range config.Config.Labels {
		all[k] = v
	}
	for k, v := range all {
		if v == "" {
			delete(all, k)
		}
	}
	return all
}
