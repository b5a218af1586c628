package spec

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/04-ocispec/caps"
	"github.com/slipway-engine/slipway/stages/04-ocispec/rlimits"
)

// Validate checks a configuration; the error names the field. What is only ignored becomes a warning. A config.json without
// linux gets an empty one.
func Validate(s *specs.Spec) (warnings []string, err error) {
	if s.Linux == nil {
		s.Linux = &specs.Linux{}
	}
	for _, check := range []func(*specs.Spec) error{
		version, root, counts, lengths, namespaces, names, idMappings, mounts, hiddenPaths, sysctls, devices, hooks, seccomp, netDevices, intelRdt, choices,
	} {
		if err := check(s); err != nil {
			return nil, err
		}
	}
	if s.Process == nil {
		return nil, errors.New("process: it is missing")
	}
	return Process(s.Process)
}

// Process checks a process, of config.json or of exec.
func Process(p *specs.Process) (warnings []string, err error) {
	if err := words(p); err != nil {
		return nil, err
	}
	if _, err := rlimits.Parse(p.Rlimits); err != nil {
		return nil, fmt.Errorf("process.rlimits%w", err)
	}
	if err := scheduling(p); err != nil {
		return nil, err
	}
	if p.OOMScoreAdj != nil && (*p.OOMScoreAdj < -1000 || *p.OOMScoreAdj > 1000) {
		return nil, fmt.Errorf("process.oomScoreAdj: %d is not between -1000 and 1000", *p.OOMScoreAdj)
	}
	if p.User.UID > 1<<31-1 || p.User.GID > 1<<31-1 {
		return nil, fmt.Errorf("process.user: %d:%d is above %d", p.User.UID, p.User.GID, 1<<31-1)
	}
	if n := len(p.User.AdditionalGids); n > maxGroups {
		return nil, fmt.Errorf("process.user.additionalGids: %d of them, the kernel takes %d", n, maxGroups)
	}
	if _, unknown := caps.FromSpec(p.Capabilities); len(unknown) > 0 {
		warnings = append(warnings, "ignoring unknown capabilities "+strings.Join(unknown, ", "))
	}
	return warnings, nil
}

// maxGroups is the kernel's NGROUPS_MAX (setgroups(2)).
const maxGroups = 65536

func words(p *specs.Process) error {
	if len(p.Args) == 0 {
		return errors.New("process.args: they are missing: there is no program to run")
	}
	if p.Cwd == "" {
		return errors.New("process.cwd: it is missing")
	}
	if !path.IsAbs(p.Cwd) {
		return fmt.Errorf("process.cwd: %q is not an absolute path", p.Cwd)
	}
	for field, list := range map[string][]string{"process.args": p.Args, "process.env": p.Env, "process.cwd": {p.Cwd}, "process.selinuxLabel": {p.SelinuxLabel}, "process.apparmorProfile": {p.ApparmorProfile}} {
		for i, s := range list {
			if strings.ContainsRune(s, 0) {
				return fmt.Errorf("%s[%d]: a NUL character in %q", field, i, s)
			}
		}
	}
	for i, e := range p.Env {
		if strings.IndexByte(e, '=') < 1 {
			return fmt.Errorf("process.env[%d]: %q is not of the form NAME=VALUE", i, e)
		}
	}
	return nil
}

func version(s *specs.Spec) error {
	major, rest, ok := strings.Cut(s.Version, ".")
	if n, err := strconv.Atoi(major); !ok || err != nil || rest == "" {
		return fmt.Errorf("ociVersion: %q is not a version", s.Version)
	} else if n != specs.VersionMajor {
		return fmt.Errorf("ociVersion: %s is not supported, this is a runtime for %d.x", s.Version, specs.VersionMajor)
	}
	return nil
}

func root(s *specs.Spec) error {
	if s.Root == nil || s.Root.Path == "" {
		return errors.New("root.path: it is missing")
	}
	return noNUL("root.path", s.Root.Path)
}

func noNUL(field, s string) error {
	if strings.ContainsRune(s, 0) {
		return fmt.Errorf("%s: a NUL character in %q", field, s)
	}
	return nil
}

// kinds are the namespaces that runtime-spec knows.
func kinds() []specs.LinuxNamespaceType {
	return []specs.LinuxNamespaceType{
		specs.PIDNamespace, specs.NetworkNamespace, specs.MountNamespace, specs.IPCNamespace,
		specs.UTSNamespace, specs.UserNamespace, specs.CgroupNamespace, specs.TimeNamespace,
	}
}

