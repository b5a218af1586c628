package plan_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/caps"
	"github.com/slipway-engine/slipway/stages/04-ocispec/plan"
	"github.com/slipway-engine/slipway/stages/04-ocispec/spec"
)

// v1 and v2 are two machines.
func v1() plan.Facts {
	f := v2()
	f.Cgroup.V2, f.Cgroup.Born, f.Cgroup.Files = false, false, 2
	f.Cgroup.Mounted = []plan.CgroupMount{
		{Name: "memory", Group: "/sys/fs/cgroup/memory/docker/x", Data: "memory"},
		{Name: "systemd", Group: "/sys/fs/cgroup/systemd/docker/x", Data: "none,name=systemd"},
	}
	return f
}

func v2() plan.Facts {
	return plan.Facts{
		Arch: specs.ArchX86_64, Bounding: 1<<41 - 1, Permitted: 1<<41 - 1, NoFile: [2]uint64{1024, 4096}, Home: "/root", ParentMount: "/",
		Files: map[string]bool{}, Cgroup: plan.CgroupFacts{Path: "/docker/x", V2: true, Born: true},
	}
}

func load(t *testing.T, name string) *specs.Spec {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)
	s, err := spec.Decode(text)
	require.NoError(t, err)
	_, err = spec.Validate(s)
	require.NoError(t, err)
	return s
}

// golden compares a printed plan with the file; UPDATE_GOLDEN=1 writes it.
func golden(t *testing.T, name string, p *plan.Plan) {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, p.Explain(&b))
	name = filepath.Join("testdata", name+".golden")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(name, b.Bytes(), 0o644))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

func TestGoldenPlans(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		facts  plan.Facts
		req    plan.Request
	}{
		"docker-v1":     {"docker", v1(), plan.Request{ID: "x"}},
		"docker-v2":     {"docker", v2(), plan.Request{ID: "x"}},
		"everything-v2": {"everything", v2(), plan.Request{ID: "x", ConsoleSocket: true, PreserveFDs: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := plan.Compile(load(t, c.config), c.facts, c.req, plan.Acts{})
			require.NoError(t, err)
			golden(t, name, p)
		})
	}
}

func TestGoldenExec(t *testing.T) {
	s := load(t, "docker")
	s.Process.Terminal, s.Process.Args = true, []string{"sh"}
	facts := v2()
	facts.Join = []specs.LinuxNamespaceType{specs.PIDNamespace, specs.NetworkNamespace, specs.MountNamespace}
	p, err := plan.CompileExec(s, facts, plan.Request{ID: "x", ConsoleSocket: true}, plan.Acts{})
	require.NoError(t, err)
	golden(t, "exec", p)
}

// Where somebody inside may trace the host's root, the process is seen there only when it holds nothing of the host's (CVE-2016-9962);
// a user namespace, a label and a lack of CAP_SYS_PTRACE keep him from it, and spare the second clone.
func TestWhoCouldTraceSeesNothing(t *testing.T) {
	tracer := caps.Mask(1 << unix.CAP_SYS_PTRACE)
	pid, both := []specs.LinuxNamespaceType{specs.PIDNamespace}, []specs.LinuxNamespaceType{specs.PIDNamespace, specs.UserNamespace}
	for name, row := range map[string]struct {
		facts plan.Facts
		label string
		want  bool
	}{
		"a tracer":                      {plan.Facts{Join: pid, Inside: tracer}, "", true},
		"nobody":                        {plan.Facts{Join: pid, Inside: ^tracer}, "", false},
		"a tracer and a label":          {plan.Facts{Join: pid, Inside: tracer}, "docker-default", false},
		"a tracer in a user namespace":  {plan.Facts{Join: both, Inside: tracer}, "", false},
		"an ordinary user's container":  {plan.Facts{Join: both, Rootless: true}, "", true},
		"no pid namespace of their own": {plan.Facts{Inside: tracer}, "", false},
	} {
		require.Equal(t, row.want, row.facts.JoinsPIDInside(&specs.Process{ApparmorProfile: row.label}), name)
	}
}

// steps are the names of a plan's steps.
func steps(t *testing.T, s *specs.Spec, f plan.Facts) []string {
	t.Helper()
	p, err := plan.Compile(s, f, plan.Request{ID: "x"}, plan.Acts{})
	require.NoError(t, err)
	var names []string
	for _, step := range p.Steps {
		names = append(names, step.Name)
	}
	return names
}

func position(t *testing.T, names []string, prefix string) int {
	t.Helper()
	for i, n := range names {
		if strings.HasPrefix(n, prefix) {
			return i
		}
	}
	require.Fail(t, "no step "+prefix, strings.Join(names, "\n"))
	return -1
}

