package engine

import (
	"context"
	"log/slog"

	"github.com/containerd/containerd/api/types"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/07-daemon/events"
	"github.com/slipway-engine/slipway/stages/07-daemon/images"
	"github.com/slipway-engine/slipway/stages/07-daemon/manager"
	"github.com/slipway-engine/slipway/stages/07-daemon/network"
	"github.com/slipway-engine/slipway/stages/07-daemon/ociconfig"
	"github.com/slipway-engine/slipway/stages/07-daemon/records"
	"github.com/slipway-engine/slipway/stages/07-daemon/volumes"
)

// Tasks runs processes. [manager.Client] is one.
type Tasks interface {
	CreateTask(ctx context.Context, l manager.Launch) (pid int, err error)
	StartTask(ctx context.Context, id, execID string) (pid int, err error)
	ListTasks(ctx context.Context) ([]manager.Task, error)
	Wait(ctx context.Context, id, execID string) (manager.Exit, error)
	DeleteTask(ctx context.Context, id string) (manager.Exit, error)
	DeleteContainer(ctx context.Context, id string) error
	Kill(ctx context.Context, id, execID string, signal int, all bool) error
	Pause(ctx context.Context, id string) error
	Resume(ctx context.Context, id string) error
	Pids(ctx context.Context, id string) ([]int, error)
	UpdateResources(ctx context.Context, id string, r *specs.LinuxResources) error
	Resize(ctx context.Context, id, execID string, width, height uint32) error
	CloseStdin(ctx context.Context, id, execID string) error
	Exec(ctx context.Context, id, execID string, p *specs.Process, io manager.Stdio) error
	DeleteProcess(ctx context.Context, id, execID string) error
}

// Snapshots are root file systems. [manager.Client] has them.
type Snapshots interface {
	PrepareSnapshot(ctx context.Context, key, parent string) error
	RemoveSnapshot(ctx context.Context, key string) error
	SnapshotSize(ctx context.Context, key string) (int64, error)
	Mounts(ctx context.Context, key string) ([]*types.Mount, error)
	OwnedSnapshots(ctx context.Context) ([]string, error)
}

// Watcher tells about what happens to tasks. [manager.Client] is one.
type Watcher interface {
	Watch(ctx context.Context, seen func(manager.Happening), reconnected func())
}

// Images finds images and sizes them. [images.Store] is one.
type Images interface {
	Get(ctx context.Context, ref string) (images.Image, error)
	Size(ctx context.Context, img images.Image) int64
}

// Network gives endpoints. [network.Driver] is one.
type Network interface {
	Attach(ctx context.Context, r network.Request) (*network.Endpoint, error)
	Detach(ctx context.Context, e *network.Endpoint) error
	Reconcile(ctx context.Context, live []*network.Endpoint) error
	Sidecar(e *network.Endpoint) []string
}

// Deps is everything an Engine is built from.
type Deps struct {
	Log       *slog.Logger
	Tasks     Tasks
	Snapshots Snapshots
	Watcher   Watcher
	Images    Images
	Network   Network
	Volumes   *volumes.Store
	Records   *records.Store[Record]
	Events    *events.Hub

	Host           ociconfig.Host
	Hostname       string            // of the machine, for --uts host
	Runtimes       map[string]string // name → program
	DefaultRuntime string
	InitPath       string // slipway-init, for --init
	ExecRoot       string // pipes and scratch directories; gone after a boot
	ResolvConf     string // the host's resolv.conf
	DNS            []string
	ClassicStdio   bool // the shim knows plain pipes only: we write the log

	// OOMKilled reads from the shim's exit record whether the kernel killed for memory; nil: nobody knows.
	OOMKilled func(id string) bool
}
