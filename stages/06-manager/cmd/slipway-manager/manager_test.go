package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	contentapi "github.com/containerd/containerd/api/services/content/v1"
	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	taskevents "github.com/containerd/containerd/api/events"
	"github.com/slipway-engine/slipway/stages/06-manager/client"
	"github.com/slipway-engine/slipway/stages/06-manager/events"
)

// TestMain lets the test binary be the manager, so that it can be killed.
func TestMain(m *testing.M) {
	if os.Getenv("SLIPWAY_TEST_MANAGER") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// rig is a manager in a process of its own, with a real shim below it.
type rig struct {
	t    *testing.T
	dir  string
	shim string
	cmd  *exec.Cmd
	c    *client.Client
	conn *grpc.ClientConn
	ctx  context.Context
}

func newRig(t *testing.T) *rig {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	// Any shim will do: SLIPWAY_SHIM names one, and Debian's containerd has one.
	shim := os.Getenv("SLIPWAY_SHIM")
	if shim == "" {
		var err error
		if shim, err = exec.LookPath("containerd-shim-runc-v2"); err != nil {
			t.Skip("needs SLIPWAY_SHIM or containerd-shim-runc-v2")
		}
		if _, err = exec.LookPath("runc"); err != nil {
			t.Skip("needs runc")
		}
	}
	if _, err := os.Stat("/bin/busybox"); err != nil {
		t.Skip("needs /bin/busybox (Debian: busybox-static)")
	}
	dir, err := os.MkdirTemp("", "mgr") // short: a socket's path has 108 bytes at most
	require.NoError(t, err)
	r := &rig{t: t, dir: dir, shim: shim, ctx: client.In(t.Context(), "test")}
	t.Cleanup(r.tidy)
	r.start()
	return r
}

// tidy ends what a failed test left running, and removes the directory unless
// something is mounted below it.
func (r *rig) tidy() {
	ctx := client.In(context.Background(), "test")
	list, err := r.c.Tasks.List(ctx, &tasksapi.ListTasksRequest{})
	if err == nil {
		for _, p := range list.GetTasks() {
			_, _ = r.c.Tasks.Kill(ctx, &tasksapi.KillRequest{ContainerID: p.GetID(), Signal: 9, All: true})
			_, _ = r.c.Tasks.Wait(ctx, &tasksapi.WaitRequest{ContainerID: p.GetID()})
			_, _ = r.c.Tasks.Delete(ctx, &tasksapi.DeleteTaskRequest{ContainerID: p.GetID()})
		}
	}
	r.kill()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), r.dir) {
		r.t.Errorf("still mounted below %s: %v", r.dir, err)
		return
	}
	if err := os.RemoveAll(r.dir); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) sock() string { return filepath.Join(r.dir, "m.sock") }

