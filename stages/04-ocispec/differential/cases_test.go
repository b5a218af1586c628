package differential

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// testCase is one configuration: the example that `spec` writes (or what the engine writes), changed.
type testCase struct {
	name   string
	engine bool // begin with what Docker gives: 14 capabilities, the seccomp profile, masks
	change func(s *specs.Spec, dir string)
	ask    request
	exec   *specs.Process // executed beside the container's program
}

// cases are in the order of the specification: config.md, config-linux.md.
func cases() []testCase {
	return slices.Concat(basicCases(), processCases(), mountCases(), namespaceCases(), resourceCases(), seccompCases(), execCases(), oddCases())
}

// on leaves out the bundle's directory, for changes that need none.
func on(change func(s *specs.Spec)) func(*specs.Spec, string) {
	return func(s *specs.Spec, _ string) { change(s) }
}

func basicCases() []testCase {
	masks := request{
		Empty: []string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"},
		Stat:  []string{"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/scsi", "/sys/firmware", "/proc/sys", "/proc/sysrq-trigger"},
		Write: []string{"/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/data/file", "/sys/kernel/mm/ksm/run"},
	}
	return []testCase{
		{name: "example", ask: masks},
		{name: "engine", engine: true, ask: masks},
		{name: "engine exit status", engine: true, ask: request{Status: 77}},
		{name: "read-only root", change: on(func(s *specs.Spec) { s.Root.Readonly = true }), ask: request{Write: []string{"/data/file", "/etc/passwd"}}},
		{name: "root by an absolute path", change: func(s *specs.Spec, dir string) { s.Root.Path = filepath.Join(dir, "rootfs") }},
		{name: "hostname and domainname", change: on(func(s *specs.Spec) { s.Hostname, s.Domainname = "name", "example.org" })},
		{name: "no hostname", change: on(func(s *specs.Spec) { s.Hostname = "" })},
		{name: "no masks", change: on(func(s *specs.Spec) { s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil }), ask: masks},
		{name: "masks of all kinds", change: on(func(s *specs.Spec) {
			s.Linux.MaskedPaths = []string{"/data/file", "/data/sub", "/absent", "/proc/version"}
			s.Linux.ReadonlyPaths = []string{"/etc/passwd", "/data", "/absent"}
		}), ask: request{
			Read: []string{"/data/file", "/proc/version"}, Stat: []string{"/data/file", "/data/sub", "/absent", "/proc/version"},
			Write: []string{"/data/file", "/etc/passwd", "/etc/group", "/data/sub/new"},
		}},
		{name: "devices", change: on(func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{
				{Path: "/dev/mine", Type: "c", Major: 1, Minor: 3, FileMode: mode(0o640), UID: number(7), GID: number(8)},
				{Path: "/dev/sub/pipe", Type: "p"},
				{Path: "/dev/null", Type: "c", Major: 1, Minor: 3, FileMode: mode(0o600)},
				{Path: "/data/block", Type: "b", Major: 7, Minor: 200},
				{Path: "/dev/unbuffered", Type: "u", Major: 1, Minor: 5},
			}
		}), ask: request{Stat: []string{"/dev/sub/pipe", "/dev/sub", "/data/block"}, Write: []string{"/dev/mine"}}},
		{name: "sysctls", change: on(func(s *specs.Spec) {
			s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1", "kernel.msgmax": "4096", "net/ipv4/conf/lo/forwarding": "1", "kernel.shm_rmid_forced": "1"}
		}), ask: request{Read: []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/msgmax", "/proc/sys/net/ipv4/conf/lo/forwarding", "/proc/sys/kernel/shm_rmid_forced"}}},
		{name: "sysctl of the host", change: on(func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.core_pattern": "core"} })},
		{name: "sysctl without its namespace", change: on(func(s *specs.Spec) {
			without(s, specs.NetworkNamespace)
			s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
		})},
		{name: "annotations", change: on(func(s *specs.Spec) { s.Annotations = map[string]string{"org.example.key": "value"} })},
		{name: "root propagation private", change: on(func(s *specs.Spec) { s.Linux.RootfsPropagation = "private" })},
		{name: "root propagation slave", change: on(func(s *specs.Spec) { s.Linux.RootfsPropagation = "rslave" })},
		{name: "root propagation shared", change: on(func(s *specs.Spec) { s.Linux.RootfsPropagation = "shared" })},
		{name: "root propagation unbindable", change: on(func(s *specs.Spec) { s.Linux.RootfsPropagation = "unbindable" })},
	}
}

func processCases() []testCase {
	process := func(name string, change func(p *specs.Process)) testCase {
		return testCase{name: "process " + name, change: on(func(s *specs.Spec) { change(s.Process) })}
	}
	caps := func(names ...string) []string { return names }
	return []testCase{
		process("with a working directory", func(p *specs.Process) { p.Cwd = "/data/sub" }),
		process("with a working directory that is not there", func(p *specs.Process) { p.Cwd = "/made/for/it" }),
		process("with a working directory behind a link", func(p *specs.Process) { p.Cwd = "/link/sub" }),
		process("with a relative working directory", func(p *specs.Process) { p.Cwd = "data" }),
		process("with an environment", func(p *specs.Process) { p.Env = append(p.Env, "A=b", "EMPTY=", "HOME=/x", "A=c") }),
		process("without an environment", func(p *specs.Process) { p.Env = nil }),
		process("by name", func(p *specs.Process) { p.Args = []string{"probe", "word"}; p.Env = []string{"PATH=/nothing:/bin"} }),
		process("by a name that is not there", func(p *specs.Process) { p.Args = []string{"nobody"} }),
		process("that is a directory", func(p *specs.Process) { p.Args = []string{"/data"} }),
		process("that is no program", func(p *specs.Process) { p.Args = []string{"/etc/passwd"} }),
		process("as a user", func(p *specs.Process) { p.User = specs.User{UID: 1000, GID: 1000} }),
		process("as a user with groups", func(p *specs.Process) {
			p.User = specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{10, 20, 1000}}
		}),
		process("as root with groups", func(p *specs.Process) { p.User = specs.User{AdditionalGids: []uint32{5, 6}} }),
		process("as a user nobody knows", func(p *specs.Process) { p.User = specs.User{UID: 54321, GID: 54322} }),
		process("with a mask of file modes", func(p *specs.Process) { p.User.Umask = number(0o27) }),
		process("without privileges to gain", func(p *specs.Process) { p.NoNewPrivileges = true }),
		process("that may gain privileges", func(p *specs.Process) { p.NoNewPrivileges = false }),
		process("without capabilities", func(p *specs.Process) { p.Capabilities = nil }),
		process("with empty capabilities", func(p *specs.Process) { p.Capabilities = &specs.LinuxCapabilities{} }),
		process("with ambient capabilities", func(p *specs.Process) {
			c := caps("CAP_NET_BIND_SERVICE", "CAP_KILL")
			p.User = specs.User{UID: 1000, GID: 1000}
			p.Capabilities = &specs.LinuxCapabilities{Bounding: c, Permitted: c, Effective: c, Inheritable: c, Ambient: c}
		}),
		process("with bounding capabilities alone", func(p *specs.Process) { p.Capabilities = &specs.LinuxCapabilities{Bounding: caps("CAP_CHOWN")} }),
		process("with an effective set smaller than the permitted", func(p *specs.Process) {
			p.Capabilities = &specs.LinuxCapabilities{Bounding: caps("CAP_CHOWN", "CAP_KILL"), Permitted: caps("CAP_CHOWN", "CAP_KILL"), Effective: caps("CAP_KILL")}
		}),
		process("with a capability nobody knows", func(p *specs.Process) {
			p.Capabilities = &specs.LinuxCapabilities{Bounding: caps("CAP_NONSENSE", "CAP_KILL"), Permitted: caps("CAP_KILL", "CAP_NONSENSE")}
		}),
		process("as a user with capabilities", func(p *specs.Process) {
			c := caps("CAP_NET_RAW", "CAP_CHOWN")
			p.User = specs.User{UID: 1000, GID: 1000}
			p.Capabilities = &specs.LinuxCapabilities{Bounding: c, Permitted: c, Effective: c}
		}),
		process("with limits", func(p *specs.Process) {
			p.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 100, Hard: 200}, {Type: "RLIMIT_CORE", Soft: 0, Hard: 0}, {Type: "RLIMIT_STACK", Soft: 1 << 20, Hard: 1 << 22}, {Type: "RLIMIT_NPROC", Soft: 500, Hard: 600}}
		}),
		process("with a limit nobody knows", func(p *specs.Process) { p.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NONSENSE", Soft: 1, Hard: 1}} }),
		process("with a limit twice", func(p *specs.Process) {
			p.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Soft: 0, Hard: 0}, {Type: "RLIMIT_CORE", Soft: 1, Hard: 1}}
		}),
		process("to be killed first", func(p *specs.Process) { p.OOMScoreAdj = whole(500) }),
		process("on a lower priority", func(p *specs.Process) { p.IOPriority = &specs.LinuxIOPriority{Class: "IOPRIO_CLASS_BE", Priority: 7} }),
		process("with a scheduler", func(p *specs.Process) { p.Scheduler = &specs.Scheduler{Policy: "SCHED_BATCH", Nice: 5} }),
		process("with a variable that has no value", func(p *specs.Process) { p.Env = append(p.Env, "A") }),
		process("with a variable that has no name", func(p *specs.Process) { p.Env = append(p.Env, "=b") }),
		process("with an empty name", func(p *specs.Process) { p.Args = []string{""} }),
		{name: "process with a working directory that is not there, in a read-only root", change: on(func(s *specs.Spec) {
			s.Process.Cwd, s.Root.Readonly = "/made/for/it", true
		})},
		process("with arguments of all kinds", func(p *specs.Process) { p.Args = append(p.Args, "", "two words", "ünïcode", "new\nline", `"quoted"`) }),
	}
}

