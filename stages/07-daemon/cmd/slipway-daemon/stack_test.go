package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// stack is the whole of our programs, in network and mount namespaces of their own.
type stack struct {
	t      *testing.T
	bin    string
	dir    string
	holder *exec.Cmd // keeps the namespaces
	cmd    *exec.Cmd
	http   http.Client
}

// newStack skips, with the reason, where the programs or the rights are missing.
func newStack(t *testing.T) *stack {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	bin, err := filepath.Abs("../../../../bin")
	require.NoError(t, err)
	for _, name := range []string{"slipway-daemon", "slipway-manager", "slipway-shim", "slipway-runtime", "slipway-toolbox"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			t.Skipf("needs bin/%s (make build)", name)
		}
	}
	dir, err := os.MkdirTemp("", "slipway-stack-")
	require.NoError(t, err)
	s := &stack{t: t, bin: bin, dir: dir}
	s.http.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", filepath.Join(dir, "api.sock"))
	}}
	s.holder = exec.Command("unshare", "--net", "--mount", "sh", "-c", "ip link set lo up && exec sleep 3600")
	s.holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	require.NoError(t, s.holder.Start())
	require.Eventually(t, func() bool { // it has moved to namespaces of its own
		own, err1 := os.Readlink("/proc/self/ns/mnt")
		its, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", s.holder.Process.Pid))
		return err1 == nil && err2 == nil && own != its
	}, 5*time.Second, time.Millisecond)
	t.Cleanup(s.end)
	s.start()
	return s
}

func (s *stack) start() {
	s.t.Helper()
	ns := fmt.Sprintf("/proc/%d/ns/", s.holder.Process.Pid)
	s.cmd = exec.Command("nsenter", "--net="+ns+"net", "--mount="+ns+"mnt", filepath.Join(s.bin, "slipway-daemon"),
		"-H", "unix://"+s.dir+"/api.sock", "--data-root", s.dir+"/data", "--exec-root", s.dir+"/run", "--config-file", "/dev/null")
	log, err := os.OpenFile(s.dir+"/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(s.t, err)
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	require.NoError(s.t, s.cmd.Start())
	for range 300 {
		if resp, err := s.http.Get("http://x/_ping"); err == nil {
			_ = resp.Body.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	text, _ := os.ReadFile(s.dir + "/log")
	s.t.Fatalf("the daemon does not answer; its log:\n%s", text)
}

// kill ends the daemon and, if asked, the manager, by SIGKILL.
func (s *stack) kill(managerToo bool) {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Kill())
	_ = s.cmd.Wait()
	if managerToo {
		require.NoError(s.t, unix.Kill(s.managerPid(), unix.SIGKILL))
	}
}

func (s *stack) managerPid() int {
	s.t.Helper()
	data, err := os.ReadFile(s.dir + "/run/manager/manager.pid")
	require.NoError(s.t, err)
	pid, err := strconv.Atoi(strings.Fields(string(data))[0])
	require.NoError(s.t, err)
	return pid
}

func (s *stack) end() {
	for _, id := range s.ids() {
		s.call("DELETE", "/containers/"+id+"?force=1", "")
	}
	_ = s.cmd.Process.Signal(unix.SIGTERM)
	_ = s.cmd.Wait()
	_ = s.holder.Process.Kill()
	_ = s.holder.Wait()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err == nil && strings.Contains(string(mounts), s.dir) {
		s.t.Errorf("mounts are left below %s", s.dir)
		return
	}
	if err := os.RemoveAll(s.dir); err != nil {
		s.t.Error(err)
	}
}

func (s *stack) ids() []string {
	_, text := s.call("GET", "/containers/json?all=1", "")
	var list []struct {
		ID string `json:"Id"`
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		s.t.Errorf("%s: %v", text, err)
	}
	var ids []string
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	return ids
}

func (s *stack) call(method, path, body string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://x"+path, strings.NewReader(body))
	require.NoError(s.t, err)
	resp, err := s.http.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, string(text)
}

func (s *stack) run(name, script string) {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"Image": "slipway/toolbox", "Cmd": []string{"sh", "-c", script}})
	require.NoError(s.t, err)
	status, text := s.call("POST", "/containers/create?name="+name, string(body))
	require.Equal(s.t, 201, status, text)
	status, text = s.call("POST", "/containers/"+name+"/start", "")
	require.Equal(s.t, 204, status, text)
}

func (s *stack) state(name string) (status string, code int) {
	s.t.Helper()
	var out struct {
		State struct {
			Status   string
			ExitCode int
		}
	}
	_, text := s.call("GET", "/containers/"+name+"/json", "")
	require.NoError(s.t, json.Unmarshal([]byte(text), &out), text)
	return out.State.Status, out.State.ExitCode
}

// The promise of the whole engine: kill -9 of anything loses nothing.
func TestKilledDaemonLosesNothing(t *testing.T) {
	s := newStack(t)
	s.run("counter", `i=0; while true; do echo "line $i"; i=$((i+1)); sleep 0.02; done`)
	s.run("ends", "sleep 0.6; exit 7")
	for round := range 3 {
		s.kill(round > 0)
		time.Sleep(300 * time.Millisecond)
		s.start()
		status, _ := s.state("counter")
		require.Equal(t, "running", status, "round %d", round)
	}
	require.Eventually(t, func() bool { status, _ := s.state("ends"); return status == "exited" }, 5*time.Second, 20*time.Millisecond)
	_, code := s.state("ends")
	require.Equal(t, 7, code, "it ended while nobody looked")

	status, text := s.call("POST", "/containers/counter/stop?t=0", "")
	require.Equal(t, 204, status, text)
	_, text = s.call("GET", "/containers/counter/logs?stdout=1", "")
	var want bytes.Buffer
	n := strings.Count(text, "\n")
	require.Greater(t, n, 30)
	for i := range n {
		line := fmt.Sprintf("line %d\n", i)
		want.Write([]byte{1, 0, 0, 0, 0, 0, 0, byte(len(line))})
		want.WriteString(line)
	}
	require.Equal(t, want.String(), text, "each line once, in order")
}
