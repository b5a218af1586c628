package runtime_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/runtime"
)

// inOwnNetwork runs the test again in a network namespace of its own, where nothing can be broken.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv("OWN_NETWORK") != "" {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	cmd.Env = append(os.Environ(), "OWN_NETWORK=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.NotContains(t, string(out), "--- SKIP", "skipped inside")
	return false
}

func ip(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	require.NoError(t, err, "ip %s: %s", strings.Join(args, " "), out)
	return string(out)
}

// TestNetDevicesMoveIn: with their addresses of global scope, hardware address and MTU, renamed or not, and up.
func TestNetDevicesMoveIn(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	for peer, users := range map[string]bool{"peer1": false, "peer2": true} { // the kernel takes its time to destroy a namespace
		p := newPlace(t)
		ip(t, "link", "add", "one", "mtu", "1789", "address", "00:11:22:33:44:55", "type", "veth", "peer", "name", peer)
		ip(t, "link", "add", "two", "type", "ifb")
		ip(t, "link", "set", peer, "up")
		ip(t, "address", "add", "169.254.169.77/32", "dev", "one")
		ip(t, "address", "add", "10.9.8.7/24", "broadcast", "10.9.8.255", "dev", "one")
		ip(t, "address", "add", "fd00::7/64", "dev", "one")
		ip(t, "address", "add", "127.0.0.33/8", "scope", "host", "dev", "one")
		ip(t, "link", "set", "one", "up")
		out, status := p.run(t, "busybox ip address show dev eth7 >/out/out; busybox ip link show dev two >>/out/out", func(s *specs.Spec) {
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"one": {Name: "eth7"}, "two": {}}
			s.Linux.Sysctl = map[string]string{"net.ipv4.conf.eth7.forwarding": "1"}
			if users {
				ownUsers(s)
			}
		})
		require.Zero(t, status, out)
		for _, want := range []string{"mtu 1789", "00:11:22:33:44:55", "169.254.169.77/32", "10.9.8.7/24 brd 10.9.8.255", "fd00::7/64", ",UP", "two:"} {
			require.Contains(t, out, want)
		}
		require.NotContains(t, out, "127.0.0.33")
		require.NotContains(t, ip(t, "link"), " one")
	}
}

func TestNetDevicesThatCannotMove(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	p := newPlace(t)
	ip(t, "link", "add", "one", "type", "veth", "peer", "name", "peer1")
	ip(t, "link", "set", "one", "up")
	for want, devices := range map[string]map[string]specs.LinuxNetDevice{
		"move network device gone in: linux.netDevices[gone]: no such device":                       {"gone": {}},
		"move network device one in as lo: linux.netDevices[one]: lo in the container: file exists": {"one": {Name: "lo"}},
		"linux.netDevices[one]: \"a name of 16 ch\\t\": a name of a network device has":             {"one": {Name: "a name of 16 ch\t"}},
	} {
		_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "n", Bundle: p.bundle(t, "true", func(s *specs.Spec) { s.Linux.NetDevices = devices })})
		if strings.Contains(want, "a name of 16") {
			require.ErrorContains(t, err, "has more than 15 characters")
		} else {
			require.ErrorContains(t, err, want)
		}
		_, err = p.State("n")
		require.Error(t, err, "nothing is left")
	}
	require.Contains(t, ip(t, "link", "show", "one"), ",UP", "it is where and how it was")
	ip(t, "link", "set", "lo", "up")
	ip(t, "route", "add", "10.0.0.0/8", "dev", "lo")
	_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "n", Bundle: p.bundle(t, "true", func(s *specs.Spec) {
		s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"lo": {Name: "other"}}
	})})
	require.ErrorContains(t, err, "move network device lo in as other: linux.netDevices[lo]: invalid argument")
	require.Contains(t, ip(t, "route"), "10.0.0.0/8 dev lo", "the host's own is as it was")
	_, err = p.Create(t.Context(), runtime.CreateOptions{ID: "n", Bundle: p.bundle(t, "true", func(s *specs.Spec) {
		s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"one": {}}
		s.Linux.Namespaces = s.Linux.Namespaces[:0:0]
	})})
	require.Error(t, err)
}

func TestWithoutResourceControlAClassIsAnError(t *testing.T) {
	p := newPlace(t)
	_, err := p.Create(t.Context(), runtime.CreateOptions{ID: "n", Bundle: p.bundle(t, "true", func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{Schemata: []string{"L3:0=f"}} })})
	if text, readErr := os.ReadFile("/proc/self/mountinfo"); readErr == nil && strings.Contains(string(text), " - resctrl ") {
		t.Skip("needs a machine without a resource control file system")
	}
	require.EqualError(t, err, "intelRdt is specified in config, but Intel RDT is not supported or enabled")
	_, err = p.State("n")
	require.Error(t, err)
}

// TestADeviceOfARuntimeThatIsKilled: wherever that happens, delete --force leaves the device where it was, or it has gone with the
// container's namespace and its other end with it (config-linux.md, Network Devices). Nobody keeps it.
func TestADeviceOfARuntimeThatIsKilled(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	p := newPlace(t)
	require.NoError(t, runtime.Subreaper())
	bundle := p.bundle(t, "true", func(s *specs.Spec) {
		s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"one": {Name: "eth7"}}
	})
	before := p.traces(t, bundle)
	for _, when := range []string{atStep, afterStep} {
		for n, how := 0, killed; how != notFound && (when == afterStep || how == killed); n++ {
			ip(t, "link", "add", "one", "type", "veth", "peer", "name", "peer1")
			how = die(t, n, when, p.dir, bundle)
			require.NoError(t, p.Delete(t.Context(), "k", true))
			before.none(t, fmt.Sprintf("SIGKILL %s step %d", when, n+1))
			here, there := false, false
			require.Eventually(t, func() bool { // the kernel takes its time to destroy a namespace
				links := ip(t, "-o", "link")
				here, there = strings.Contains(links, ": one@"), strings.Contains(links, ": peer1@")
				return here == there
			}, time.Minute, 10*time.Millisecond, "SIGKILL %s step %d", when, n+1)
			if here {
				ip(t, "link", "delete", "one")
			}
		}
	}
}