func mountCases() []testCase {
	mount := func(name string, ask request, mounts ...specs.Mount) testCase {
		return testCase{name: "mount " + name, ask: ask, change: func(s *specs.Spec, dir string) {
			for _, m := range mounts {
				if m.Source == "SOURCE" || m.Source == "FILE" {
					m.Source = source(dir, m.Source == "FILE")
				}
				s.Mounts = append(s.Mounts, m)
			}
		}}
	}
	bind := func(target string, options ...string) specs.Mount {
		return specs.Mount{Destination: target, Type: "bind", Source: "SOURCE", Options: append([]string{"bind"}, options...)}
	}
	tmpfs := func(target string, options ...string) specs.Mount {
		return specs.Mount{Destination: target, Type: "tmpfs", Source: "tmpfs", Options: options}
	}
	at := func(paths ...string) request { return request{Stat: paths, Write: paths} }
	return []testCase{
		mount("bind", at("/tmp/file", "/tmp"), bind("/tmp")),
		mount("bind rbind", at("/tmp/file"), specs.Mount{Destination: "/tmp", Source: "SOURCE", Options: []string{"rbind"}}),
		mount("bind ro", at("/tmp/file"), bind("/tmp", "ro")),
		mount("bind with all that forbids", at("/tmp/file"), bind("/tmp", "ro", "nosuid", "nodev", "noexec", "nodiratime", "nosymfollow")),
		mount("bind noatime", at("/tmp/file"), bind("/tmp", "noatime")),
		mount("bind strictatime", at("/tmp/file"), bind("/tmp", "strictatime")),
		mount("bind relatime", at("/tmp/file"), bind("/tmp", "relatime")),
		mount("bind a file", at("/etc/passwd"), specs.Mount{Destination: "/etc/passwd", Type: "bind", Source: "FILE", Options: []string{"bind", "ro"}}),
		mount("bind a file to a new place", at("/new/place/file", "/new", "/new/place"), specs.Mount{Destination: "/new/place/file", Type: "bind", Source: "FILE", Options: []string{"bind"}}),
		mount("bind to a new place", at("/very/new/place", "/very"), bind("/very/new/place")),
		mount("bind behind a link", at("/link/sub", "/data/sub/file"), bind("/link/sub")),
		mount("bind below a bind", at("/tmp/sub/file", "/tmp/file"), bind("/tmp"), bind("/tmp/sub")),
		mount("bind to a path with dots", at("/data/sub/file"), bind("/data/../data/./sub/")),
		mount("bind private", at("/tmp/file"), bind("/tmp", "private")),
		mount("bind rslave", at("/tmp/file"), bind("/tmp", "rslave")),
		mount("bind rshared", at("/tmp/file"), bind("/tmp", "rshared")),
		mount("bind unbindable", at("/tmp/file"), bind("/tmp", "unbindable")),
		mount("bind rro", at("/tmp/file"), specs.Mount{Destination: "/tmp", Type: "bind", Source: "SOURCE", Options: []string{"rbind", "rro", "rnosuid"}}),
		mount("bind of nothing", request{}, specs.Mount{Destination: "/tmp", Type: "bind", Source: "/nowhere/at/all", Options: []string{"bind"}}),
		mount("bind a directory on a file", request{}, bind("/etc/passwd")),
		mount("tmpfs", at("/tmp"), tmpfs("/tmp", "nosuid", "size=1m", "mode=1770", "uid=5", "gid=6")),
		mount("tmpfs ro", at("/tmp"), tmpfs("/tmp", "ro")),
		mount("tmpfs without options", at("/tmp"), tmpfs("/tmp")),
		mount("tmpfs without a mode", at("/data", "/data/file"), tmpfs("/data", "size=64k")),
		mount("tmpfs that takes back", at("/tmp"), tmpfs("/tmp", "noexec", "exec", "nosuid", "suid", "ro", "rw")),
		mount("tmpfs with a bad option", request{}, tmpfs("/tmp", "nonsense=1")),
		mount("tmpfs on the root's parent", request{}, tmpfs("/../escape")),
		mount("proc again", at("/data"), specs.Mount{Destination: "/data", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}}),
		mount("cgroup again", request{}, specs.Mount{Destination: "/data", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "ro"}}),
		mount("on proc", request{}, tmpfs("/proc/sys")),
		mount("with an unknown type", request{}, specs.Mount{Destination: "/tmp", Type: "nonsensefs", Source: "none"}),
		{name: "mount nothing but proc", change: on(func(s *specs.Spec) { s.Mounts = s.Mounts[:1] })},
		{name: "mount sys writable", change: on(func(s *specs.Spec) { s.Mounts[5].Options = []string{"nosuid", "noexec", "nodev"} }), ask: request{Write: []string{"/sys/kernel/mm/ksm/run"}}},
		{name: "mount cgroup writable", change: on(func(s *specs.Spec) { s.Mounts[6].Options = []string{"nosuid", "noexec", "nodev", "relatime", "rw"} })},
		{name: "mount no dev", change: on(func(s *specs.Spec) {
			s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == "/dev" || filepath.Dir(m.Destination) == "/dev" })
		})},
	}
}

