package main

import (
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestMain is the program when a test runs it as such.
func TestMain(m *testing.M) {
	switch os.Getenv("PROXY_AS_PROGRAM") {
	case "1":
		main()
	case "parent": // starts the proxy and is killed
		_ = os.Setenv("PROXY_AS_PROGRAM", "1")
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.ExtraFiles = []*os.File{os.NewFile(3, "ready")}
		_ = cmd.Start()
		time.Sleep(time.Hour)
	default:
		os.Exit(m.Run())
	}
}

// start runs the program and returns what it reports on descriptor 3.
func start(t *testing.T, as string, args ...string) (*exec.Cmd, string) {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), "PROXY_AS_PROGRAM="+as)
	cmd.ExtraFiles = []*os.File{w}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	require.NoError(t, w.Close())
	if as == "parent" { // it keeps the pipe open: one line is all there will be
		line := make([]byte, 2)
		_, err = io.ReadFull(r, line)
		require.NoError(t, err)
		return cmd, string(line)
	}
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	return cmd, string(text)
}

// freePort is a port that nobody listens on just now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func hello(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("hello"))
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

func ask(t *testing.T, addr string) string {
	t.Helper()
	c, err := net.Dial("tcp4", addr)
	require.NoError(t, err)
	defer c.Close()
	text, err := io.ReadAll(c)
	require.NoError(t, err)
	return string(text)
}

func TestReadyAndServe(t *testing.T) {
	host, backend := freePort(t), hello(t)
	hostIP, hostPort, _ := net.SplitHostPort(host)
	ip, port, _ := net.SplitHostPort(backend)
	for name, args := range map[string][]string{
		"ours":           {"--publish", "tcp:" + host + ":" + backend},
		"docker-proxy's": {"-proto", "tcp", "-host-ip", hostIP, "-host-port", hostPort, "-container-ip", ip, "-container-port", port},
	} {
		t.Run(name, func(t *testing.T) {
			cmd, report := start(t, "1", args...)
			require.Equal(t, "0\n", report)
			require.Equal(t, "hello", ask(t, host))
			require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
			require.NoError(t, cmd.Wait(), "an orderly end is no failure")
		})
	}
}

func TestReportsWhatIsWrong(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	addr := l.Addr().String()
	rows := []struct {
		name string
		args []string
		want string
	}{
		{"port in use", []string{"--publish", "tcp:" + addr + ":172.18.0.2:80"}, "1\nfailed to bind host port for " + addr + ":172.18.0.2:80/tcp: address already in use"},
		{"no port", nil, "1\ninvalid port specification: no port named; see --help"},
		{"sctp", []string{"-proto", "sctp", "-host-ip", "0.0.0.0", "-host-port", "1", "-container-ip", "172.18.0.2", "-container-port", "1"}, "1\ninvalid port specification: protocol \"sctp\", want tcp or udp"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			cmd, report := start(t, "1", row.args...)
			require.Equal(t, row.want, report)
			require.Error(t, cmd.Wait())
		})
	}
}

// TestEndsWithItsParent: nobody is left holding a port that no one supervises.
func TestEndsWithItsParent(t *testing.T) {
	host, backend := freePort(t), hello(t)
	parent, report := start(t, "parent", "--publish", "tcp:"+host+":"+backend)
	require.Equal(t, "0\n", report)
	require.Equal(t, "hello", ask(t, host))
	require.NoError(t, parent.Process.Kill())
	require.Eventually(t, func() bool {
		_, err := net.Dial("tcp4", host)
		return err != nil && strings.Contains(err.Error(), "refused")
	}, 5*time.Second, 10*time.Millisecond)
}

// TestListenFD: dockerd may open the socket itself.
func TestListenFD(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	f, err := l.(*net.TCPListener).File()
	require.NoError(t, err)
	require.NoError(t, unix.SetNonblock(int(f.Fd()), true))
	ip, port, _ := net.SplitHostPort(hello(t))
	hostIP, hostPort, _ := net.SplitHostPort(l.Addr().String())
	r, w, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.Command("/proc/self/exe", "-use-listen-fd", "-host-ip", hostIP, "-host-port", hostPort, "-container-ip", ip, "-container-port", port)
	cmd.Env = append(os.Environ(), "PROXY_AS_PROGRAM=1")
	cmd.ExtraFiles = []*os.File{w, f}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	require.NoError(t, w.Close())
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "0\n", string(text))
	require.NoError(t, l.Close())
	require.Equal(t, "hello", ask(t, l.Addr().String()))
}
