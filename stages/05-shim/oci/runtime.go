// Package oci runs an OCI runtime program through runc's command line: the shim's only way to touch
// a container, so that runc, crun and slipway-runtime can take each other's place.
package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/slipway-engine/slipway/stages/05-shim/reap"
)

// Runtime is a runtime program with its global options.
type Runtime struct {
	Program       string // name or path
	Root          string // --root: where it keeps its containers
	SystemdCgroup bool
	Debug         bool
	OffPath       bool // it never asks for its own path, so it may be executed by a descriptor
	Reaper        *reap.Reaper
}

// CreateOptions are create's flags beside the bundle.
type CreateOptions struct {
	PidFile       string
	ConsoleSocket string
	NoPivot       bool
	NoNewKeyring  bool
	Stdio         Stdio
}

// Stdio is what the container inherits through the runtime; nil is /dev/null.
type Stdio struct{ In, Out, Err *os.File }

// Create makes the container and leaves its first process waiting for Start.
func (r *Runtime) Create(id, bundle string, o CreateOptions) error {
	args := []string{"create", "--bundle", bundle, "--pid-file", o.PidFile}
	if o.ConsoleSocket != "" {
		args = append(args, "--console-socket", o.ConsoleSocket)
	}
	if o.NoPivot {
		args = append(args, "--no-pivot")
	}
	if o.NoNewKeyring {
		args = append(args, "--no-new-keyring")
	}
	return r.run(call{log: r.log(bundle), args: append(args, id), stdio: o.Stdio, shown: true})
}

// Start lets the container's first process become the user's program.
func (r *Runtime) Start(id, bundle string) error {
	return r.run(call{log: r.log(bundle), args: []string{"start", id}})
}

// ExecOptions describe another process in a container.
type ExecOptions struct {
	LogFile       string // of this exec alone: several may run at once
	ProcessFile   string // the process as runtime-spec JSON
	PidFile       string
	ConsoleSocket string
	Stdio         Stdio
}

// Exec starts another process in the container and leaves it running.
func (r *Runtime) Exec(id string, o ExecOptions) error {
	args := []string{"exec", "--process", o.ProcessFile, "--detach", "--pid-file", o.PidFile}
	if o.ConsoleSocket != "" {
		args = append(args, "--console-socket", o.ConsoleSocket)
	}
	return r.run(call{log: o.LogFile, args: append(args, id), stdio: o.Stdio, shown: true})
}

// Kill sends a signal to the container's first process, or to all of its processes.
func (r *Runtime) Kill(id, bundle string, signal uint32, all bool) error {
	args := []string{"kill"}
	if all {
		args = append(args, "--all")
	}
	return r.run(call{log: r.log(bundle), args: append(args, id, strconv.Itoa(int(signal)))})
}

// Delete removes the container. With force it is killed first, and one that is not there is fine.
func (r *Runtime) Delete(id, bundle string, force bool) error {
	args := []string{"delete"}
	if force {
		args = append(args, "--force")
	}
	return r.run(call{log: r.log(bundle), args: append(args, id)})
}

// Pause freezes the container's processes.
func (r *Runtime) Pause(id, bundle string) error {
	return r.run(call{log: r.log(bundle), args: []string{"pause", id}})
}

// Resume lets them go on.
func (r *Runtime) Resume(id, bundle string) error {
	return r.run(call{log: r.log(bundle), args: []string{"resume", id}})
}

// Update changes the container's budget; resources is runtime-spec LinuxResources as JSON.
func (r *Runtime) Update(id, bundle string, resources []byte) error {
	return r.run(call{log: r.log(bundle), args: []string{"update", "--resources", "-", id}, input: resources})
}

// Pids lists the container's processes by their pids outside.
func (r *Runtime) Pids(id, bundle string) (pids []int, err error) {
	var out bytes.Buffer
	err = r.run(call{log: r.log(bundle), args: []string{"ps", "--format", "json", id}, output: &out})
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(out.Bytes(), &pids); err != nil {
		return nil, fmt.Errorf("%s ps: %w", r.Program, err)
	}
	return pids, nil
}

// Features is the runtime's description of itself (runtime-spec, features.md).
func (r *Runtime) Features() ([]byte, error) {
	var out bytes.Buffer
	err := r.run(call{args: []string{"features"}, output: &out})
	return out.Bytes(), err
}

func (r *Runtime) log(bundle string) string { return filepath.Join(bundle, "log.json") }

// call is one run of the program.
type call struct {
	log    string
	args   []string
	stdio  Stdio
	input  []byte        // stdin when stdio has none
	output *bytes.Buffer // stdout when it is wanted here
	shown  bool          // a process in the container may see the program as its own
}

func (r *Runtime) globals(c call) (args []string) {
	if r.Root != "" {
		args = append(args, "--root", r.Root)
	}
	if r.Debug {
		args = append(args, "--debug")
	}
	if c.log != "" {
		args = append(args, "--log", c.log, "--log-format", "json")
	}
	if r.SystemdCgroup {
		args = append(args, "--systemd-cgroup")
	}
	return append(args, c.args...)
}

// waitDelay bounds the wait for output that a grandchild of the runtime keeps open.
const waitDelay = 2 * time.Second

func (r *Runtime) run(c call) error {
	defer r.Reaper.Launching()() // os/exec waits for this child itself
	cmd := exec.Command(r.Program, r.globals(c)...)
	cmd.WaitDelay = waitDelay
	cmd.Env = append(os.Environ(), "GOMAXPROCS=2") // a runtime is short-lived; more threads only cost
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if c.input != nil {
		cmd.Stdin = bytes.NewReader(c.input)
	}
	if c.output != nil {
		cmd.Stdout = c.output
	}
	c.stdio.give(cmd)
	if c.shown && r.OffPath {
		defer throughView(cmd)()
	}
	from := size(c.log)
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return &Error{Verb: c.args[0], Message: message(c.log, from, stderr.Bytes()), Err: err}
	}
	return nil
}

// give passes the container's stdio. *os.File values are inherited as they are: os/exec copies nothing.
func (s Stdio) give(cmd *exec.Cmd) {
	if s.In != nil {
		cmd.Stdin = s.In
	}
	if s.Out != nil {
		cmd.Stdout = s.Out
	}
	if s.Err != nil {
		cmd.Stderr = s.Err
	}
}
