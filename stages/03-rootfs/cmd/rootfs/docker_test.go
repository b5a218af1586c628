package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-engine/slipway/stages/03-rootfs/bundle"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// docker starts Debian's engine in namespaces of its own, which end with it, and gives a way to talk to it.
func docker(t *testing.T) func(args ...string) string {
	t.Helper()
	needsRoot(t)
	for _, name := range []string{"dockerd", "containerd", "docker"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip("needs " + name + " (Debian: docker.io)")
		}
	}
	dir, err := os.MkdirTemp("", "slipt") // short: it holds a socket
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	defer log.Close()
	host := "unix://" + filepath.Join(dir, "s")
	cmd := exec.CommandContext(t.Context(), "dockerd", "--data-root", filepath.Join(dir, "d"), "--exec-root", filepath.Join(dir, "x"), "-p", filepath.Join(dir, "pid"),
		"-H", host, "--iptables=false", "--ip-forward=false", "--bridge=none")
	cmd.Stdout, cmd.Stderr = log, log
	// No Pdeathsig: it is about the thread that starts the program, and threads with mount namespaces of their own end.
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET, Unshareflags: unix.CLONE_NEWNS}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // and with it all that is in its pid namespace
		require.Error(t, cmd.Wait())
	})
	talk := func(args ...string) ([]byte, error) {
		return exec.CommandContext(t.Context(), "docker", append([]string{"-H", host}, args...)...).CombinedOutput()
	}
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := talk("version"); err == nil {
			break
		}
		if time.Now().After(until) {
			text, err := os.ReadFile(log.Name())
			t.Skipf("needs a dockerd that starts here: %s", errors.Join(err, errors.New(string(text[max(0, len(text)-500):]))))
		}
	}
	return func(args ...string) string {
		t.Helper()
		out, err := talk(args...)
		require.NoError(t, err, "docker %v: %s", args, out)
		return string(out)
	}
}

// The whole way round, with other people's tools between: skopeo puts an image into a registry; we pull it, make a bundle, which runc
// runs; we repack it and push it; skopeo makes a docker-archive of it, and docker loads that and
// ours; what docker saves is read again.
func TestTheWholeWayRound(t *testing.T) {
	talk := docker(t)
	host, dir := serve(t), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	c := cli{t, t.TempDir()}
	c.must("import", saved(t))
	c.must("export", "--format", "oci-archive", "box:v1", at("first.tar"))
	tool(t, "skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", "oci-archive:"+at("first.tar"), "docker://"+host+"/box:v1")

	ours := cli{t, t.TempDir()}
	ours.must("pull", host+"/box:v1")
	ours.must("unpack", "--bundle", host+"/box:v1", at("bundle"))
	require.Equal(t, "hello\n", runBundle(t, at("bundle")))
	change(t, bundle.Rootfs(at("bundle")))
	ours.must("repack", at("bundle"), host+"/mine:v2")
	ours.must("push", host+"/mine:v2", host+"/mine:pushed")
	require.Contains(t, ours.must("ls"), host+"/mine:pushed", "a push to another name names it here")

	tool(t, "skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "docker://"+host+"/mine:pushed", "docker-archive:"+at("theirs.tar")+":theirs:v2")
	ours.must("export", "--format", "docker-archive", host+"/mine:v2", at("ours.tar"))
	talk("load", "-i", at("theirs.tar"))
	talk("load", "-i", at("ours.tar"))
	layers := func(ref string) string {
		return talk("image", "inspect", "-f", "{{.RootFS.Layers}} {{.Config.Cmd}}", ref)
	}
	require.Equal(t, layers("theirs:v2"), layers(host+"/mine:v2"))
	require.Contains(t, layers("theirs:v2"), "[cat /etc/hello]")

	talk("save", "-o", at("saved.tar"), host+"/mine:v2")
	again := cli{t, t.TempDir()}
	again.must("import", at("saved.tar"))
	require.Equal(t, "C /bin\nD /bin/cat\nA /dev\nA /dir\nC /etc\nC /etc/hello\nA /etc/new\nA /proc\nA /sys\n", again.must("diff", host+"/mine:v2"),
		"what was changed, and the directories that runc made to mount on")
	again.must("run", host+"/mine:v2", "sh", "-c", `[ "$(cat /etc/hello)" = changed ] && [ ! -e /bin/cat ]`)
	want, _ := ours.image(host + "/mine:v2")
	got, _ := again.image(host + "/mine:v2")
	require.Equal(t, want.DiffIDs, got.DiffIDs)
}

// runBundle runs a bundle with Debian's runc and gives what it prints.
func runBundle(t *testing.T, dir string) string {
	t.Helper()
	return tool(t, "runc", "--root", t.TempDir(), "run", "-b", dir, "slipway-test-"+strconv.Itoa(os.Getpid()))
}
