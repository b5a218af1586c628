package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func newDriver(t *testing.T, c Config) *Driver {
	t.Helper()
	shielded(t)
	if c.NetnsDir == "" {
		c.NetnsDir = t.TempDir()
	}
	c.IPForward = true
	d, err := New(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Remove(t.Context())) })
	return d
}

func attach(t *testing.T, d *Driver, r Request) *Endpoint {
	t.Helper()
	if r.Mode == "" {
		r.Mode = ModeBridge
	}
	e, err := d.Attach(t.Context(), r)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Detach(t.Context(), e)) })
	return e
}

// within runs fn in the endpoint's namespace. Sockets that fn makes stay there.
func within(t *testing.T, path string, fn func() error) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, onOwnThread(func() error { return insideNet(f, fn) }))
}

// serveIn answers every TCP connection in the namespace with the caller's address.
func serveIn(t *testing.T, path, addr string) {
	t.Helper()
	within(t, path, func() error {
		l, err := net.Listen("tcp4", addr)
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
				fmt.Fprint(c, host)
				_ = c.Close()
			}
		}()
		return nil
	})
}

// ask connects and returns what the server says: the address it sees.
func ask(addr string) (string, error) {
	c, err := net.DialTimeout("tcp4", addr, 2*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	return string(b), err
}

func askFrom(t *testing.T, path, addr string) (string, error) {
	t.Helper()
	var text string
	var err error
	within(t, path, func() error { text, err = ask(addr); return nil })
	return text, err
}

func id(n int) string { return strings.Repeat(fmt.Sprintf("%x", n%16), 64) }

func TestNftTextIsWhatTheKernelHolds(t *testing.T) {
	d := newDriver(t, Config{})
	e := attach(t, d, Request{ContainerID: id(1), Name: "web", Ports: []PortBinding{
		{Proto: TCP, HostPort: 8080, ContainerPort: 80},
		{Proto: UDP, HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 5353, ContainerPort: 53},
	}})
	out, err := exec.Command("nft", "list", "table", "ip", "slipway").CombinedOutput()
	require.NoError(t, err, string(out))
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") } // nft breaks lines by its own rules
	require.Equal(t, words(PlanRules(d.cfg, []*Endpoint{e}).String()), words(string(out)))
}

func TestTwoContainersTalk(t *testing.T) {
	d := newDriver(t, Config{Pool: 2})
	a := attach(t, d, Request{ContainerID: id(1), Name: "a"})
	b := attach(t, d, Request{ContainerID: id(2), Name: "b"})
	require.Equal(t, "172.18.0.2/16", a.IPv4.String())
	require.Equal(t, "172.18.0.3/16", b.IPv4.String())
	require.Equal(t, "02:42:ac:12:00:03", b.MAC)
	require.NoError(t, run("nsenter", "--net="+a.NetnsPath, "busybox", "ping", "-c3", "-W1", b.IPv4.Addr().String()))
	serveIn(t, b.NetnsPath, ":80")
	got, err := askFrom(t, a.NetnsPath, b.IPv4.Addr().String()+":80")
	require.NoError(t, err)
	require.Equal(t, a.IPv4.Addr().String(), got)
}

// neighbour is another machine on the host's outside link: host 10.9.0.1, neighbour 10.9.0.2.
func neighbour(t *testing.T) string {
	t.Helper()
	h, err := newHands()
	require.NoError(t, err)
	t.Cleanup(h.close)
	path := t.TempDir() + "/neighbour"
	require.NoError(t, h.carryOut(append(PlanNamespace(), Step{Host, Pin{path}, ""})))
	t.Cleanup(func() { require.NoError(t, unpin(path)) })
	require.NoError(t, run("ip", "link", "add", "out0", "type", "veth", "peer", "name", "up0"))
	t.Cleanup(func() { require.NoError(t, run("ip", "link", "del", "out0")) })
	ns := fmt.Sprintf("--net=%s", path)
	require.NoError(t, run("sh", "-c", "ip addr add 10.9.0.1/24 dev out0 && ip link set out0 up"))
	up0, err := h.host.LinkByName("up0")
	require.NoError(t, err)
	require.NoError(t, h.host.LinkSetNsFd(up0, int(h.ns.Fd())))
	require.NoError(t, run("nsenter", ns, "sh", "-c", "ip addr add 10.9.0.2/24 dev up0 && ip link set up0 up"))
	return path
}

func TestPublishedPort(t *testing.T) {
	d := newDriver(t, Config{})
	outside := neighbour(t)
	web := attach(t, d, Request{ContainerID: id(1), Name: "web", Ports: []PortBinding{{Proto: TCP, HostPort: 8080, ContainerPort: 80}}})
	other := attach(t, d, Request{ContainerID: id(2), Name: "other"})
	serveIn(t, web.NetnsPath, ":80")
	rows := []struct{ name, from, to, seen string }{
		{"a neighbour is seen with its own address", outside, "10.9.0.1:8080", "10.9.0.2"},
		{"a container by the host's address", other.NetnsPath, "10.9.0.1:8080", "172.18.0.1"},
		{"a container by the gateway's address", other.NetnsPath, "172.18.0.1:8080", "172.18.0.1"},
		{"the container itself by the host's address", web.NetnsPath, "10.9.0.1:8080", "172.18.0.1"},
		{"a container by the container's address", other.NetnsPath, "172.18.0.2:80", "172.18.0.3"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got, err := askFrom(t, row.from, row.to)
			require.NoError(t, err)
			require.Equal(t, row.seen, got)
		})
	}
	t.Run("the host by its own address", func(t *testing.T) {
		got, err := ask("10.9.0.1:8080")
		require.NoError(t, err)
		require.Equal(t, "10.9.0.1", got)
	})
	t.Run("gone after Detach", func(t *testing.T) {
		require.NoError(t, d.Detach(t.Context(), web))
		_, err := askFrom(t, outside, "10.9.0.1:8080")
		require.ErrorContains(t, err, "refused")
	})
}