func namespaceCases() []testCase {
	return []testCase{
		{name: "namespace cgroup", change: on(func(s *specs.Spec) { with(s, specs.CgroupNamespace) }), ask: request{Stat: []string{"/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu"}}},
		{name: "namespace of users", change: on(ownUsers)},
		{name: "namespace of users and a user in it", change: on(func(s *specs.Spec) {
			ownUsers(s)
			s.Process.User = specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{10}}
		})},
		{name: "namespace of users for the engine", engine: true, change: on(func(s *specs.Spec) { ownUsers(s); delete(s.Linux.Sysctl, "net.ipv4.ping_group_range") })}, // 65,536 groups are not enough for its range
		{name: "namespace of the host's network", change: on(func(s *specs.Spec) { without(s, specs.NetworkNamespace) })},
		{name: "namespace of the host's ipc", change: on(func(s *specs.Spec) { without(s, specs.IPCNamespace) })},
		{name: "namespace of the host's names", change: on(func(s *specs.Spec) { without(s, specs.UTSNamespace); s.Hostname = "" })},
		{name: "namespace of the host's names with a name", change: on(func(s *specs.Spec) { without(s, specs.UTSNamespace); s.Hostname = "danger" })},
		{name: "namespace joined by its path", change: on(func(s *specs.Spec) {
			for i, n := range s.Linux.Namespaces {
				if n.Type == specs.NetworkNamespace || n.Type == specs.IPCNamespace {
					s.Linux.Namespaces[i].Path = fmt.Sprintf("/proc/%d/ns/%s", os.Getpid(), map[specs.LinuxNamespaceType]string{specs.NetworkNamespace: "net", specs.IPCNamespace: "ipc"}[n.Type])
				}
			}
		})},
		{name: "namespace joined by a wrong path", change: on(func(s *specs.Spec) {
			without(s, specs.NetworkNamespace)
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: fmt.Sprintf("/proc/%d/ns/ipc", os.Getpid())})
		})},
		{name: "namespace twice", change: on(func(s *specs.Spec) { with(s, specs.PIDNamespace) })},
		{name: "namespace nobody knows", change: on(func(s *specs.Spec) { with(s, "nonsense") })},
		{name: "namespace of the host's processes", change: on(func(s *specs.Spec) {
			without(s, specs.PIDNamespace)
			s.Mounts[0] = specs.Mount{Destination: "/proc", Type: "bind", Source: "/proc", Options: []string{"rbind"}}
			s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
		})},
	}
}

