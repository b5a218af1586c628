package spec_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

// change makes the default config.json, changed.
func change(f func(*specs.Spec)) *specs.Spec {
	s := spec.Example()
	f(s)
	return s
}

func TestErrorsNameTheField(t *testing.T) {
	for want, f := range map[string]func(*specs.Spec){
		`ociVersion: "" is not a version`:                               func(s *specs.Spec) { s.Version = "" },
		`ociVersion: 2.0.0 is not supported, this is a runtime for 1.x`: func(s *specs.Spec) { s.Version = "2.0.0" },
		`root.path: it is missing`:                                      func(s *specs.Spec) { s.Root = nil },
		`process: it is missing`:                                        func(s *specs.Spec) { s.Process = nil },
		`process.args: they are missing: there is no program to run`:    func(s *specs.Spec) { s.Process.Args = nil },
		`process.env[0]: "A" is not of the form NAME=VALUE`:             func(s *specs.Spec) { s.Process.Env = []string{"A"} },
		`process.env[1]: "=b" is not of the form NAME=VALUE`:            func(s *specs.Spec) { s.Process.Env = []string{"A=", "=b"} },
		`process.cwd: "tmp" is not an absolute path`:                    func(s *specs.Spec) { s.Process.Cwd = "tmp" },
		`process.rlimits[0].type: unknown limit "RLIMIT_X"`:             func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_X"}} },
		`process.user: 4294967295:0 is above 2147483647`:                func(s *specs.Spec) { s.Process.User.UID = 1<<32 - 1 },
		`linux.namespaces[5].type: unknown namespace "galaxy"`: func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "galaxy"})
		},
		`linux.namespaces[5].type: pid stands twice`: func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "pid"})
		},
		`hostname: it needs a uts namespace of its own`: func(s *specs.Spec) {
			s.Linux.Namespaces = s.Linux.Namespaces[:3:3]
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "mount"})
		},
		`linux.uidMappings: they need a user namespace`: func(s *specs.Spec) { s.Linux.UIDMappings = []specs.LinuxIDMapping{{Size: 1}} },
		`linux.uidMappings, linux.gidMappings: a new user namespace needs both`: func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "user"})
		},
		`mounts[7].destination: /proc/self/attr cannot be mounted: it is inside /proc`: func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/x/../proc/self/attr", Type: "tmpfs"})
		},
		`mounts[7].type: only procfs can be mounted on /proc, not "tmpfs"`:              func(s *specs.Spec) { s.Mounts = append(s.Mounts, specs.Mount{Destination: "/proc", Type: "tmpfs"}) },
		`linux.sysctl["kernel.core_pattern"]: it is not in a separate kernel namespace`: func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.core_pattern": "x"} },
		`linux.sysctl["kernel.shm_rmid_forced"]: its value is not one line`: func(s *specs.Spec) {
			s.Linux.Sysctl = map[string]string{"kernel.shm_rmid_forced": "1\nkernel.core_pattern=x"}
		},
		`linux.sysctl["net.../../kernel.core_pattern"]: it is no name of a setting`: func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.../../kernel.core_pattern": "x"} },
		`linux.sysctl["kernel.hostname"]: it conflicts with hostname`:               func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.hostname": "x"} },
		`linux.devices[0].type: unknown type "x"`:                                   func(s *specs.Spec) { s.Linux.Devices = []specs.LinuxDevice{{Type: "x"}} },
		`hooks.prestart[0].path: "x" is not an absolute path`:                       func(s *specs.Spec) { s.Hooks = &specs.Hooks{Prestart: []specs.Hook{{Path: "x"}}} },
		`linux.rootfsPropagation: unknown propagation "everywhere"`:                 func(s *specs.Spec) { s.Linux.RootfsPropagation = "everywhere" },
		`linux.intelRdt.closID: invalid intelRdt.ClosID ".."`:                       func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: ".."} },
		`linux.netDevices[eth/0]: "eth/0": a name of a network device has no slash, colon or space`: func(s *specs.Spec) {
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth/0": {}}
		},
		`linux.netDevices: a0 and a1 would both be b`: func(s *specs.Spec) {
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"a0": {Name: "b"}, "a1": {Name: "b"}}
		},
		`process.scheduler.policy: unknown policy "SCHED_NICE"`: func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_NICE"} },
		`process.scheduler.priority: only SCHED_FIFO and SCHED_RR have one`: func(s *specs.Spec) {
			s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Priority: 1}
		},
		`process.scheduler.flags[0]: unknown flag "X"`: func(s *specs.Spec) {
			s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Flags: []specs.LinuxSchedulerFlag{"X"}}
		},
		`process.ioPriority.class: unknown class "IOPRIO_CLASS_FAST"`: func(s *specs.Spec) { s.Process.IOPriority = &specs.LinuxIOPriority{Class: "IOPRIO_CLASS_FAST"} },
		`process.ioPriority.priority: 8 is not between 0 and 7`: func(s *specs.Spec) {
			s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 8}
		},
		`process.execCPUAffinity.final: "2-1" is no list of processors`: func(s *specs.Spec) {
			s.Process.ExecCPUAffinity = &specs.CPUAffinity{Final: "2-1"}
		},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := spec.Validate(change(f))
			require.EqualError(t, err, want)
		})
	}
}

func TestUnknownCapabilitiesAreAWarning(t *testing.T) {
	w, err := spec.Validate(change(func(s *specs.Spec) { s.Process.Capabilities.Bounding = []string{"CAP_KILL", "CAP_FLY"} }))
	require.NoError(t, err)
	require.Equal(t, []string{"ignoring unknown capabilities CAP_FLY"}, w)
}

func TestTextErrorsSayWhere(t *testing.T) {
	_, err := spec.Decode([]byte("{\n \"ociVersion\": \"1.0.2\",\n}"))
	require.EqualError(t, err, "config.json: line 3, column 1: invalid character '}' looking for beginning of object key string")
	_, err = spec.Decode([]byte("{\n \"hostname\": 7}"))
	require.EqualError(t, err, "config.json: line 2, column 14: hostname: want string, found number")
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	_, err := spec.Load(dir)
	require.EqualError(t, err, "JSON specification file config.json not found in "+dir)
	text, err := json.Marshal(spec.Example())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600))
	s, err := spec.Load(dir)
	require.NoError(t, err)
	require.Empty(t, s.Warnings)
	require.Equal(t, text, s.Text)
	require.Equal(t, filepath.Join(dir, "rootfs"), s.Root.Path)
}

func TestSysctlPath(t *testing.T) {
	for key, want := range map[string]string{
		"net.ipv4.ip_forward": "net/ipv4/ip_forward", "net/ipv4/conf/eth0.1/forwarding": "net/ipv4/conf/eth0.1/forwarding",
		"net.ipv4.conf.eth0/1.forwarding": "net/ipv4/conf/eth0.1/forwarding",
	} {
		require.Equal(t, want, spec.SysctlPath(key))
	}
}

func FuzzDecode(f *testing.F) {
	text, err := json.Marshal(spec.Example())
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte(`{"ociVersion":"1.0","linux":{"namespaces":[{"type":"pid"}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := spec.Decode(data); err == nil {
			_, _ = spec.Validate(s) // it must not panic
		}
	})
}
