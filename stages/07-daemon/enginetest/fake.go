// Package enginetest has stand-ins for what lies below the engine, so that its decisions, and the API above it, are
// tested without root, kernel or network.
package enginetest

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/07-daemon/engine"
	"github.com/slipway-engine/slipway/stages/07-daemon/events"
	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/images"
	"github.com/slipway-engine/slipway/stages/07-daemon/manager"
	"github.com/slipway-engine/slipway/stages/07-daemon/network"
	"github.com/slipway-engine/slipway/stages/07-daemon/ociconfig"
	"github.com/slipway-engine/slipway/stages/07-daemon/records"
	"github.com/slipway-engine/slipway/stages/07-daemon/volumes"
)

// Manager is a manager in memory. It outlives engines, as the real one does.
type Manager struct {
	RootFS string // the root file system of every container

	mu        sync.Mutex // guards all below
	tasks     map[string]*fakeTask
	snapshots map[string]bool
	FailStart error
	FailKill  error
	lastPid   int
	Launches  []manager.Launch
}

type fakeTask struct {
	task manager.Task
	done chan struct{}
}

// NewManager has a root file system with the users root and app.
func NewManager(t testing.TB) *Manager {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "etc"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n"), 0o644))
	return &Manager{RootFS: dir, tasks: map[string]*fakeTask{}, snapshots: map[string]bool{}, lastPid: 100}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// CreateTask makes a created task.
func (m *Manager) CreateTask(_ context.Context, l manager.Launch) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tasks[l.ID] != nil {
		return 0, fault.Conflict("task %s exists", l.ID)
	}
	m.lastPid++
	m.Launches = append(m.Launches, l)
	m.tasks[l.ID] = &fakeTask{manager.Task{ID: l.ID, Pid: m.lastPid, Running: true, Created: true}, make(chan struct{})}
	return m.lastPid, nil
}

// StartTask starts it, or fails with FailStart.
func (m *Manager) StartTask(_ context.Context, id, _ string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.FailStart != nil {
		return 0, m.FailStart
	}
	m.tasks[id].task.Created = false
	return m.tasks[id].task.Pid, nil
}

// End lets a task's process end.
func (m *Manager) End(id string, code int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.tasks[id]; t != nil && t.task.Running {
		t.task.Running, t.task.Exit = false, manager.Exit{Code: code, At: time.Now().UTC()}
		close(t.done)
	}
}

// Forget drops a task as if the machine had been booted.
func (m *Manager) Forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tasks, id)
}

// ListTasks returns copies.
func (m *Manager) ListTasks(context.Context) ([]manager.Task, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []manager.Task
	for _, id := range slices.Sorted(maps.Keys(m.tasks)) {
		out = append(out, m.tasks[id].task)
	}
	return out, nil
}

// Wait waits for End.
func (m *Manager) Wait(ctx context.Context, id, _ string) (manager.Exit, error) {
	m.mu.Lock()
	t := m.tasks[id]
	m.mu.Unlock()
	if t == nil {
		return manager.Exit{}, errdefs.ErrNotFound
	}
	select {
	case <-t.done:
	case <-ctx.Done():
		return manager.Exit{}, ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return t.task.Exit, nil
}

// DeleteTask refuses a task that runs.
func (m *Manager) DeleteTask(_ context.Context, id string) (manager.Exit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tasks[id]
	switch {
	case t == nil:
		return manager.Exit{}, errdefs.ErrNotFound
	case t.task.Running && !t.task.Created:
		return manager.Exit{}, errdefs.ErrFailedPrecondition
	}
	delete(m.tasks, id)
	return t.task.Exit, nil
}

// Kill ends the process for SIGKILL and SIGTERM.
func (m *Manager) Kill(_ context.Context, id, _ string, signal int, _ bool) error {
	m.mu.Lock()
	t, fail := m.tasks[id], m.FailKill
	m.mu.Unlock()
	switch {
	case fail != nil:
		return fail
	case t == nil:
		return errdefs.ErrNotFound
	}
	if signal == 9 || signal == 15 {
		m.End(id, 128+signal)
	}
	return nil
}

// The rest of Tasks has nothing to remember.

func (m *Manager) DeleteContainer(context.Context, string) error                { return nil }
func (m *Manager) Pause(context.Context, string) error                          { return nil }
func (m *Manager) Resume(context.Context, string) error                         { return nil }
func (m *Manager) Pids(context.Context, string) ([]int, error)                  { return nil, nil }
func (m *Manager) CloseStdin(context.Context, string, string) error             { return nil }
func (m *Manager) DeleteProcess(context.Context, string, string) error          { return nil }
func (m *Manager) Resize(context.Context, string, string, uint32, uint32) error { return nil }

// UpdateResources accepts everything.
func (m *Manager) UpdateResources(context.Context, string, *specs.LinuxResources) error { return nil }

// Exec is not faked.
func (m *Manager) Exec(context.Context, string, string, *specs.Process, manager.Stdio) error {
	return errdefs.ErrNotImplemented
}

// PrepareSnapshot notes the key.
func (m *Manager) PrepareSnapshot(_ context.Context, key, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.snapshots[key] = true
	return nil
}

// RemoveSnapshot forgets it.
func (m *Manager) RemoveSnapshot(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.snapshots, key)
	return nil
}

