package bundle

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
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
	user, err := userOf(c.User, rootfs)
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

// userOf reads USER[:GROUP], names and numbers, with the image's own files, whose links do not lead out of it.
func userOf(text, rootfs string) (specs.User, error) {
	if text == "" {
		return specs.User{}, nil
	}
	name, group, named := strings.Cut(text, ":")
	uid, gid, err := lookUp(rootfs, "etc/passwd", name)
	if err != nil {
		return specs.User{}, fmt.Errorf("user %q: %w", text, err)
	}
	if named {
		if gid, _, err = lookUp(rootfs, "etc/group", group); err != nil {
			return specs.User{}, fmt.Errorf("user %q: %w", text, err)
		}
	}
	return specs.User{UID: uid, GID: gid}, nil
}

// lookUp gives the third field of a name's line, and the fourth when it is a number (passwd(5), group(5)).
func lookUp(rootfs, file, name string) (id, next uint32, err error) {
	number, notNumber := strconv.ParseUint(name, 10, 31)
	root, err := os.OpenRoot(rootfs)
	if err != nil {
		return 0, 0, err
	}
	defer root.Close()
	f, err := root.Open(file)
	if err != nil {
		if notNumber == nil {
			return uint32(number), 0, nil // numbers need no file
		}
		return 0, 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) < 4 || fields[0] != name && (notNumber != nil || fields[2] != name) {
			continue
		}
		own, err := strconv.ParseUint(fields[2], 10, 31)
		if err != nil {
			return 0, 0, fmt.Errorf("/%s: %q: %w", file, lines.Text(), err)
		}
		main, err := strconv.ParseUint(fields[3], 10, 31)
		if err != nil {
			main = 0 // the members of a group
		}
		return uint32(own), uint32(main), nil
	}
	if err := lines.Err(); err != nil {
		return 0, 0, fmt.Errorf("/%s: %w", file, err)
	}
	if notNumber == nil {
		return uint32(number), 0, nil
	}
	return 0, 0, fmt.Errorf("/%s knows no %q", file, name)
}