func namespaces(s *specs.Spec) error {
	seen := map[specs.LinuxNamespaceType]bool{}
	for i, n := range s.Linux.Namespaces {
		switch {
		case !slices.Contains(kinds(), n.Type):
			return fmt.Errorf("linux.namespaces[%d].type: unknown namespace %q", i, n.Type)
		case seen[n.Type]:
			return fmt.Errorf("linux.namespaces[%d].type: %s stands twice", i, n.Type)
		case n.Path != "" && !path.IsAbs(n.Path):
			return fmt.Errorf("linux.namespaces[%d].path: %q is not an absolute path", i, n.Path)
		}
		seen[n.Type] = true
	}
	return nil
}

// Has tells whether the container has, or joins, a namespace of the kind.
func Has(s *specs.Spec, kind specs.LinuxNamespaceType) bool {
	return slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
}

// New tells whether the container gets a fresh namespace of the kind.
func New(s *specs.Spec, kind specs.LinuxNamespaceType) bool {
	return slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind && n.Path == "" })
}

func names(s *specs.Spec) error {
	for field, value := range map[string]string{"hostname": s.Hostname, "domainname": s.Domainname} {
		if value != "" && !Has(s, specs.UTSNamespace) {
			return fmt.Errorf("%s: it needs a uts namespace of its own", field)
		}
		if len(value) > 64 {
			return fmt.Errorf("%s: %.70q… is longer than 64 characters", field, value)
		}
	}
	return nil
}

func idMappings(s *specs.Spec) error {
	mapped := len(s.Linux.UIDMappings)+len(s.Linux.GIDMappings) > 0
	switch {
	case mapped && !Has(s, specs.UserNamespace):
		return errors.New("linux.uidMappings: they need a user namespace")
	case New(s, specs.UserNamespace) && (len(s.Linux.UIDMappings) == 0 || len(s.Linux.GIDMappings) == 0):
		return errors.New("linux.uidMappings, linux.gidMappings: a new user namespace needs both")
	case len(s.Linux.TimeOffsets) > 0 && !New(s, specs.TimeNamespace):
		return errors.New("linux.timeOffsets: they need a new time namespace")
	}
	for clock := range s.Linux.TimeOffsets {
		if clock != "monotonic" && clock != "boottime" {
			return fmt.Errorf("linux.timeOffsets: unknown clock %q", clock)
		}
	}
	if err := ranges("linux.uidMappings", s.Linux.UIDMappings); err != nil {
		return err
	}
	return ranges("linux.gidMappings", s.Linux.GIDMappings)
}

// IDMapped tells whether a mount shows its files with other ids (config.md, "Mounts": uidMappings, gidMappings, idmap, ridmap).
func IDMapped(m specs.Mount) bool {
	return len(m.UIDMappings)+len(m.GIDMappings) > 0 ||
		slices.ContainsFunc(m.Options, func(o string) bool { return o == "idmap" || o == "ridmap" })
}

// mapped checks the id mappings of a mount.
func mapped(s *specs.Spec, m specs.Mount) error {
	switch {
	case !IDMapped(m):
		return nil
	case !bind(m):
		return errors.New("uidMappings: only a bind mount can be id-mapped")
	case (len(m.UIDMappings) == 0) != (len(m.GIDMappings) == 0):
		return errors.New("uidMappings, gidMappings: an id-mapped mount needs both")
	case len(m.UIDMappings) == 0 && !Has(s, specs.UserNamespace):
		return errors.New("options: idmap without mappings takes those of the user namespace, and the container has none")
	}
	if err := ranges("uidMappings", m.UIDMappings); err != nil {
		return err
	}
	return ranges("gidMappings", m.GIDMappings)
}

// ranges checks that each mapping is a range of 32-bit ids.
func ranges(field string, list []specs.LinuxIDMapping) error {
	for i, m := range list {
		if m.Size == 0 || uint64(m.HostID)+uint64(m.Size) > 1<<32 || uint64(m.ContainerID)+uint64(m.Size) > 1<<32 {
			return fmt.Errorf("%s[%d]: %d:%d:%d is no range of ids", field, i, m.ContainerID, m.HostID, m.Size)
		}
	}
	return nil
}

// belowProc are the paths below /proc that may be mounted over: harmless lists that lxcfs replaces. All else could take labels
// and controls of the runtime away (CVE-2019-16884).
func belowProc() []string {
	return []string{
		"/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg", "/proc/meminfo", "/proc/net/dev", "/proc/sys/kernel/ns_last_pid",
		"/proc/slabinfo", "/proc/stat", "/proc/swaps", "/proc/uptime",
	}
}

