package ociconfig

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata anew")

// aHost is the same on every machine. The profile is left out of the golden files: it is data of another module.
func aHost() Host {
	return Host{
		CgroupV2: true, CPUs: 2, Bounding: AllCapabilities(),
		Device: func(p string) ([]Device, error) {
			return []Device{{Path: p, Type: "b", Major: 8, Minor: 1, Mode: 0o660, GID: 6}}, nil
		},
		Devices: func() ([]Device, error) {
			return []Device{{Path: "/dev/null", Type: "c", Major: 1, Minor: 3, Mode: 0o666}}, nil
		},
	}
}

func aContainer() Container {
	return Container{
		ID: "0123456789ab", Hostname: "0123456789ab", CgroupPath: "/slipway/0123456789ab",
		Config:     &container.Config{Cmd: []string{"sh"}, Env: []string{"A=b"}},
		HostConfig: &container.HostConfig{NetworkMode: "bridge"},
		User:       User{Home: "/root"},
		Join:       Join{Network: "/run/netns/x"},
		Mounts: []Mount{
			{Kind: Bind, Source: "/d/hosts", Destination: "/etc/hosts"},
			{Kind: Bind, Source: "/d/hostname", Destination: "/etc/hostname"},
		},
	}
}

// The golden files are what runc and our runtime get; a change of one of them is a change for every user.
func TestCompileGolden(t *testing.T) {
	for name, change := range map[string]func(*Container, *Host){
		"default":      func(*Container, *Host) {},
		"v1-host-mode": func(c *Container, h *Host) { h.CgroupV2 = false; c.HostConfig.NetworkMode = "host" },
		"privileged":   func(c *Container, h *Host) { c.HostConfig.Privileged = true; h.Bounding = h.Bounding[:5] },
		"user-and-caps": func(c *Container, _ *Host) {
			c.User = User{UID: 1000, GID: 1000, Additional: []uint32{1000, 10}, Home: "/home"}
			c.HostConfig.CapAdd, c.HostConfig.CapDrop = []string{"NET_ADMIN"}, []string{"CAP_MKNOD"}
			c.HostConfig.SecurityOpt = []string{"no-new-privileges"}
			c.HostConfig.ReadonlyRootfs = true
			c.Config.WorkingDir, c.Config.Tty = "srv", true
		},
		"limits": func(c *Container, _ *Host) {
			hc := c.HostConfig
			hc.Memory, hc.NanoCPUs, hc.PidsLimit, hc.CpusetCpus = 64<<20, 1.5e9, new(int64(100)), "0-1"
			hc.Ulimits = []*units.Ulimit{{Name: "nofile", Soft: 10, Hard: 20}}
			hc.Devices = []container.DeviceMapping{{PathOnHost: "/dev/sda1", PathInContainer: "/dev/disk", CgroupPermissions: "r"}}
			hc.DeviceCgroupRules = []string{"c 42:* rwm"}
			hc.Sysctls = map[string]string{"net.core.somaxconn": "7"}
		},
		"mounts-and-init": func(c *Container, _ *Host) {
			c.InitPath, c.Sidecar = "/usr/bin/slipway-init", []string{"/usr/bin/slipway-proxy", "--publish", "tcp:1"}
			c.HostConfig.IpcMode, c.HostConfig.PidMode, c.HostConfig.UTSMode = "host", "host", "host"
			c.HostConfig.Annotations = map[string]string{"org.example": "x"}
			c.Mounts = append(c.Mounts,
				Mount{Kind: Tmpfs, Destination: "/tmp/deep/er", Options: []string{"exec", "size=1m"}},
				Mount{Kind: Bind, Source: "/src", Destination: "/tmp", ReadOnly: true, Propagation: "rshared"},
				Mount{Kind: Bind, Source: "/shm", Destination: "/dev/shm"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, h := aContainer(), aHost()
			change(&c, &h)
			got, err := Compile(c, h)
			require.NoError(t, err)
			text, err := json.MarshalIndent(got, "", "  ")
			require.NoError(t, err)
			path := filepath.Join("testdata", name+".json")
			if *update {
				require.NoError(t, os.WriteFile(path, append(text, '\n'), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), string(text)+"\n")
		})
	}
}

// The fourteen default capabilities are the mask a80425fb that people see in /proc/self/status.
func TestDefaultCapabilityMask(t *testing.T) {
	chosen, err := ChooseCapabilities(nil, nil, false)
	require.NoError(t, err)
	var mask uint64
	for number, name := range AllCapabilities() {
		for _, c := range chosen {
			if c == name {
				mask |= 1 << number
			}
		}
	}
	require.Equal(t, uint64(0xa80425fb), mask)
}

func TestChooseCapabilities(t *testing.T) {
	for name, row := range map[string]struct {
		add, drop []string
		want      int
		err       string
	}{
		"drop all, add one":    {[]string{"chown"}, []string{"ALL"}, 1, ""},
		"add all":              {[]string{"ALL"}, nil, 41, ""},
		"add all, drop one":    {[]string{"all"}, []string{"CAP_SYS_ADMIN"}, 40, ""},
		"one that is there":    {[]string{"CHOWN"}, nil, 14, ""},
		"one that is not real": {[]string{"FLY"}, nil, 0, `invalid CapAdd: unknown capability: "FLY"`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ChooseCapabilities(row.add, row.drop, false)
			if row.err != "" {
				require.EqualError(t, err, row.err)
				return
			}
			require.NoError(t, err)
			require.Len(t, got, row.want)
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*container.HostConfig)
		text   string
	}{
		"reserved annotation (CVE-2026-53488)": {
			func(h *container.HostConfig) {
				h.Annotations = map[string]string{SidecarAnnotation: `{"args":["/bin/sh"]}`}
			}, "reserved",
		},
		"sysctl of the host (CVE-2022-0811)": {
			func(h *container.HostConfig) { h.Sysctls = map[string]string{"kernel.core_pattern": "|/evil"} }, "not namespaced",
		},
		"sysctl of a shared namespace": {
			func(h *container.HostConfig) {
				h.NetworkMode = "host"
				h.Sysctls = map[string]string{"net.ipv4.ip_forward": "1"}
			}, "host network namespace",
		},
		"security option":  {func(h *container.HostConfig) { h.SecurityOpt = []string{"magic=on"} }, "invalid --security-opt 2"},
		"device rule":      {func(h *container.HostConfig) { h.DeviceCgroupRules = []string{"c 1"} }, "device cgroup rule"},
		"seccomp profile":  {func(h *container.HostConfig) { h.SecurityOpt = []string{"seccomp={"} }, "seccomp profile"},
		"relative mount":   {func(h *container.HostConfig) {}, "absolute"},
		"unknown cap drop": {func(h *container.HostConfig) { h.CapDrop = []string{"x"} }, "invalid CapDrop"},
	} {
		t.Run(name, func(t *testing.T) {
			c := aContainer()
			row.change(c.HostConfig)
			if name == "relative mount" {
				c.Mounts = []Mount{{Kind: Bind, Source: "/a", Destination: "b"}}
			}
			_, err := Compile(c, aHost())
			require.ErrorContains(t, err, row.text)
		})
	}
}

// The profile follows the final capabilities: clone3 is refused softly without SYS_ADMIN and allowed with it.
func TestSeccompFollowsCapabilities(t *testing.T) {
	h := aHost()
	h.Seccomp = seccomp.GetDefaultProfile
	allowed := func(add ...string) bool {
		c := aContainer()
		c.HostConfig.CapAdd = add
		got, err := Compile(c, h)
		require.NoError(t, err)
		for _, rule := range got.Spec.Linux.Seccomp.Syscalls {
			for _, n := range rule.Names {
				if n == "clone3" && rule.Action == specs.ActAllow {
					return true
				}
			}
		}
		return false
	}
	require.False(t, allowed())
	require.True(t, allowed("SYS_ADMIN"))
}

func TestEnvironment(t *testing.T) {
	got := Environment([]string{"PATH=/x", "TERM", "A=1", "A=2"}, "h", "", true)
	require.Equal(t, "PATH=/x HOSTNAME=h A=2 HOME=/", strings.Join(got, " "))
}

func FuzzSecurityOpt(f *testing.F) {
	f.Add("seccomp=unconfined")
	f.Add("no-new-privileges:maybe")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = ParseSecurityOpt([]string{text})
		_, _ = deviceRule(text)
	})
}
