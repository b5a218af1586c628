//go:build interop

package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFlags(t *testing.T) {
	box, deb := theWorld.images.busybox, theWorld.images.debian
	shared := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(shared, "in"), []byte("from the host\n"), 0o644))
	rows := []struct {
		name string
		args []string
		want string
	}{
		{"-e", []string{"-e", "A=1 2", "-e", "B", box, "sh", "-c", `echo "$A|$B"`}, "1 2|of the client"},
		{"-w", []string{"-w", "/made/for/it", box, "pwd"}, "/made/for/it"},
		{"image's", []string{theWorld.images.redis, "sh", "-c", "pwd; echo $IMAGE_SAYS"}, "/srv\nhello"},
		{"-u by number", []string{"-u", "1234:77", box, "id"}, "uid=1234 gid=77 groups=77"},
		{"-u by name", []string{"-u", "www-data", deb, "id"}, "uid=33(www-data) gid=33(www-data) groups=33(www-data)"},
		{"-v read and write", []string{"-v", shared + ":/x", box, "sh", "-c", "cat /x/in; echo back >/x/out"}, "from the host"},
		{"-v read only", []string{"-v", shared + ":/x:ro", box, "sh", "-c", "echo no >/x/no 2>/dev/null || echo refused"}, "refused"},
		{"--entrypoint", []string{"--entrypoint", "echo", box, "from", "entrypoint"}, "from entrypoint"},
		{"--hostname", []string{"--hostname", "web", box, "sh", "-c", "hostname; grep -c web /etc/hosts"}, "web\n1"},
		{"--init", []string{"--init", box, "sh", "-c", "cat /proc/1/comm; [ $$ -gt 1 ] && echo its child"}, "docker-init\nits child"},
		{"process 1", []string{box, "sh", "-c", "echo $$"}, "1"},
		{"--network none", []string{"--network", "none", box, "sh", "-c", "ip -o link | wc -l; ping -c1 -W1 127.0.0.1 >/dev/null && echo lo"}, "1\nlo"},
		{"--network host", []string{"--network", "host", box, "sh", "-c", "readlink /proc/self/ns/net"}, hostNetns()},
		{"--read-only", []string{"--read-only", box, "sh", "-c", "touch /x 2>/dev/null || echo refused"}, "refused"},
		{"masked", []string{box, "sh", "-c", "cat /proc/keys | wc -c; echo x 2>/dev/null >/proc/sysrq-trigger || echo refused"}, "0\nrefused"},
		{"capabilities", []string{box, "sh", "-c", "grep CapBnd /proc/self/status"}, "CapBnd:\t00000000a80425fb"},
		{"--tmpfs", []string{"--tmpfs", "/scratch:size=1m", box, "sh", "-c", "df -k /scratch | awk 'END{print $2}'"}, "1024"},
		{"resolv.conf and hosts", []string{"--dns", "10.1.2.3", "--add-host", "store:10.9.8.7", box, "sh", "-c", "grep nameserver /etc/resolv.conf; grep store /etc/hosts"}, "nameserver 10.1.2.3\n10.9.8.7\tstore"},
	}
	t.Setenv("B", "of the client")
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			require.Equal(t, row.want, must(t, append([]string{"run", "--rm"}, row.args...)...))
		})
	}
	out, err := os.ReadFile(filepath.Join(shared, "out"))
	require.NoError(t, err)
	require.Equal(t, "back\n", string(out))
}

func hostNetns() string {
	link, err := os.Readlink("/proc/self/ns/net")
	check(err)
	return link
}

