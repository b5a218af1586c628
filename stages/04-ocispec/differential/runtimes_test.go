package differential

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// runtime is a program with runc's command line.
type runtime struct {
	name string
	argv []string
	root string // its state
}

// command is a call of the runtime: each has a state directory of its own.
func (r runtime) command(arg ...string) *exec.Cmd {
	argv := append(append([]string{}, r.argv...), "--root", r.root)
	argv = append(argv, arg...)
	return exec.Command(argv[0], argv[1:]...)
}

// call runs it and returns what it said, in one line.
func (r runtime) call(arg ...string) error {
	cmd := r.command(arg...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", r.name, arg[0], err, strings.TrimSpace(said.String()))
	}
	return nil
}

// observe makes a container of the case, looks at it from outside and from inside, and removes it. What a runtime
// refuses is a fact too: "refused".
func (r runtime) observe(t *testing.T, c testCase) Facts {
	t.Helper()
	b := newBundle(t, c)
	id := "diff-" + r.name + "-" + strconv.Itoa(os.Getpid())
	facts := Facts{}
	pidFile := filepath.Join(b.dir, "pid")
	if err := r.create(b, id, pidFile); err != nil {
		t.Logf("%v", err)
		facts["refused"] = "create"
		_ = r.call("delete", "--force", id) // nothing may be there
		return facts
	}
	defer func() { _ = r.call("delete", "--force", id) }()
	facts.cgroups(b.spec.Linux.CgroupsPath)
	text, err := os.ReadFile(pidFile)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	facts.fromOutside(pid)
	if err := r.call("start", id); err != nil {
		t.Logf("%v", err)
		facts["refused"] = "start"
		return facts
	}
	if c.exec != nil {
		facts.exec(t, r, b, id, c)
	}
	status := waitFor(t, pid)
	if status.Signaled() {
		facts["end"] = "signal " + status.Signal().String()
	} else {
		facts["end"] = "status " + strconv.Itoa(status.ExitStatus())
	}
	facts.merge(t, b.output(t), "")
	b.anonymous(facts, id)
	return facts
}

// create runs the runtime's create, with the container's streams in files.
func (r runtime) create(b *bundle, id, pidFile string) error {
	cmd := r.command("create", "--bundle", b.dir, "--pid-file", pidFile, id)
	out, err := os.OpenFile(b.out, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	in, err := os.Open(b.in)
	if err != nil {
		return err
	}
	defer in.Close()
	said, err := os.Create(filepath.Join(b.dir, "stderr"))
	if err != nil {
		return err
	}
	defer said.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, said
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		return fmt.Errorf("%s create: %w: %s", r.name, err, strings.TrimSpace(string(text)))
	}
	return nil
}

// exec runs the probe once more, beside the container's program, which waits for a file to appear.
func (f Facts) exec(t *testing.T, r runtime, b *bundle, id string, c testCase) {
	t.Helper()
	process := *c.exec
	process.Args = append(process.Args, probeArg, c.request())
	text, err := json.Marshal(process)
	require.NoError(t, err)
	path := filepath.Join(b.dir, "process.json")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	cmd := r.command("exec", "--process", path, id)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Logf("%s exec: %v: %s", r.name, err, said.String())
		f["exec refused"] = "exec"
	} else {
		f.merge(t, out.Bytes(), "exec ")
	}
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "rootfs/go-on"), nil, 0o644))
}

// merge adds what a probe has printed.
func (f Facts) merge(t *testing.T, out []byte, prefix string) {
	t.Helper()
	if len(bytes.TrimSpace(out)) == 0 {
		f[prefix+"probe"] = "silent"
		return
	}
	var seen Facts
	require.NoError(t, json.Unmarshal(out, &seen), string(out))
	for k, v := range seen {
		f[prefix+k] = v
	}
}

// fromOutside looks at a container that is created and not started.
func (f Facts) fromOutside(pid int) {
	dir := "/proc/" + strconv.Itoa(pid)
	f["created oom_score_adj"] = firstLines(dir + "/oom_score_adj")
	f["created uid_map"] = strings.Join(strings.Fields(firstLines(dir+"/uid_map")), " ")
	f["created gid_map"] = strings.Join(strings.Fields(firstLines(dir+"/gid_map")), " ")
	f["created setgroups"] = firstLines(dir + "/setgroups")
}

// waitFor waits for a container, whose parent this process is since its runtime left (PR_SET_CHILD_SUBREAPER). Others that runtimes
// have left behind are reaped too: while one of them is a zombie in the container's pid namespace, the container cannot end.
func waitFor(t *testing.T, pid int) unix.WaitStatus {
	t.Helper()
	var status unix.WaitStatus
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		switch n, err := unix.Wait4(-1, &status, unix.WNOHANG, nil); {
		case err == unix.EINTR:
		case err != nil:
			require.NoError(t, err, "wait for the container")
		case n == pid:
			return status
		case n == 0:
			time.Sleep(time.Millisecond)
		}
	}
	require.Fail(t, "the container does not end", firstLines(fmt.Sprintf("/proc/%d/stack", pid)))
	return status
}