func TestLeavingIsMasqueraded(t *testing.T) {
	d := newDriver(t, Config{})
	outside := neighbour(t)
	e := attach(t, d, Request{ContainerID: id(1), Name: "a"})
	serveIn(t, outside, ":80")
	got, err := askFrom(t, e.NetnsPath, "10.9.0.2:80")
	require.NoError(t, err)
	require.Equal(t, "10.9.0.1", got)
}

func TestNeighbourReachesNothingUnpublished(t *testing.T) {
	d := newDriver(t, Config{})
	outside := neighbour(t)
	e := attach(t, d, Request{ContainerID: id(1), Name: "a", Ports: []PortBinding{
		{Proto: TCP, HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 8080, ContainerPort: 80},
	}})
	serveIn(t, e.NetnsPath, ":80")
	// the worst host: it routes loopback, and the neighbour knows the way to the subnet
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/conf/all/route_localnet", []byte("1"), 0))
	t.Cleanup(func() {
		require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/conf/all/route_localnet", []byte("0"), 0))
	})
	ns := "--net=" + outside
	require.NoError(t, run("nsenter", ns, "ip", "route", "add", "172.18.0.0/16", "via", "10.9.0.1"))
	require.NoError(t, run("nsenter", ns, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via 10.9.0.1 dev up0 src 10.9.0.2"))
	serveHost(t, "127.0.0.1:8080")
	for _, to := range []string{"172.18.0.2:80", "127.0.0.1:8080"} {
		_, err := askFrom(t, outside, to)
		require.ErrorContains(t, err, "timeout", to)
	}
	// and it is the rules that do it
	require.NoError(t, run("nft", "flush", "chain", "ip", "slipway", "guard"))
	require.NoError(t, run("nft", "flush", "chain", "ip", "slipway", "forward"))
	for _, to := range []string{"172.18.0.2:80", "127.0.0.1:8080"} {
		_, err := askFrom(t, outside, to)
		require.NoError(t, err, to)
	}
}

// serveHost listens on the host's side, in the place of slipway-proxy.
func serveHost(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp4", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "host")
			_ = c.Close()
		}
	}()
}