// TestLimits asks the host's side of the cgroup, in either version.
func TestLimits(t *testing.T) {
	n := name(t, "")
	must(t, "run", "-d", "--name", n, "--memory", "64m", "--cpus", "0.5", "--pids-limit", "40", theWorld.images.busybox, "sleep", "100")
	pid := must(t, "inspect", "-f", "{{.State.Pid}}", n)
	require.Equal(t, "67108864", cgroupValue(t, pid, "memory", "memory.limit_in_bytes", "memory.max"))
	require.Equal(t, "40", cgroupValue(t, pid, "pids", "pids.max", "pids.max"))
	quota := cgroupValue(t, pid, "cpu", "cpu.cfs_quota_us", "cpu.max")
	require.Contains(t, []string{"50000", "50000 100000"}, quota)
	forks := docker(t, "exec", n, "sh", "-c", "for i in $(seq 60); do sleep 5 & done")
	require.Contains(t, forks.err, "can't fork", "the limit of 40 processes")
}

// TestOutOfMemory: 137, and inspect says why.
func TestOutOfMemory(t *testing.T) {
	n := name(t, "")
	r := docker(t, "run", "--name", n, "--memory", "16m", "--memory-swap", "16m", theWorld.images.busybox, "sh", "-c", "exec tail /dev/zero")
	require.Equal(t, 137, r.code, r.String())
	require.Equal(t, "true", must(t, "inspect", "-f", "{{.State.OOMKilled}}", n))
}

// cgroupValue reads a file of the process's group: v1 by controller, or v2.
func cgroupValue(t *testing.T, pid, controller, v1, v2 string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/cgroup")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		path := filepath.Join("/sys/fs/cgroup", controller, parts[2], v1)
		if parts[1] == "" {
			path = filepath.Join("/sys/fs/cgroup", parts[2], v2)
		} else if parts[1] != controller {
			continue
		}
		if value, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(value))
		}
	}
	t.Fatalf("no %s group in %q", controller, text)
	return ""
}

// TestRedis: a server of Debian's package answers through a published port: on loopback, where the proxy serves it, on another
// address of the host, and over IPv6.
func TestRedis(t *testing.T) {
	n := name(t, "")
	must(t, "run", "-d", "--name", n, "-p", "6380:6379", theWorld.images.redis)
	ping := func(host string) error { return redisPing(host, "6380") }
	gateway := must(t, "inspect", "-f", "{{.NetworkSettings.Gateway}}", n)
	for _, host := range []string{"127.0.0.1", gateway, "::1"} {
		require.NoError(t, eventually(10*time.Second, func() error { return ping(host) }))
	}
	out, err := exec.Command("redis-cli", "-p", "6380", "SET", "k", "v").CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.Command("redis-cli", "-h", gateway, "-p", "6380", "GET", "k").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "v\n", string(out))
	require.Equal(t, "0.0.0.0:6380\n[::]:6380", must(t, "port", n, "6379"))

	other := docker(t, "run", "--rm", theWorld.images.busybox, "sh", "-c", "echo PING | nc -w2 "+gateway+" 6380")
	require.Equal(t, "+PONG", strings.TrimSpace(other.out), other.String())
	must(t, "stop", n)
	require.Error(t, ping("127.0.0.1"))
	must(t, "start", n)
	require.NoError(t, eventually(10*time.Second, func() error { return ping("127.0.0.1") }))
}

// redisPing asks from the host's side.
func redisPing(host, port string) error {
	out, err := exec.Command("redis-cli", "-h", host, "-p", port, "PING").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "PONG" {
		return fmt.Errorf("redis-cli -h %s -p %s PING: %w: %s", host, port, err, out)
	}
	return nil
}

// TestAnyPort: -p 80 takes a free one and says which.
func TestAnyPort(t *testing.T) {
	n := name(t, "")
	must(t, "run", "-d", "--name", n, "-p", "80", theWorld.images.busybox, "nc", "-ll", "-p", "80", "-e", "echo", "hello")
	host := strings.Split(must(t, "port", n, "80/tcp"), "\n")[0]
	_, port, err := net.SplitHostPort(host)
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	require.Greater(t, number, 1024)
	require.NoError(t, eventually(5*time.Second, func() error {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return err
		}
		defer c.Close()
		buf := make([]byte, 6)
		if _, err := c.Read(buf); err != nil {
			return err
		}
		if string(buf) != "hello\n" {
			return fmt.Errorf("got %q", buf)
		}
		return nil
	}))
}