func resourceCases() []testCase {
	resource := func(name string, change func(r *specs.LinuxResources)) testCase {
		return testCase{name: "resource " + name, change: on(func(s *specs.Spec) { change(s.Linux.Resources) })}
	}
	cpu := func(c specs.LinuxCPU) func(*specs.LinuxResources) {
		return func(r *specs.LinuxResources) { r.CPU = &c }
	}
	memory := func(m specs.LinuxMemory) func(*specs.LinuxResources) {
		return func(r *specs.LinuxResources) { r.Memory = &m }
	}
	rule := func(allow bool, kind string, major, minor *int64, access string) specs.LinuxDeviceCgroup {
		return specs.LinuxDeviceCgroup{Allow: allow, Type: kind, Major: major, Minor: minor, Access: access}
	}
	return []testCase{
		{name: "resource none", change: on(func(s *specs.Spec) { s.Linux.Resources = nil })},
		resource("memory", memory(specs.LinuxMemory{Limit: new(int64(64 << 20))})),
		resource("memory and swap", memory(specs.LinuxMemory{Limit: new(int64(64 << 20)), Swap: new(int64(128 << 20)), Reservation: new(int64(32 << 20))})),
		resource("memory without a limit", memory(specs.LinuxMemory{Limit: new(int64(-1)), Swap: new(int64(-1))})),
		resource("swap below memory", memory(specs.LinuxMemory{Limit: new(int64(64 << 20)), Swap: new(int64(32 << 20))})),
		resource("swappiness and no OOM killer", memory(specs.LinuxMemory{Limit: new(int64(64 << 20)), Swappiness: new(uint64(10)), DisableOOMKiller: new(true)})),
		resource("cpu shares", cpu(specs.LinuxCPU{Shares: new(uint64(512))})),
		resource("cpu quota", cpu(specs.LinuxCPU{Quota: new(int64(50000)), Period: new(uint64(100000))})),
		resource("cpu quota alone", cpu(specs.LinuxCPU{Quota: new(int64(25000))})),
		resource("cpu quota that is absurd", cpu(specs.LinuxCPU{Quota: new(int64(5)), Period: new(uint64(5))})),
		resource("cpu set", cpu(specs.LinuxCPU{Cpus: "0", Mems: "0"})),
		resource("cpu set that is not there", cpu(specs.LinuxCPU{Cpus: "4096"})),
		resource("pids", func(r *specs.LinuxResources) { r.Pids = &specs.LinuxPids{Limit: new(int64(321))} }),
		resource("pids without a limit", func(r *specs.LinuxResources) { r.Pids = &specs.LinuxPids{Limit: new(int64(-1))} }),
		resource("devices", func(r *specs.LinuxResources) {
			r.Devices = append(r.Devices, rule(true, "c", new(int64(10)), new(int64(229)), "rw"), rule(true, "b", new(int64(8)), nil, "rwm"), rule(false, "c", new(int64(1)), new(int64(9)), "m"))
		}),
		resource("devices all", func(r *specs.LinuxResources) { r.Devices = []specs.LinuxDeviceCgroup{rule(true, "a", nil, nil, "rwm")} }),
		resource("devices none named", func(r *specs.LinuxResources) { r.Devices = nil }),
		resource("hugetlb that is not there", func(r *specs.LinuxResources) {
			r.HugepageLimits = []specs.LinuxHugepageLimit{{Pagesize: "3MB", Limit: 0}}
		}),
		resource("v2 settings", func(r *specs.LinuxResources) { r.Unified = map[string]string{"pids.max": "99"} }),
	}
}

