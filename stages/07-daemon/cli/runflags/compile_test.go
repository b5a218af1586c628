package runflags_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"path"
	"testing"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/slipway-engine/slipway/stages/07-daemon/cli/runflags"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// compile parses a command line as run does; the world is a few files, one variable and /here.
func compile(args ...string) (*runflags.Request, error) {
	fset := pflag.NewFlagSet("run", pflag.ContinueOnError)
	fset.SetInterspersed(false)
	fset.Usage = func() {}
	var f runflags.Flags
	f.Bind(fset)
	if err := fset.Parse(args); err != nil {
		return nil, err
	}
	return f.Compile(fset.Args(), runflags.Sources{
		ReadFile: func(name string) ([]byte, error) {
			files := map[string]string{
				"env":          "# a comment\n\n  A=1\nFROM_CLIENT\nGONE\nB=x y\n",
				"bad":          "A B=1\n",
				"profile.json": "{ \"defaultAction\":\n \"SCMP_ACT_ALLOW\" }",
			}
			if text, ok := files[name]; ok {
				return []byte(text), nil
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
		LookupEnv: func(name string) (string, bool) { return "client's", name == "FROM_CLIENT" },
		Abs:       func(p string) (string, error) { return path.Join("/here", p), nil },
	})
}

// blank is the request of `run IMAGE`; rows say how theirs differs.
func blank() *runflags.Request {
	minusOne, zero, no := int64(-1), int64(0), false
	return &runflags.Request{
		Config: &container.Config{Image: "i", AttachStdout: true, AttachStderr: true, ExposedPorts: network.PortSet{}},
		HostConfig: &container.HostConfig{
			NetworkMode: "default", RestartPolicy: container.RestartPolicy{Name: "no"}, PortBindings: network.PortMap{},
			Resources: container.Resources{MemorySwappiness: &minusOne, PidsLimit: &zero, OomKillDisable: &no},
		},
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{"default": {}}},
	}
}

func port(text string) network.Port { return network.MustParsePort(text) }

func ip(text string) netip.Addr { return netip.MustParseAddr(text) }

// TestCompile compares whole requests, so a flag that leaks into another field is seen. The rows were checked on the wire against
// docker 28.2.2.
func TestCompile(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want func(r *runflags.Request)
	}{
		{"an image alone", nil, func(*runflags.Request) {}},
		{"-i attaches stdin once", []string{"-i"}, func(r *runflags.Request) {
			r.Config.AttachStdin, r.Config.OpenStdin, r.Config.StdinOnce = true, true, true
		}},
		{"-a chooses streams", []string{"-a", "STDERR", "-t"}, func(r *runflags.Request) {
			r.Config.AttachStdout, r.Config.Tty = false, true
		}},
		{"environment", []string{"--env-file", "env", "-e", "C=", "-e", "FROM_CLIENT", "-e", "GONE"}, func(r *runflags.Request) {
			r.Config.Env = []string{"A=1", "FROM_CLIENT=client's", "B=x y", "C=", "FROM_CLIENT=client's"}
		}},
		{"process", []string{"--name", "n", "-h", "host", "--domainname", "d", "-u", "1:2", "-w", "/w", "-l", "a=b", "-l", "c", "--annotation", "x=y"}, func(r *runflags.Request) {
			r.Name = "n"
			c := r.Config
			c.Hostname, c.Domainname, c.User, c.WorkingDir = "host", "d", "1:2", "/w"
			c.Labels, r.HostConfig.Annotations = map[string]string{"a": "b", "c": ""}, map[string]string{"x": "y"}
		}},
		{"entry point", []string{"--entrypoint", "/e"}, func(r *runflags.Request) { r.Config.Entrypoint = []string{"/e"} }},
		{"no entry point", []string{"--entrypoint="}, func(r *runflags.Request) { r.Config.Entrypoint = []string{""} }},
		{"lifecycle", []string{"--rm", "--init", "--stop-signal", "INT", "--stop-timeout", "0", "--runtime", "crun", "--log-driver", "json-file", "--log-opt", "max-size=1m", "--platform", "linux/arm64/v8"}, func(r *runflags.Request) {
			yes, zero := true, 0
			h := r.HostConfig
			h.AutoRemove, h.Init, h.Runtime = true, &yes, "crun"
			r.Config.StopSignal, r.Config.StopTimeout = "INT", &zero
			h.LogConfig = container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m"}}
			r.Platform = &ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
		}},
		{"restart", []string{"--restart", "on-failure:3"}, func(r *runflags.Request) {
			r.HostConfig.RestartPolicy = container.RestartPolicy{Name: "on-failure", MaximumRetryCount: 3}
		}},
		{"memory", []string{"-m", "64m", "--memory-swap", "-1", "--memory-reservation", "32m", "--memory-swappiness", "5", "--shm-size", "1g", "--oom-kill-disable", "--oom-score-adj", "7"}, func(r *runflags.Request) {
			h, five, yes := r.HostConfig, int64(5), true
			h.Memory, h.MemorySwap, h.MemoryReservation, h.MemorySwappiness = 64<<20, -1, 32<<20, &five
			h.ShmSize, h.OomKillDisable, h.OomScoreAdj = 1<<30, &yes, 7
		}},
		{"cpu and pids", []string{"--cpus", "1.5", "-c", "512", "--cpuset-cpus", "0-1", "--cpu-period", "1000", "--cpu-quota", "500", "--pids-limit", "9", "--cgroup-parent", "/x"}, func(r *runflags.Request) {
			h, nine := r.HostConfig, int64(9)
			h.NanoCPUs, h.CPUShares, h.CpusetCpus, h.CPUPeriod, h.CPUQuota, h.PidsLimit, h.CgroupParent = 1_500_000_000, 512, "0-1", 1000, 500, &nine, "/x"
		}},
		{"ulimits: sorted, the last of a name wins", []string{"--ulimit", "nofile=1:2", "--ulimit", "core=-1", "--ulimit", "nofile=3"}, func(r *runflags.Request) {
			r.HostConfig.Ulimits = []*units.Ulimit{{Name: "core", Soft: -1, Hard: -1}, {Name: "nofile", Soft: 3, Hard: 3}}
		}},
		{"block io", []string{"--blkio-weight", "100", "--blkio-weight-device", "/dev/sda:20", "--device-read-bps", "/dev/sda:1m", "--device-write-iops", "/dev/sda:5"}, func(r *runflags.Request) {
			h := r.HostConfig
			h.BlkioWeight, h.BlkioWeightDevice = 100, []*blkiodev.WeightDevice{{Path: "/dev/sda", Weight: 20}}
			h.BlkioDeviceReadBps = []*blkiodev.ThrottleDevice{{Path: "/dev/sda", Rate: 1 << 20}}
			h.BlkioDeviceWriteIOps = []*blkiodev.ThrottleDevice{{Path: "/dev/sda", Rate: 5}}
		}},
		{"volumes", []string{"-v", "/a:/b:ro", "-v", "vol:/c", "-v", "./rel:/d", "-v", "/anonymous/", "--tmpfs", "/t:size=1m", "--tmpfs", "/u", "--read-only", "--volumes-from", "o:ro"}, func(r *runflags.Request) {
			h := r.HostConfig
			h.Binds, h.VolumesFrom, h.ReadonlyRootfs = []string{"/a:/b:ro", "vol:/c", "/here/rel:/d"}, []string{"o:ro"}, true
			h.Tmpfs, r.Config.Volumes = map[string]string{"/t": "size=1m", "/u": ""}, map[string]struct{}{"/anonymous": {}}
		}},
		{"mounts", []string{
			"--mount", "type=bind,src=./x,dst=/y,ro,bind-propagation=rslave,bind-recursive=disabled", "--mount", "src=v,dst=/z,volume-nocopy,volume-label=a=b,volume-driver=local,volume-opt=o=p",
			"--mount", "type=tmpfs,target=/q,tmpfs-size=1m,tmpfs-mode=755",
		}, func(r *runflags.Request) {
			r.HostConfig.Mounts = []mount.Mount{
				{Type: mount.TypeBind, Source: "/here/x", Target: "/y", ReadOnly: true, BindOptions: &mount.BindOptions{Propagation: "rslave", NonRecursive: true}},
				{Type: mount.TypeVolume, Source: "v", Target: "/z", VolumeOptions: &mount.VolumeOptions{
					NoCopy: true, Labels: map[string]string{"a": "b"}, DriverConfig: &mount.Driver{Name: "local", Options: map[string]string{"o": "p"}},
				}},
				{Type: mount.TypeTmpfs, Target: "/q", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 1 << 20, Mode: 0o755}},
			}
		}},
		{"ports", []string{"-p", "8080:80", "-p", "127.0.0.1:9000-9001:90-91/udp", "-p", "[::1]::6", "-p", "7000-7005:70", "-p", "5", "-P", "--expose", "1000-1001"}, func(r *runflags.Request) {
			h := r.HostConfig
			h.PublishAllPorts = true
			h.PortBindings = network.PortMap{
				port("80/tcp"): {{HostPort: "8080"}}, port("90/udp"): {{HostIP: ip("127.0.0.1"), HostPort: "9000"}}, port("91/udp"): {{HostIP: ip("127.0.0.1"), HostPort: "9001"}},
				port("6/tcp"): {{HostIP: ip("::1")}}, port("70/tcp"): {{HostPort: "7000-7005"}}, port("5/tcp"): {{}},
			}
			for p := range h.PortBindings {
				r.Config.ExposedPorts[p] = struct{}{}
			}
			r.Config.ExposedPorts[port("1000/tcp")], r.Config.ExposedPorts[port("1001/tcp")] = struct{}{}, struct{}{}
		}},
		{"a network", []string{"--net", "n", "--network-alias", "al", "--ip", "10.0.0.2", "--ip6", "fd00::2", "--mac-address", "02:42:ac:11:00:02"}, func(r *runflags.Request) {
			r.HostConfig.NetworkMode = "n"
			r.NetworkingConfig.EndpointsConfig = map[string]*network.EndpointSettings{"n": {
				Aliases: []string{"al"}, MacAddress: network.HardwareAddr{2, 0x42, 0xac, 0x11, 0, 2},
				IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: ip("10.0.0.2"), IPv6Address: ip("fd00::2")},
			}}
		}},
		{"networks in the long form", []string{"--network", "name=a,alias=x,alias=y,ip=10.0.0.1,gw-priority=5", "--network", "b"}, func(r *runflags.Request) {
			r.HostConfig.NetworkMode = "a"
			r.NetworkingConfig.EndpointsConfig = map[string]*network.EndpointSettings{
				"a": {Aliases: []string{"x", "y"}, GwPriority: 5, IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: ip("10.0.0.1")}}, "b": {},
			}
		}},
		{"names", []string{"--dns", "1.1.1.1", "--dns-search", "x", "--dns-option", "ndots:2", "--add-host", "a:1.2.3.4", "--add-host", "b=host-gateway", "--add-host", "c=[::1]", "--sysctl", "net.a=1"}, func(r *runflags.Request) {
			h := r.HostConfig
			h.DNS, h.DNSSearch, h.DNSOptions = []netip.Addr{ip("1.1.1.1")}, []string{"x"}, []string{"ndots:2"}
			h.ExtraHosts, h.Sysctls = []string{"a:1.2.3.4", "b:host-gateway", "c:::1"}, map[string]string{"net.a": "1"}
		}},
		{"security", []string{
			"--cap-add", "net_admin", "--cap-drop", "ALL", "--group-add", "5", "--privileged", "--pid", "host", "--ipc", "shareable", "--uts", "host", "--userns", "host", "--cgroupns", "private",
			"--security-opt", "no-new-privileges", "--security-opt", "seccomp=profile.json", "--security-opt", "label:disable", "--security-opt", "systempaths=unconfined",
			"--device", "/dev/null", "--device", "/dev/zero:/dev/z:r", "--device", "/dev/full:rw", "--device-cgroup-rule", "c 1:3 r",
		}, func(r *runflags.Request) {
			h := r.HostConfig
			h.CapAdd, h.CapDrop, h.GroupAdd, h.Privileged = []string{"net_admin"}, []string{"ALL"}, []string{"5"}, true
			h.PidMode, h.IpcMode, h.UTSMode, h.UsernsMode, h.CgroupnsMode = "host", "shareable", "host", "host", "private"
			h.SecurityOpt = []string{"no-new-privileges", `seccomp={"defaultAction":"SCMP_ACT_ALLOW"}`, "label:disable"}
			h.MaskedPaths, h.ReadonlyPaths, h.DeviceCgroupRules = []string{}, []string{}, []string{"c 1:3 r"}
			h.Devices = []container.DeviceMapping{{PathOnHost: "/dev/null", PathInContainer: "/dev/null", CgroupPermissions: "rwm"}, {PathOnHost: "/dev/zero", PathInContainer: "/dev/z", CgroupPermissions: "r"}, {PathOnHost: "/dev/full", PathInContainer: "/dev/full", CgroupPermissions: "rw"}}
		}},
		{"health", []string{"--health-cmd", "a b", "--health-interval", "5s", "--health-retries", "2"}, func(r *runflags.Request) {
			r.Config.Healthcheck = &container.HealthConfig{Test: []string{"CMD-SHELL", "a b"}, Interval: 5 * time.Second, Retries: 2}
		}},
		{"no health", []string{"--no-healthcheck"}, func(r *runflags.Request) { r.Config.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := blank()
			test.want(want)
			got, err := compile(append(test.args, "i")...)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestCommandBelongsToTheContainer(t *testing.T) {
	got, err := compile("--rm", "i", "ls", "--rm", "-l")
	require.NoError(t, err)
	require.Equal(t, []string{"ls", "--rm", "-l"}, got.Config.Cmd)
}

func TestMistakes(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "an image is required"},
		{[]string{"-m", "1x", "i"}, `invalid argument "1x" for "-m, --memory" flag: invalid suffix: 'x'`},
		{[]string{"--cpus", "1.2.3", "i"}, `invalid argument "1.2.3" for "--cpus" flag: failed to parse 1.2.3 as a rational number`},
		{[]string{"--memory-swappiness", "101", "i"}, "invalid value: 101. Valid memory swappiness range is 0-100"},
		{[]string{"--ulimit", "nofile=2:1", "i"}, `invalid argument "nofile=2:1" for "--ulimit" flag: ulimit soft limit must be less than or equal to hard limit: 2 > 1`},
		{[]string{"--env-file", "none", "i"}, "open none: file does not exist"},
		{[]string{"--env-file", "bad", "i"}, "invalid env file (bad): variable 'A B' contains whitespaces"},
		{[]string{"-e", "=x", "i"}, "invalid environment variable: =x"},
		{[]string{"-a", "x", "i"}, `invalid argument "x" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR`},
		{[]string{"--rm", "--restart", "always", "i"}, "conflicting options: cannot specify both --restart and --rm"},
		{[]string{"--restart", "on-failure:x", "i"}, "invalid restart policy format: maximum retry count must be an integer"},
		{[]string{"-p", "99999:80", "i"}, "invalid hostPort: 99999"},
		{[]string{"-p", "80:x", "i"}, "invalid containerPort: x"},
		{[]string{"-p", "80-81:80-82", "i"}, "invalid ranges specified for container and host Ports: 80-82 and 80-81"},
		{[]string{"-p", "nohost:80:80", "i"}, "invalid IP address: nohost"},
		{[]string{"-v", ":/x", "i"}, "invalid spec: :/x: empty section between colons"},
		{[]string{"--mount", "foo", "i"}, `invalid argument "foo" for "--mount" flag: invalid field 'foo' must be a key=value pair`},
		{[]string{"--mount", "type=bind,src=/x", "i"}, `invalid argument "type=bind,src=/x" for "--mount" flag: target is required`},
		{[]string{"--mount", "type=bind,src=/x,dst=/y,volume-nocopy", "i"}, `invalid argument "type=bind,src=/x,dst=/y,volume-nocopy" for "--mount" flag: cannot mix 'volume-*' options with mount type 'bind'`},
		{[]string{"--network", "a=b", "i"}, `invalid argument "a=b" for "--network" flag: invalid field key a`},
		{[]string{"--network", "a", "--network", "a", "i"}, `network "a" is specified multiple times`},
		{[]string{"--net", "host", "--network-alias", "x", "i"}, "network-scoped alias is supported only for containers in user defined networks"},
		{[]string{"--dns", "x", "i"}, `invalid argument "x" for "--dns" flag: IP address is not correctly formatted: x`},
		{[]string{"--add-host", "a:b", "i"}, `invalid argument "a:b" for "--add-host" flag: invalid IP address in add-host: "b"`},
		{[]string{"--pid", "x", "i"}, "--pid: invalid PID mode"},
		{[]string{"--security-opt", "seccomp=none.json", "i"}, "opening seccomp profile (none.json) failed: open none.json: file does not exist"},
		{[]string{"--device", "/a:/b:xyz", "i"}, "invalid device mode: xyz"},
		{[]string{"--no-healthcheck", "--health-cmd", "x", "i"}, "--no-healthcheck conflicts with --health-* options"},
		{[]string{"--sysctl", "x", "i"}, `invalid argument "x" for "--sysctl" flag: must be formatted as key=value`},
		{[]string{"--blkio-weight-device", "sda:1", "i"}, "bad format for device path: sda:1"},
	} {
		t.Run(test.want, func(t *testing.T) {
			_, err := compile(test.args...)
			require.EqualError(t, err, test.want)
		})
	}
	_, err := compile("--dns", "x", "i")
	_, ok := errors.AsType[runflags.FlagError](err)
	require.True(t, ok, "the client prints the usage for these")
}

// FuzzPublish looks for texts that crash the parser of -p.
func FuzzPublish(f *testing.F) {
	for _, seed := range []string{"80", "8080:80", "127.0.0.1:1-2:3-4/udp", "[::1]:5:6", ":::", "target=1,published=2", "-:-", "65535-65536:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := compile("-p="+text, "i"); err == nil && len(r.HostConfig.PortBindings) == 0 {
			t.Errorf("%q publishes nothing and is no mistake", text)
		}
	})
}