// MayCoverProc tells whether a mount on this path may cover what procfs shows.
func MayCoverProc(target string) bool {
	return target == "/proc" || slices.Contains(belowProc(), target)
}

func mounts(s *specs.Spec) error {
	for i, m := range s.Mounts {
		if m.Destination == "" {
			return fmt.Errorf("mounts[%d].destination: it is missing", i)
		}
		target := path.Clean("/" + m.Destination)
		if target == "/" {
			return fmt.Errorf("mounts[%d].destination: %q is the root file system, which root.path names", i, m.Destination)
		}
		if err := mountOptions(m); err != nil {
			return fmt.Errorf("mounts[%d].%w", i, err)
		}
		if strings.HasPrefix(target, "/proc/") && !slices.Contains(belowProc(), target) {
			return fmt.Errorf("mounts[%d].destination: %s cannot be mounted: it is inside /proc", i, target)
		}
		if target == "/proc" && m.Type != "proc" && !bind(m) {
			return fmt.Errorf("mounts[%d].type: only procfs can be mounted on /proc, not %q", i, m.Type)
		}
		if err := mapped(s, m); err != nil {
			return fmt.Errorf("mounts[%d].%w", i, err)
		}
		if bind(m) && m.Source == "" {
			return fmt.Errorf("mounts[%d].source: it is missing", i)
		}
	}
	return nil
}

func bind(m specs.Mount) bool {
	return slices.ContainsFunc(m.Options, func(o string) bool { return o == "bind" || o == "rbind" })
}

func devices(s *specs.Spec) error {
	for i, d := range s.Linux.Devices {
		switch {
		case !slices.Contains([]string{"c", "b", "u", "p"}, d.Type):
			return fmt.Errorf("linux.devices[%d].type: unknown type %q", i, d.Type)
		case !path.IsAbs(d.Path):
			return fmt.Errorf("linux.devices[%d].path: %q is not an absolute path", i, d.Path)
		case d.Major < 0 || d.Minor < 0 || d.Major > 1<<12-1 || d.Minor > 1<<20-1:
			return fmt.Errorf("linux.devices[%d]: %d:%d is no device number", i, d.Major, d.Minor)
		}
		if path.Clean(d.Path) == "/" {
			return fmt.Errorf("linux.devices[%d].path: %q names no file", i, d.Path)
		}
	}
	return nil
}

func hooks(s *specs.Spec) error {
	if s.Hooks == nil {
		return nil
	}
	for kind, list := range map[string][]specs.Hook{
		"prestart": s.Hooks.Prestart, "createRuntime": s.Hooks.CreateRuntime, "createContainer": s.Hooks.CreateContainer, //nolint:staticcheck // Docker uses prestart
		"startContainer": s.Hooks.StartContainer, "poststart": s.Hooks.Poststart, "poststop": s.Hooks.Poststop,
	} {
		for i, h := range list {
			if !path.IsAbs(h.Path) {
				return fmt.Errorf("hooks.%s[%d].path: %q is not an absolute path", kind, i, h.Path)
			}
			if h.Timeout != nil && *h.Timeout <= 0 {
				return fmt.Errorf("hooks.%s[%d].timeout: %d is not greater than zero", kind, i, *h.Timeout)
			}
		}
	}
	return nil
}

func seccomp(s *specs.Spec) error {
	if c := s.Linux.Seccomp; c != nil && c.DefaultAction == "" {
		return errors.New("linux.seccomp.defaultAction: it is missing")
	}
	return nil
}

// choices checks the fields that name one of several things.
func choices(s *specs.Spec) error {
	l := s.Linux
	if err := noNUL("linux.mountLabel", l.MountLabel); err != nil {
		return err
	}
	if l.MemoryPolicy != nil {
		if _, err := ParseMemoryPolicy(l.MemoryPolicy); err != nil {
			return fmt.Errorf("linux.memoryPolicy: %w", err)
		}
	}
	propagation := cmp.Or(l.RootfsPropagation, "slave")
	if !slices.Contains([]string{"private", "slave", "shared", "unbindable", "rprivate", "rslave", "rshared", "runbindable"}, propagation) {
		return fmt.Errorf("linux.rootfsPropagation: unknown propagation %q", propagation)
	}
	if p := l.Personality; p != nil && p.Domain != specs.PerLinux && p.Domain != specs.PerLinux32 {
		return fmt.Errorf("linux.personality.domain: unknown domain %q", p.Domain)
	}
	return nil
}