func execCases() []testCase {
	ask := request{Empty: []string{"/proc/kcore"}, Read: []string{"/proc/1/comm"}, Write: []string{"/proc/sys/kernel/hostname"}}
	base := func(change func(p *specs.Process)) *specs.Process {
		p := &specs.Process{Args: []string{"/bin/probe"}, Cwd: "/", Env: []string{"PATH=/bin", "E=x"}}
		if change != nil {
			change(p)
		}
		return p
	}
	return []testCase{
		{name: "exec plain", ask: ask, exec: base(nil)},
		{name: "exec in the engine's", engine: true, ask: request{Calls: true}, exec: base(nil)},
		{name: "exec as a user", exec: base(func(p *specs.Process) { p.User = specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{10}} })},
		{name: "exec with capabilities", exec: base(func(p *specs.Process) {
			c := []string{"CAP_KILL", "CAP_CHOWN"}
			p.Capabilities = &specs.LinuxCapabilities{Bounding: c, Permitted: c, Effective: c}
		})},
		{name: "exec with limits", exec: base(func(p *specs.Process) { p.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 60, Hard: 64}} })},
		{name: "exec in a directory", exec: base(func(p *specs.Process) { p.Cwd = "/data/sub"; p.NoNewPrivileges = true })},
		{name: "exec in a namespace of users", change: on(ownUsers), exec: base(nil)},
		{name: "exec in a directory that is not there", exec: base(func(p *specs.Process) { p.Cwd = "/not/there" })},
		{name: "exec of nothing", exec: base(func(p *specs.Process) { p.Args = []string{"/nothing"} })},
	}
}