// TestOrder states the laws that any plan must keep, whatever else is in it.
func TestOrder(t *testing.T) {
	s := load(t, "docker")
	for _, nnp := range []bool{false, true} {
		s.Process.NoNewPrivileges = nnp
		names := steps(t, s, v1())
		for _, law := range [][2]string{
			{"make cgroup", "clone3"},
			{"clone3", "join cgroup"},
			{"join cgroup", "make / slave"},
			{"join cgroup", "unshare the cgroup"},
			{"set net.ipv4", "mount proc"},
			{"make / slave", "bind /var"},
			{"mask /proc/kcore", "pivot_root"},
			{"run 1 prestart", "pivot_root"},
			{"mount mqueue", "run 1 prestart"},
			{"unmount the old root", "chdir"},
			{"record the state", "accept on the start gate"},
			{"close all descriptors", "accept on the start gate"},
			{"accept on the start gate", "limit the bounding set"},
			{"limit the bounding set", "become user"},
			{"become user", "keep 14 capabilities"},
			{"become user", "load the seccomp filter"},
			{"load the seccomp filter", "execve"},
		} {
			if law[1] == "unshare the cgroup" {
				continue // Docker's config has no cgroup namespace here
			}
			require.Less(t, position(t, names, law[0]), position(t, names, law[1]), "%q before %q", law[0], law[1])
		}
		if nnp {
			require.Less(t, position(t, names, "keep 14"), position(t, names, "load the seccomp"), "no_new_privs: the filter is the very last")
		}
	}
}

func TestACgroupNamespaceWaitsUntilTheGroupIsJoined(t *testing.T) {
	s := load(t, "everything")
	s.Process.Terminal = false
	require.GreaterOrEqual(t, position(t, steps(t, s, v2()), "clone3 user mount uts pid cgroup"), 0, "born inside: all at once")
	names := steps(t, s, v1())
	require.Less(t, position(t, names, "join cgroup"), position(t, names, "unshare the cgroup namespace"))
}

func TestTheOOMScoreIsSetWhereItChanges(t *testing.T) {
	s, f := load(t, "docker"), v2()
	require.Contains(t, steps(t, s, f), "set oom_score_adj to 0", "nobody knows ours")
	f.OOMScore = new(0)
	require.NotContains(t, steps(t, s, f), "set oom_score_adj to 0", "the child is born with it")
	f.OOMScore = new(-500)
	require.Contains(t, steps(t, s, f), "set oom_score_adj to 0")
}

func TestOptionsThatAreRefused(t *testing.T) {
	s := load(t, "docker")
	s.Mounts[0].Options = append(s.Mounts[0].Options, "tmpcopyup")
	_, err := plan.Compile(s, v2(), plan.Request{}, plan.Acts{})
	require.EqualError(t, err, "mounts[0]: options: tmpcopyup is for a tmpfs, not for \"proc\"")
	s = load(t, "docker")
	s.Linux.Seccomp.DefaultAction = "SCMP_ACT_NOPE"
	_, err = plan.Compile(s, v2(), plan.Request{}, plan.Acts{})
	require.EqualError(t, err, `linux.seccomp: defaultAction: unknown action "SCMP_ACT_NOPE"`)
}

func TestMissingCapabilitiesAreAWarning(t *testing.T) {
	f := v2()
	f.Bounding &^= 1 << 18
	p, err := plan.Compile(load(t, "docker"), f, plan.Request{}, plan.Acts{})
	require.NoError(t, err)
	require.Equal(t, []string{"this process lacks CAP_SYS_CHROOT: the container does not get it"}, p.Warnings)
}

// TestSELinux: the label is written through the host's procfs, opened before the root is switched, and keys get it, too.
func TestSELinux(t *testing.T) {
	s := load(t, "docker")
	s.Process.ApparmorProfile, s.Process.SelinuxLabel = "", "system_u:system_r:container_t:s0:c4,c5"
	s.Linux.MountLabel = "system_u:object_r:container_file_t:s0:c4,c5"
	names := steps(t, s, v2())
	for _, law := range [][2]string{
		{"label new keys " + s.Process.SelinuxLabel, "join a new session keyring"},
		{"open /proc/self/attr/exec", "pivot_root"},
		{"accept on the start gate", "enter SELinux label " + s.Process.SelinuxLabel},
		{"enter SELinux label", "execve"},
	} {
		require.Less(t, position(t, names, law[0]), position(t, names, law[1]), "%q before %q", law[0], law[1])
	}
	p, err := plan.Compile(s, v2(), plan.Request{ID: "x"}, plan.Acts{})
	require.NoError(t, err)
	labelled := map[string]bool{}
	for _, step := range p.Steps {
		for _, in := range step.Code {
			for _, arg := range in.Args {
				if text, ok := arg.(launch.Str); ok && strings.Contains(string(text), `context="`+s.Linux.MountLabel+`"`) {
					labelled[strings.Join(strings.Fields(step.Name)[:4], " ")] = true
				}
			}
		}
	}
	require.Contains(t, labelled, "mount tmpfs on /dev")
	require.NotContains(t, labelled, "mount proc on /proc")
}

func FuzzCompile(f *testing.F) {
	text, err := os.ReadFile("testdata/everything.json")
	require.NoError(f, err)
	f.Add(text)
	example, err := json.Marshal(spec.Example())
	require.NoError(f, err)
	f.Add(example)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := spec.Decode(data)
		if err != nil {
			return
		}
		if _, err := spec.Validate(s); err != nil {
			return
		}
		_, _ = plan.Compile(s, v1(), plan.Request{ID: "x"}, plan.Acts{}) // it must not panic
	})
}