func TestPortConflicts(t *testing.T) {
	d := newDriver(t, Config{})
	web := func(n int) Request {
		return Request{ContainerID: id(n), Name: "web", Mode: ModeBridge, Ports: []PortBinding{{Proto: TCP, HostPort: 8080, ContainerPort: 80}}}
	}
	t.Run("with a container", func(t *testing.T) {
		attach(t, d, web(1))
		_, err := d.Attach(t.Context(), web(2))
		require.ErrorIs(t, err, ErrPortInUse)
		require.Regexp(t, `^driver failed programming external connectivity on endpoint web \([0-9a-f]{64}\): Bind for 0\.0\.0\.0:8080 failed: port is already allocated$`, err.Error())
	})
	t.Run("with somebody else", func(t *testing.T) {
		l, err := net.Listen("tcp4", "0.0.0.0:8080")
		require.NoError(t, err)
		defer l.Close()
		_, err = d.Attach(t.Context(), web(3))
		require.ErrorIs(t, err, ErrPortInUse)
		require.Regexp(t, `: failed to bind host port for 0\.0\.0\.0:8080:172\.18\.0\.\d+:80/tcp: address already in use$`, err.Error())
	})
	t.Run("free again", func(t *testing.T) {
		attach(t, d, web(4))
	})
}

func TestNone(t *testing.T) {
	d := newDriver(t, Config{})
	e := attach(t, d, Request{ContainerID: id(1), Name: "alone", Mode: ModeNone})
	require.NoError(t, run("nsenter", "--net="+e.NetnsPath, "busybox", "ping", "-c1", "-W2", "127.0.0.1"))
	out, err := exec.Command("nsenter", "--net="+e.NetnsPath, "ip", "-o", "link").Output()
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(out), "\n"), string(out))
}

// TestLack: on a kernel without bridges or nftables the other modes work, and the refusal says why.
func TestLack(t *testing.T) {
	d := newDriver(t, Config{})
	d.lack = errors.New("no bridge network: this kernel has no nftables")
	_, err := d.Attach(t.Context(), Request{ContainerID: id(1), Mode: ModeBridge})
	require.ErrorIs(t, err, d.lack)
	e, err := d.Attach(t.Context(), Request{ContainerID: id(2), Mode: ModeNone})
	require.NoError(t, err)
	require.NoError(t, d.Reconcile(t.Context(), []*Endpoint{e}))
	require.FileExists(t, e.NetnsPath)
	require.NoError(t, d.Detach(t.Context(), e))
}

func TestNoIPv6AddressInside(t *testing.T) {
	d := newDriver(t, Config{})
	e := attach(t, d, Request{ContainerID: id(1), Name: "a"})
	out, err := exec.Command("nsenter", "--net="+e.NetnsPath, "ip", "-6", "-o", "addr", "show", "dev", "eth0").Output()
	require.NoError(t, err)
	require.Empty(t, string(out), "CVE-2024-32473")
	out, err = exec.Command("ip", "-6", "-o", "addr", "show", "dev", e.Link).Output()
	require.NoError(t, err)
	require.Empty(t, string(out))
}

// TestHelperCrash is the driver that dies: it attaches three containers, detaches none, prints their endpoints and is killed.
func TestHelperCrash(t *testing.T) {
	dir := os.Getenv("SLIPWAY_CRASH_DIR")
	if dir == "" {
		t.Skip("needs TestReconcileAfterCrash, which runs it as its child")
	}
	d, err := New(t.Context(), Config{NetnsDir: dir, Pool: 2})
	require.NoError(t, err)
	var all []*Endpoint
	for n := 1; n <= 3; n++ {
		e, err := d.Attach(t.Context(), Request{
			ContainerID: id(n), Name: "c", Mode: ModeBridge,
			Ports: []PortBinding{{Proto: TCP, HostPort: uint16(8080 + n), ContainerPort: 80}},
		})
		require.NoError(t, err)
		all = append(all, e)
	}
	text, err := json.Marshal(all)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(dir+".json", text, 0o600))
	for len(d.pool.ready) < 2 {
		time.Sleep(time.Millisecond)
	}
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
}