func oddCases() []testCase {
	return []testCase{
		{name: "odd: no process arguments", change: on(func(s *specs.Spec) { s.Process.Args = nil })},
		{name: "odd: no root", change: on(func(s *specs.Spec) { s.Root = nil })},
		{name: "odd: root that is not there", change: on(func(s *specs.Spec) { s.Root.Path = "nowhere" })},
		{name: "odd: root that is a file", change: func(s *specs.Spec, dir string) {
			s.Root.Path = "file"
			_ = os.WriteFile(filepath.Join(dir, "file"), nil, 0o644)
		}},
		{name: "odd: mount option nobody knows", change: on(func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/data", Type: "tmpfs", Source: "tmpfs", Options: []string{"no-such-option"}})
		})},
		{name: "odd: mount of a directory on a file", change: on(func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/etc/passwd", Source: "/usr", Options: []string{"bind"}})
		})},
		{name: "odd: hook that fails", change: on(func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/false"}}}
		})},
		{name: "odd: hook that is not there", change: on(func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/not/there"}}}
		})},
		{name: "odd: version of the future", change: on(func(s *specs.Spec) { s.Version = "7.0.0" })},
		{name: "odd: version that is none", change: on(func(s *specs.Spec) { s.Version = "one" })},
		{name: "odd: time offsets without a namespace", change: on(func(s *specs.Spec) { s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 1}} })},
		{name: "odd: personality", change: on(func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32} })},
	}
}