// start runs the manager until it serves.
func (r *rig) start() {
	r.t.Helper()
	r.cmd = exec.Command(os.Args[0], "--root", filepath.Join(r.dir, "root"), "--state", filepath.Join(r.dir, "state"),
		"--address", r.sock(), "--shim", r.shim)
	r.cmd.Env = append(os.Environ(), "SLIPWAY_TEST_MANAGER=1")
	log, err := os.OpenFile(filepath.Join(r.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(r.t, err)
	defer log.Close()
	r.cmd.Stderr = log
	require.NoError(r.t, r.cmd.Start())
	r.c, err = client.Dial(r.sock())
	require.NoError(r.t, err)
	r.conn, err = grpc.NewClient("unix://"+r.sock(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(r.t, err)
	require.Eventually(r.t, func() bool {
		_, err := r.c.Version.Version(r.ctx, &emptypb.Empty{})
		return err == nil
	}, 15*time.Second, 20*time.Millisecond, "the manager does not serve")
}

// kill ends the manager as a crash does.
func (r *rig) kill() {
	_ = r.c.Close()
	_ = r.conn.Close()
	_ = r.cmd.Process.Kill() // it may be dead already
	_ = r.cmd.Wait()
}

// rootfs makes a snapshot with a busybox, through the services an image takes.
func (r *rig) rootfs(key string) []*types.Mount {
	r.t.Helper()
	busybox, err := os.ReadFile("/bin/busybox")
	require.NoError(r.t, err)
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	require.NoError(r.t, w.WriteHeader(&tar.Header{Name: "bin/busybox", Mode: 0o755, Size: int64(len(busybox))}))
	_, err = w.Write(busybox)
	require.NoError(r.t, err)
	for _, name := range []string{"sh", "sleep"} {
		require.NoError(r.t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox"}))
	}
	require.NoError(r.t, w.Close())
	d := digest.FromBytes(layer.Bytes())
	stream, err := r.c.Content.Write(r.ctx)
	require.NoError(r.t, err)
	require.NoError(r.t, stream.Send(&contentapi.WriteContentRequest{
		Action: contentapi.WriteAction_COMMIT, Ref: key, Data: layer.Bytes(), Expected: d.String(), Labels: map[string]string{"containerd.io/gc.root": "test"},
	}))
	if _, err = stream.Recv(); status.Code(err) != codes.AlreadyExists {
		require.NoError(r.t, err)
	}
	p, err := r.c.Snapshots.Prepare(r.ctx, &snapshotsapi.PrepareSnapshotRequest{
		Snapshotter: "overlayfs", Key: key, Labels: map[string]string{"containerd.io/gc.root": "test"},
	})
	require.NoError(r.t, err)
	applied, err := diffapi.NewDiffClient(r.conn).Apply(r.ctx, &diffapi.ApplyRequest{
		Diff: &types.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: d.String(), Size: int64(layer.Len())}, Mounts: p.GetMounts(),
	})
	require.NoError(r.t, err)
	require.Equal(r.t, d.String(), applied.GetApplied().GetDigest(), "an uncompressed layer is its own diff id")
	return p.GetMounts()
}

// run starts a container and returns its pid.
func (r *rig) run(id string, args ...string) uint32 {
	r.t.Helper()
	spec, err := json.Marshal(&specs.Spec{
		Version: "1.0.2", Root: &specs.Root{Path: "rootfs"}, Process: &specs.Process{Args: args, Cwd: "/", Env: []string{"PATH=/bin"}},
		Mounts: []specs.Mount{{Destination: "/proc", Type: "proc", Source: "proc"}},
		Linux: &specs.Linux{
			CgroupsPath: "/slipway-test-" + strings.ToLower(rand.Text()),
			Namespaces:  []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}},
		},
	})
	require.NoError(r.t, err)
	rootfs := r.rootfs(id)
	// The runtime's records are below our directory too: another test has a "web" of its own.
	options, err := events.Pack(&runcoptions.Options{Root: filepath.Join(r.dir, "runtime")})
	require.NoError(r.t, err)
	_, err = r.c.Containers.Create(r.ctx, &containersapi.CreateContainerRequest{Container: &containersapi.Container{
		ID: id, Snapshotter: "overlayfs", SnapshotKey: id,
		Runtime: &containersapi.Container_Runtime{Name: "io.containerd.runc.v2", Options: options}, Spec: &anypb.Any{TypeUrl: "spec", Value: spec},
	}})
	require.NoError(r.t, err)
	created, err := r.c.Tasks.Create(r.ctx, &tasksapi.CreateTaskRequest{ContainerID: id, Rootfs: rootfs})
	require.NoError(r.t, err, r.log())
	_, err = r.c.Tasks.Start(r.ctx, &tasksapi.StartRequest{ContainerID: id})
	require.NoError(r.t, err)
	return created.GetPid()
}

func (r *rig) log() string {
	raw, _ := os.ReadFile(filepath.Join(r.dir, "log"))
	return string(raw)
}

func (r *rig) get(id string) *tasktypes.Process {
	r.t.Helper()
	resp, err := r.c.Tasks.Get(r.ctx, &tasksapi.GetRequest{ContainerID: id})
	require.NoError(r.t, err)
	return resp.GetProcess()
}

// clean removes a stopped task and looks for what it left.
func (r *rig) clean(id string, want uint32) {
	r.t.Helper()
	d, err := r.c.Tasks.Delete(r.ctx, &tasksapi.DeleteTaskRequest{ContainerID: id})
	require.NoError(r.t, err)
	require.Equal(r.t, want, d.GetExitStatus())
	r.gone(id)
}

func (r *rig) gone(id string) {
	r.t.Helper()
	left, err := filepath.Glob(filepath.Join(r.dir, "state", "*", "*", id))
	require.NoError(r.t, err)
	require.Empty(r.t, left)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(r.t, err)
	bundle := filepath.Join(r.dir, "state", "io.containerd.runtime.v2.task", "test", id)
	require.False(r.t, strings.Contains(string(mounts), bundle+"/"), "still mounted below %s", bundle)
}

// TestOutlive: a container does not notice that its manager was killed, and one
// that ended meanwhile has its exit code.
func TestOutlive(t *testing.T) {
	r := newRig(t)
	pid := r.run("stays", "sleep", "1000")
	r.run("ends", "sh", "-c", "sleep 0.3; exit 7")
	r.kill()
	time.Sleep(600 * time.Millisecond)
	r.start()
	require.Eventually(t, func() bool { return r.get("ends").GetStatus() == tasktypes.Status_STOPPED }, 10*time.Second, 20*time.Millisecond)
	require.EqualValues(t, 7, r.get("ends").GetExitStatus())
	r.clean("ends", 7)

	p := r.get("stays")
	require.Equal(t, tasktypes.Status_RUNNING, p.GetStatus())
	require.Equal(t, pid, p.GetPid())
	_, err := r.c.Tasks.Kill(r.ctx, &tasksapi.KillRequest{ContainerID: "stays", Signal: 9})
	require.NoError(t, err)
	w, err := r.c.Tasks.Wait(r.ctx, &tasksapi.WaitRequest{ContainerID: "stays"})
	require.NoError(t, err)
	require.EqualValues(t, 137, w.GetExitStatus())
	r.clean("stays", 137)
}

// TestShimKilled: while the manager lives and while it is away, the container of
// a dead shim ends, everybody hears it, and nothing is left.
func TestShimKilled(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprintf("away=%v", away), func(t *testing.T) {
			r := newRig(t)
			pid := r.run("web", "sleep", "1000")
			shim := parent(t, pid)
			if away {
				r.kill()
			}
			proc, err := os.FindProcess(shim)
			require.NoError(t, err)
			heard := make(chan uint32, 1)
			if !away {
				go r.hear(heard)
				time.Sleep(50 * time.Millisecond)
			}
			require.NoError(t, proc.Kill())
			if away {
				r.start()
			}
			require.Eventually(t, func() bool {
				_, err := r.c.Tasks.Get(r.ctx, &tasksapi.GetRequest{ContainerID: "web"})
				return err != nil && strings.Contains(err.Error(), "not found")
			}, 15*time.Second, 20*time.Millisecond)
			if !away {
				require.EqualValues(t, 137, <-heard)
			}
			r.gone("web")
			require.Eventually(t, func() bool { return state(int(pid)) == "" }, 10*time.Second, 20*time.Millisecond, "the container lives on")
		})
	}
}

// hear waits for a TaskExit.
func (r *rig) hear(exit chan<- uint32) {
	sub, err := r.c.Events.Subscribe(r.ctx, &eventsapi.SubscribeRequest{Filters: []string{"topic==/tasks/exit"}})
	if err != nil {
		return
	}
	e, err := sub.Recv()
	if err != nil {
		return
	}
	if m, err := events.Unpack(e); err == nil {
		exit <- m.(*taskevents.TaskExit).GetExitStatus()
	}
}

func parent(t *testing.T, pid uint32) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	_, after, _ := strings.Cut(string(raw), ") ")
	var s string
	var ppid int
	_, err = fmt.Sscan(after, &s, &ppid)
	require.NoError(t, err)
	return ppid
}

// state is "" for a process that is gone or a zombie.
func state(pid int) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(raw), ") ")
	if strings.HasPrefix(after, "Z") {
		return ""
	}
	return after[:1]
}