// SnapshotSize is always 42.
func (m *Manager) SnapshotSize(context.Context, string) (int64, error) { return 42, nil }

// Mounts is the one root file system.
func (m *Manager) Mounts(context.Context, string) ([]*types.Mount, error) {
	return []*types.Mount{{Type: "bind", Source: m.RootFS}}, nil
}

// OwnedSnapshots lists all keys.
func (m *Manager) OwnedSnapshots(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.snapshots)), nil
}

// Watch sees nothing.
func (m *Manager) Watch(ctx context.Context, _ func(manager.Happening), _ func()) { <-ctx.Done() }

// Image is the only image there is: busybox.
func Image() images.Image {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	img := images.Image{
		ID: digest.FromString("config"), Names: []string{"docker.io/library/busybox:latest"}, ChainID: digest.FromString("chain"),
		Updated: at,
	}
	img.Target.Digest = digest.FromString("manifest")
	img.Config = dockerspec.DockerOCIImage{}
	img.Config.Created, img.Config.Architecture, img.Config.OS = &at, "amd64", "linux"
	img.Config.Config.Cmd = []string{"sh"}
	img.Config.Config.Env = []string{"PATH=/bin"}
	img.Config.Config.Labels = map[string]string{"vendor": "us", ociconfig.ReservedPrefix + "evil": "1"}
	return img
}

// Images has that one image.
type Images struct{}

// Get finds it by its name or id.
func (Images) Get(_ context.Context, ref string) (images.Image, error) {
	img := Image()
	if ref == "busybox" || ref == "busybox:latest" || ref == img.ID.String() {
		return img, nil
	}
	return images.Image{}, fault.NotFound("No such image: %s:latest", ref)
}

// Size is always 1000.
func (Images) Size(context.Context, images.Image) int64 { return 1000 }

// List has the one.
func (Images) List(context.Context) ([]images.Image, error) { return []images.Image{Image()}, nil }

// LayerSizes are none.
func (Images) LayerSizes(context.Context, images.Image) []int64 { return nil }

// Tag accepts.
func (Images) Tag(context.Context, images.Image, reference.Named) error { return nil }

// Untag accepts.
func (Images) Untag(context.Context, string, bool) error { return nil }

// Pull reports one line, and fails for every image but busybox.
func (Images) Pull(_ context.Context, req images.PullRequest, report func(jsonstream.Message)) error {
	switch reference.FamiliarName(req.Name) {
	case "nix":
		return fault.NotFound("manifest for nix:latest not found: manifest unknown: manifest unknown")
	case "broken":
		report(jsonstream.Message{Status: "Pulling from library/broken", ID: "latest"})
		return fault.System("the layer has another digest")
	}
	report(jsonstream.Message{Status: "Downloading", ID: "abc", Progress: &jsonstream.Progress{Current: 1, Total: 2}})
	return nil
}

// Network gives every container the same address and counts.
type Network struct {
	mu       sync.Mutex // guards both
	Attached int
	Fail     error
}

// Attach counts up.
func (n *Network) Attach(_ context.Context, r network.Request) (*network.Endpoint, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.Fail != nil {
		return nil, n.Fail
	}
	n.Attached++
	return &network.Endpoint{ContainerID: r.ContainerID, Mode: r.Mode, EndpointID: "ep", NetnsPath: "/run/netns/x"}, nil
}

// Detach counts down.
func (n *Network) Detach(context.Context, *network.Endpoint) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.Attached--
	return nil
}

// Count is the number of endpoints.
func (n *Network) Count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.Attached
}

// Reconcile takes over what lives.
func (n *Network) Reconcile(_ context.Context, live []*network.Endpoint) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.Attached = len(live)
	return nil
}

// Sidecar is none.
func (n *Network) Sidecar(*network.Endpoint) []string { return nil }

// World is what outlives an engine: directories and the manager.
type World struct {
	Manager *Manager
	Network *Network
	Dir     string
}

// NewWorld makes an empty one.
func NewWorld(t testing.TB) *World {
	return &World{Manager: NewManager(t), Network: &Network{}, Dir: t.TempDir()}
}

// Engine starts an engine in this world; it is closed when the test ends.
func (w *World) Engine(t testing.TB) *engine.Engine {
	t.Helper()
	store, err := records.Open[engine.Record](filepath.Join(w.Dir, "containers"))
	must(t, err)
	vols, _, err := volumes.Open(filepath.Join(w.Dir, "volumes"))
	must(t, err)
	run := filepath.Join(w.Dir, "run")
	must(t, os.MkdirAll(run, 0o700))
	e := engine.New(engine.Deps{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Tasks: w.Manager, Snapshots: w.Manager, Watcher: w.Manager,
		Images: Images{}, Network: w.Network, Volumes: vols, Records: store, Events: events.New(),
		Host: ociconfig.Host{CPUs: 2}, Hostname: "host", Runtimes: map[string]string{"slipway": "/bin/runtime"},
		DefaultRuntime: "slipway", ExecRoot: run, ResolvConf: "/nonexistent",
	})
	must(t, e.Restore(t.Context()))
	t.Cleanup(e.Close)
	return e
}

// JSON is v as text, for comparisons.
func JSON(t testing.TB, v any) string {
	data, err := json.MarshalIndent(v, "", "  ")
	must(t, err)
	return string(data)
}
