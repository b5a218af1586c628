package runtime_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

func TestWhatTheProgramSees(t *testing.T) {
	p := newPlace(t)
	out, status := p.run(t, `{ id; hostname; echo $HOME $0; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; readlink /dev/fd; pwd; } >/out/out 2>&1; ls /proc/self/fd >>/out/out; exit 7`, func(s *specs.Spec) {
		s.Process.User = specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{5}}
		s.Process.Cwd = "/made/for/me"
		s.Hostname = "inside"
		s.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "77"}
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"ptrace"}, Action: specs.ActErrno}}}
	})
	require.Equal(t, 7, status)
	require.Equal(t, `uid=1000(app) gid=1000 groups=5
inside
/home/app sh
CapEff:	0000000000000000
NoNewPrivs:	1
Seccomp:	2
77
/proc/self/fd
/made/for/me
0
1
2
3
`, out, "descriptor 3 is the one that ls reads the directory by")
}

func TestAUserNamespace(t *testing.T) {
	p := newPlace(t)
	out, _ := p.run(t, "{ id -u; cat /proc/self/uid_map; echo x >/dev/null && echo null works; touch /bin/new 2>&1; } >/out/out 2>&1", func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
	})
	require.Equal(t, "0\n         0     100000      65536\nnull works\ntouch: /bin/new: Permission denied\n", out)
}

func TestJoinedNamespaces(t *testing.T) {
	p := newPlace(t)
	p.create(t, p.bundle(t, "sleep 1000", nil))
	v, err := p.State("c")
	require.NoError(t, err)
	for _, own := range []bool{false, true} { // with a user namespace of its own the thread joins, not the child
		_ = os.Remove(filepath.Join(p.out, "out")) // of the round before
		script := "{ readlink /proc/self/ns/net; readlink /proc/self/ns/ipc; test $$ -gt 1 && echo not first; } >/out/out"
		out, _ := p.run(t, script, func(s *specs.Spec) {
			for i, n := range s.Linux.Namespaces {
				switch n.Type {
				case specs.NetworkNamespace:
					s.Linux.Namespaces[i].Path = fmt.Sprintf("/proc/%d/ns/net", v.PID)
				case specs.IPCNamespace:
					s.Linux.Namespaces[i].Path = fmt.Sprintf("/proc/%d/ns/ipc", v.PID)
				case specs.PIDNamespace:
					if !own { // proc cannot be mounted for a pid namespace of the host's
						s.Linux.Namespaces[i].Path = fmt.Sprintf("/proc/%d/ns/pid", v.PID)
					}
				}
			}
			if own {
				s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
				s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
				s.Linux.GIDMappings = s.Linux.UIDMappings
				s.Mounts = s.Mounts[:1:1]
				s.Mounts = append(s.Mounts, specs.Mount{Destination: "/dev", Type: "tmpfs"}, specs.Mount{Destination: "/out", Type: "bind", Source: p.out, Options: []string{"rbind"}})
			}
		})
		net, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", v.PID))
		ipc, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/ipc", v.PID))
		want := net + "\n" + ipc + "\n"
		if !own {
			want += "not first\n"
		}
		require.Equal(t, want, out)
	}
	own, _ := os.Readlink("/proc/self/ns/net")
	now, _ := os.Readlink("/proc/thread-self/ns/net")
	require.Equal(t, own, now)
	_, err = p.Create(t.Context(), runtime.CreateOptions{ID: "w", Bundle: p.bundle(t, "true", func(s *specs.Spec) {
		s.Linux.Namespaces[1].Path = fmt.Sprintf("/proc/%d/ns/uts", v.PID)
	})})
	require.ErrorContains(t, err, "it is a namespace of another kind")
}
