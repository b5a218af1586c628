package ociconfig

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func osFileMode(m uint32) fs.FileMode { return fs.FileMode(m) }

// maskedPaths are hidden from containers: they tell about the host or control it.
func (h Host) maskedPaths() []string {
	paths := []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
		"/sys/devices/virtual/powercap", "/sys/firmware",
	}
	for cpu := range h.CPUs { // per-CPU thermal interrupts are a side channel (GHSA-6fw5-f8r9-fgfm)
		paths = append(paths, fmt.Sprintf("/sys/devices/system/cpu/cpu%d/thermal_throttle", cpu))
	}
	return paths
}

func readonlyPaths() []string {
	return []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}

// Options are the values of --security-opt.
type Options struct {
	NoNewPrivileges bool
	Seccomp         string // "", "builtin", "unconfined" or the profile's JSON text
	Ignored         []string
}

// ParseSecurityOpt understands "key=value", the older "key:value" and the two bare words.
func ParseSecurityOpt(opts []string) (Options, error) {
	var out Options
	for _, opt := range opts {
		if opt == "no-new-privileges" {
			out.NoNewPrivileges = true
			continue
		}
		key, value, ok := strings.Cut(opt, "=")
		if !ok {
			key, value, ok = strings.Cut(opt, ":")
		}
		if !ok {
			return out, fmt.Errorf("invalid --security-opt 1: %q", opt)
		}
		switch key {
		case "no-new-privileges":
			on, err := strconv.ParseBool(value)
			if err != nil {
				return out, fmt.Errorf("invalid --security-opt 2: %q", opt)
			}
			out.NoNewPrivileges = on
		case "seccomp":
			out.Seccomp = value
		case "label", "apparmor":
			out.Ignored = append(out.Ignored, opt)
		default:
			return out, fmt.Errorf("invalid --security-opt 2: %q", opt)
		}
	}
	return out, nil
}

// HiddenPaths are the paths of a container on this machine that it cannot see, and those that it cannot write, when nobody
// says otherwise.
func (h Host) HiddenPaths() (masked, readonly []string) { return h.maskedPaths(), readonlyPaths() }

func (k *compiler) security() error {
	hc := k.c.HostConfig
	opts, err := ParseSecurityOpt(hc.SecurityOpt)
	if err != nil {
		return err
	}
	k.spec.Process.NoNewPrivileges = opts.NoNewPrivileges
	if !hc.Privileged {
		k.spec.Linux.MaskedPaths, k.spec.Linux.ReadonlyPaths = k.h.HiddenPaths()
		if hc.MaskedPaths != nil {
			k.spec.Linux.MaskedPaths = hc.MaskedPaths
		}
		if hc.ReadonlyPaths != nil {
			k.spec.Linux.ReadonlyPaths = hc.ReadonlyPaths
		}
	}
	k.spec.Linux.Seccomp, err = k.seccomp(opts.Seccomp)
	return err
}

// seccomp: a profile given by the user counts even for a privileged container.
func (k *compiler) seccomp(profile string) (*specs.LinuxSeccomp, error) {
	switch profile {
	case "unconfined":
		return nil, nil
	case "", "builtin":
		if k.c.HostConfig.Privileged || k.h.Seccomp == nil {
			return nil, nil
		}
		return k.h.Seccomp(k.spec)
	}
	p, err := seccomp.LoadProfile(profile, k.spec)
	if err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	return p, nil
}

// sysctls: a private network namespace may bind low ports and send pings without capabilities, as in Docker.
func (k *compiler) sysctls() error {
	hc := k.c.HostConfig
	set := map[string]string{}
	if hc.NetworkMode.IsPrivate() && !hc.NetworkMode.IsHost() && !hc.NetworkMode.IsContainer() {
		set["net.ipv4.ip_unprivileged_port_start"] = "0"
		set["net.ipv4.ping_group_range"] = "0 2147483647"
	}
	for name, value := range hc.Sysctls {
		if err := k.allowedSysctl(name); err != nil {
			return err
		}
		set[name] = value
	}
	if len(set) > 0 {
		k.spec.Linux.Sysctl = set
	}
	return nil
}

// allowedSysctl lets through only what belongs to a namespace of the container (CVE-2022-0811: a value is
// data; the name decides).
func (k *compiler) allowedSysctl(name string) error {
	hc := k.c.HostConfig
	switch name {
	case "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
		"kernel.shmmni", "kernel.shm_rmid_forced":
		if hc.IpcMode.IsHost() {
			return fmt.Errorf("sysctl %q not allowed in host IPC namespace", name)
		}
		return nil
	case "kernel.domainname", "kernel.hostname":
		if hc.UTSMode.IsHost() {
			return fmt.Errorf("sysctl %q not allowed in host UTS namespace", name)
		}
		return nil
	}
	switch {
	case strings.HasPrefix(name, "fs.mqueue."):
		if hc.IpcMode.IsHost() {
			return fmt.Errorf("sysctl %q not allowed in host IPC namespace", name)
		}
		return nil
	case strings.HasPrefix(name, "net."):
		if hc.NetworkMode.IsHost() {
			return fmt.Errorf("sysctl %q not allowed in host network namespace", name)
		}
		return nil
	}
	return fmt.Errorf("sysctl %q is not namespaced: it would change the host", name)
}
