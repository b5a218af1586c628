package plan

import (
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/03-rootfs/enter"
)

// TestCgroupMountOverTheHosts: where /sys is the host's with all that is mounted below it, the container is shown its group by a
// bind; the same tree cannot be mounted on itself.
func TestCgroupMountOverTheHosts(t *testing.T) {
	sys := specs.Mount{Destination: "/sys", Source: "/sys", Type: "none", Options: []string{"rbind", "ro"}}
	tree := specs.Mount{Destination: "/sys/fs/cgroup", Source: "cgroup", Type: "cgroup", Options: []string{"ro"}}
	for name, row := range map[string]struct {
		mounts []specs.Mount
		bind   bool
	}{
		"bound with all below": {[]specs.Mount{sys, tree}, true},
		"bound afterwards":     {[]specs.Mount{tree, sys}, false},
		"bound alone":          {[]specs.Mount{{Destination: "/sys", Source: "/sys", Options: []string{"bind"}}, tree}, false},
		"another directory":    {[]specs.Mount{{Destination: "/sys", Source: "/srv", Options: []string{"rbind"}}, tree}, false},
		"mounted":              {[]specs.Mount{{Destination: "/sys", Source: "sysfs", Type: "sysfs"}, tree}, false},
	} {
		s := &specs.Spec{Mounts: row.mounts, Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.CgroupNamespace}, {Type: specs.UserNamespace}}}}
		c := &compiler{spec: s, facts: Facts{Cgroup: CgroupFacts{V2: true, Dir: "/sys/fs/cgroup/x"}}}
		got := c.cgroupMounts("/sys/fs/cgroup", enter.ParseOptions(tree.Options))
		require.Len(t, got, 1, name)
		require.Equal(t, row.bind, got[0].Flags&unix.MS_BIND != 0, name)
		require.Equal(t, row.bind, got[0].Source == "/sys/fs/cgroup/x", name)
	}
}

// TestWaysIntoAGroup: born there, by files, or moved by systemd; a scope's keeper goes when the process is there, and a cgroup
// namespace is made where the process is.
func TestWaysIntoAGroup(t *testing.T) {
	for name, row := range map[string]struct {
		facts CgroupFacts
		want  string
	}{
		"born":          {CgroupFacts{Path: "/x", Born: true, V2: true}, ""},
		"born in scope": {CgroupFacts{Path: "/x", Born: true, V2: true, Kept: true}, "let the process go that has kept the scope"},
		"files":         {CgroupFacts{Path: "/x", Files: 2}, "join cgroup /x in every hierarchy, unshare the cgroup namespace"},
		"moved": {
			CgroupFacts{Path: "/x", Moved: true, V2: true, Kept: true},
			"have systemd move it to cgroup /x, unshare the cgroup namespace, let the process go that has kept the scope",
		},
	} {
		c := &compiler{
			spec: &specs.Spec{Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.CgroupNamespace}}}}, facts: Facts{Cgroup: row.facts},
		}
		c.openJoinFiles()
		var names []string
		for _, s := range c.joinCgroup() {
			names = append(names, s.Name)
			require.NotZero(t, s.Side == launch.Child || s.Code == nil)
		}
		require.Equal(t, row.want, strings.Join(names, ", "), name)
		require.Equal(t, !row.facts.Born, c.later(specs.CgroupNamespace), name)
	}
}