func TestReconcileAfterCrash(t *testing.T) {
	shielded(t)
	dir := t.TempDir() + "/netns"
	dead := exec.Command("/proc/self/exe", "-test.run=^TestHelperCrash$")
	dead.Env = append(os.Environ(), "SLIPWAY_CRASH_DIR="+dir)
	out, err := dead.CombinedOutput()
	require.ErrorContains(t, err, "killed", string(out))
	text, err := os.ReadFile(dir + ".json")
	require.NoError(t, err)
	var all []*Endpoint
	require.NoError(t, json.Unmarshal(text, &all))

	d := newDriver(t, Config{NetnsDir: dir})
	kept := all[1] // the engine had recorded only the second
	serveIn(t, kept.NetnsPath, ":80")
	answers := func() {
		got, err := ask("172.18.0.1:8082")
		require.NoError(t, err)
		require.NotEmpty(t, got)
	}
	answers() // New alone breaks nothing
	require.NoError(t, d.Reconcile(t.Context(), []*Endpoint{kept}))
	answers()

	h, err := newHands()
	require.NoError(t, err)
	defer h.close()
	require.Eventually(t, func() bool { // the pool's namespaces die by themselves
		f, err := d.find(h)
		return err == nil && len(f.Links) == 1
	}, 5*time.Second, 10*time.Millisecond)
	found, err := d.find(h)
	require.NoError(t, err)
	require.Equal(t, Found{Links: map[string]string{kept.Link: id(2)}, Pins: []string{kept.NetnsPath}}, found)
	list, err := exec.Command("nft", "list", "table", "ip", "slipway").Output()
	require.NoError(t, err)
	require.NotContains(t, string(list), "8081")
	require.Contains(t, string(list), "tcp . 8082 : 172.18.0.3 . 80")

	again := attach(t, d, Request{ContainerID: id(4), Name: "new", Ports: []PortBinding{{Proto: TCP, HostPort: 8081, ContainerPort: 80}}})
	require.Equal(t, "172.18.0.2/16", again.IPv4.String())
	_, err = d.Attach(t.Context(), Request{ContainerID: id(5), Name: "x", Mode: ModeBridge, Ports: []PortBinding{{Proto: TCP, HostPort: 8082, ContainerPort: 80}}})
	require.ErrorIs(t, err, ErrPortInUse)
	require.NoError(t, d.Detach(t.Context(), kept))
	require.NoError(t, d.Detach(t.Context(), kept), "twice is as good as once")
}

// TestFlushedTable: somebody reloads the host's firewall; the next change puts ours back whole.
func TestFlushedTable(t *testing.T) {
	d := newDriver(t, Config{})
	attach(t, d, Request{ContainerID: id(1), Name: "a", Ports: []PortBinding{{Proto: TCP, HostPort: 8081, ContainerPort: 80}}})
	require.NoError(t, run("nft", "flush", "ruleset"))
	attach(t, d, Request{ContainerID: id(2), Name: "b", Ports: []PortBinding{{Proto: TCP, HostPort: 8082, ContainerPort: 80}}})
	list, err := exec.Command("nft", "list", "table", "ip", "slipway").Output()
	require.NoError(t, err)
	require.Contains(t, string(list), "tcp . 8081 : 172.18.0.2 . 80")
	require.Contains(t, string(list), "tcp . 8082 : 172.18.0.3 . 80")
}

func BenchmarkAttachDetach(b *testing.B) {
	if os.Getenv("SLIPWAY_SHIELD") == "" {
		b.Skip("needs root, for a network namespace of its own")
	}
	d, err := New(b.Context(), Config{NetnsDir: b.TempDir(), Pool: 3})
	require.NoError(b, err)
	defer d.Remove(b.Context())
	var up, down time.Duration
	for n := 0; b.Loop(); n++ {
		time.Sleep(40 * time.Millisecond) // the pool fills while a container runs
		start := time.Now()
		e, err := d.Attach(b.Context(), Request{ContainerID: id(n), Name: "c", Mode: ModeBridge})
		require.NoError(b, err)
		up += time.Since(start)
		start = time.Now()
		require.NoError(b, d.Detach(b.Context(), e))
		down += time.Since(start)
	}
	b.ReportMetric(float64(up.Microseconds())/float64(b.N), "µs/attach")
	b.ReportMetric(float64(down.Microseconds())/float64(b.N), "µs/detach")
}
