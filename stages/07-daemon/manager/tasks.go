package manager

import (
	"context"
	"encoding/json"
	"time"

	"github.com/containerd/containerd/api/services/containers/v1"
	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// ShimRuntime is the runtime name of tasks; the OCI runtime's program travels in its options.
const ShimRuntime = "io.containerd.runc.v2"

// Stdio are the URIs of a process's streams (docs/boundaries.md); empty ones are /dev/null.
type Stdio struct {
	Stdin, Stdout, Stderr string
	Terminal              bool
}

// Launch is everything a task is made of.
type Launch struct {
	ID      string
	Image   string
	Runtime string // program of the OCI runtime; empty: the shim's own default
	Spec    *specs.Spec
	Stdio   Stdio
}

// Exit is how a process ended.
type Exit struct {
	Code int
	At   time.Time
}

// Task is what the manager knows about a running or ended init process.
type Task struct {
	ID      string
	Pid     int
	Running bool // created, running, pausing or paused: it has not ended
	Created bool // made but never started
	Paused  bool
	Exit    Exit // of one that has ended
}

// CreateTask stores the container and makes its task; the root file system is the snapshot named by the id.
func (c *Client) CreateTask(ctx context.Context, l Launch) (int, error) {
	opts, err := runtimeOptions(l.Runtime)
	if err != nil {
		return 0, err
	}
	if err := c.storeContainer(ctx, l, opts); err != nil {
		return 0, err
	}
	rootfs, err := c.Mounts(ctx, l.ID)
	if err != nil {
		return 0, err
	}
	resp, err := c.Tasks.Create(ctx, &tasks.CreateTaskRequest{
		ContainerID: l.ID, Rootfs: rootfs, Options: opts, Terminal: l.Stdio.Terminal,
		Stdin: l.Stdio.Stdin, Stdout: l.Stdio.Stdout, Stderr: l.Stdio.Stderr,
	})
	if err != nil {
		return 0, err
	}
	return int(resp.GetPid()), nil
}

func runtimeOptions(program string) (*anypb.Any, error) {
	if program == "" {
		return nil, nil
	}
	return packed(&options.Options{BinaryName: program})
}

// packed makes an Any whose type URL is the bare message name, as typeurl does and containerd expects.
func packed(m proto.Message) (*anypb.Any, error) {
	value, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return &anypb.Any{TypeUrl: string(m.ProtoReflect().Descriptor().FullName()), Value: value}, nil
}

// packedJSON makes an Any of one of runtime-spec's JSON types; typeurl names them by their path.
func packedJSON(name string, v any) (*anypb.Any, error) {
	value, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return &anypb.Any{TypeUrl: "types.containerd.io/opencontainers/runtime-spec/1/" + name, Value: value}, nil
}

// storeContainer replaces what an earlier start stored under this id.
func (c *Client) storeContainer(ctx context.Context, l Launch, opts *anypb.Any) error {
	spec, err := packedJSON("Spec", l.Spec)
	if err != nil {
		return err
	}
	req := &containers.CreateContainerRequest{Container: &containers.Container{
		ID: l.ID, Image: l.Image, Spec: spec, Snapshotter: c.Snapshotter, SnapshotKey: l.ID,
		Runtime: &containers.Container_Runtime{Name: ShimRuntime, Options: opts},
	}}
	_, err = c.Containers.Create(ctx, req)
	if !errdefs.IsAlreadyExists(err) {
		return err
	}
	if err := c.DeleteContainer(ctx, l.ID); err != nil {
		return err
	}
	_, err = c.Containers.Create(ctx, req)
	return err
}

// DeleteContainer removes the stored container; one that is not there is fine.
func (c *Client) DeleteContainer(ctx context.Context, id string) error {
	_, err := c.Containers.Delete(ctx, &containers.DeleteContainerRequest{ID: id})
	return unlessNotFound(err)
}

// StartTask starts the created init process, or with an exec id that process, and returns its pid.
func (c *Client) StartTask(ctx context.Context, id, execID string) (int, error) {
	resp, err := c.Tasks.Start(ctx, &tasks.StartRequest{ContainerID: id, ExecID: execID})
	return int(resp.GetPid()), err
}

// Exec adds a process to a running task; StartTask starts it.
func (c *Client) Exec(ctx context.Context, id, execID string, p *specs.Process, io Stdio) error {
	spec, err := packedJSON("Process", p)
	if err != nil {
		return err
	}
	_, err = c.Tasks.Exec(ctx, &tasks.ExecProcessRequest{
		ContainerID: id, ExecID: execID, Spec: spec, Terminal: io.Terminal,
		Stdin: io.Stdin, Stdout: io.Stdout, Stderr: io.Stderr,
	})
	return err
}

// Wait returns when the process has ended. It waits through restarts of the manager.
func (c *Client) Wait(ctx context.Context, id, execID string) (Exit, error) {
	for {
		resp, err := c.Tasks.Wait(ctx, &tasks.WaitRequest{ContainerID: id, ExecID: execID})
		if err == nil {
			return Exit{Code: int(resp.GetExitStatus()), At: resp.GetExitedAt().AsTime()}, nil
		}
		if ctx.Err() != nil || !errdefs.IsUnavailable(err) {
			return Exit{}, err
		}
		select { // the connection broke in the middle; WaitForReady holds the next call until there is a new one
		case <-ctx.Done():
			return Exit{}, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// DeleteTask removes an ended task with what the shim holds for it.
func (c *Client) DeleteTask(ctx context.Context, id string) (Exit, error) {
	resp, err := c.Tasks.Delete(ctx, &tasks.DeleteTaskRequest{ContainerID: id})
	return Exit{Code: int(resp.GetExitStatus()), At: resp.GetExitedAt().AsTime()}, err
}

// DeleteProcess removes an ended exec.
func (c *Client) DeleteProcess(ctx context.Context, id, execID string) error {
	_, err := c.Tasks.DeleteProcess(ctx, &tasks.DeleteProcessRequest{ContainerID: id, ExecID: execID})
	return unlessNotFound(err)
}

// Kill sends a signal to the init process, to an exec, or to everything in the container.
func (c *Client) Kill(ctx context.Context, id, execID string, signal int, all bool) error {
	_, err := c.Tasks.Kill(ctx, &tasks.KillRequest{ContainerID: id, ExecID: execID, Signal: uint32(signal), All: all})
	return err
}

// Resize sets the size of a process's terminal.
func (c *Client) Resize(ctx context.Context, id, execID string, width, height uint32) error {
	_, err := c.Tasks.ResizePty(ctx, &tasks.ResizePtyRequest{ContainerID: id, ExecID: execID, Width: width, Height: height})
	return err
}

// CloseStdin tells the shim that no more input comes.
func (c *Client) CloseStdin(ctx context.Context, id, execID string) error {
	_, err := c.Tasks.CloseIO(ctx, &tasks.CloseIORequest{ContainerID: id, ExecID: execID, Stdin: true})
	return unlessNotFound(err)
}

// Pause freezes all processes of the container.
func (c *Client) Pause(ctx context.Context, id string) error {
	_, err := c.Tasks.Pause(ctx, &tasks.PauseTaskRequest{ContainerID: id})
	return err
}

// Resume thaws them.
func (c *Client) Resume(ctx context.Context, id string) error {
	_, err := c.Tasks.Resume(ctx, &tasks.ResumeTaskRequest{ContainerID: id})
	return err
}

// Pids lists the processes in the container, as the host numbers them.
func (c *Client) Pids(ctx context.Context, id string) ([]int, error) {
	resp, err := c.Tasks.ListPids(ctx, &tasks.ListPidsRequest{ContainerID: id})
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, p := range resp.GetProcesses() {
		pids = append(pids, int(p.GetPid()))
	}
	return pids, nil
}

// UpdateResources changes the limits of a running container.
func (c *Client) UpdateResources(ctx context.Context, id string, r *specs.LinuxResources) error {
	res, err := packedJSON("LinuxResources", r)
	if err != nil {
		return err
	}
	_, err = c.Tasks.Update(ctx, &tasks.UpdateTaskRequest{ContainerID: id, Resources: res})
	return err
}

// ListTasks returns every task of our namespace.
func (c *Client) ListTasks(ctx context.Context) ([]Task, error) {
	resp, err := c.Tasks.List(ctx, &tasks.ListTasksRequest{})
	if err != nil {
		return nil, err
	}
	var all []Task
	for _, p := range resp.GetTasks() {
		all = append(all, taskOf(p))
	}
	return all, nil
}

func taskOf(p *task.Process) Task {
	id := p.GetContainerID()
	if id == "" {
		id = p.GetID()
	}
	t := Task{ID: id, Pid: int(p.GetPid())}
	switch p.GetStatus() {
	case task.Status_STOPPED, task.Status_UNKNOWN:
		t.Exit = Exit{Code: int(p.GetExitStatus()), At: p.GetExitedAt().AsTime()}
	case task.Status_CREATED:
		t.Running, t.Created = true, true
	case task.Status_PAUSED, task.Status_PAUSING:
		t.Running, t.Paused = true, true
	default:
		t.Running = true
	}
	return t
}

func unlessNotFound(err error) error {
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}
