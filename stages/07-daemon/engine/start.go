package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	apievents "github.com/moby/moby/api/types/events"

	"github.com/slipway-engine/slipway/stages/07-daemon/attach"
	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/manager"
	"github.com/slipway-engine/slipway/stages/07-daemon/ociconfig"
	"github.com/slipway-engine/slipway/stages/07-daemon/rootview"
)

// Start runs the container's process. A container that runs already is a fault.NotModified.
func (e *Engine) Start(ctx context.Context, ref string) (err error) {
	c, err := e.Get(ref)
	if err != nil {
		return err
	}
	defer e.Jobs.Begin("start", c.ID)(&err)
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	// Once begun, a start is finished or undone, whether the client waits or not.
	ctx = context.WithoutCancel(ctx)
	switch v := c.View(); {
	case v.Status == "paused":
		return fault.Conflict("cannot start a paused container, try unpause instead")
	case v.Running():
		return fault.NotModified("container %s is already started", c.ID)
	case v.Status == "removing":
		return fault.Conflict("container is marked for removal and cannot be started")
	}
	c.cancelRestart()
	if err = e.start(ctx, c); err != nil {
		e.startFailed(ctx, c, err)
		return startFault(err)
	}
	return nil
}

// start holds the container's token. When it fails, nothing of the attempt is left.
func (e *Engine) start(ctx context.Context, c *Container) (err error) {
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		for i := len(undo) - 1; i >= 0; i-- {
			e.logIfErr("undo start", c.ID, undo[i]())
		}
	}()
	endpoint, err := e.attachNetwork(ctx, c)
	if err != nil {
		return err
	}
	undo = append(undo, func() error { return e.Network.Detach(ctx, endpoint) })
	before := c.View().StartedAt
	err = e.change(c, func(r *Record) {
		r.Wanted, r.StoppedByUser, r.StartedAt, r.Endpoint = true, false, time.Now().UTC(), endpoint
	})
	if err != nil {
		return err
	}
	undo = append(undo, func() error {
		return e.change(c, func(r *Record) { r.Wanted, r.StartedAt, r.Endpoint = false, before, nil })
	})
	streams, err := e.openStreams(c)
	if err != nil {
		return err
	}
	undo = append(undo, func() error { e.closeStreams(c); return nil })
	launch, err := e.launch(ctx, c, streams)
	if err != nil {
		return err
	}
	pid, err := e.Tasks.CreateTask(ctx, launch)
	if err != nil {
		return err
	}
	undo = append(undo, func() error { return e.discardTask(ctx, c.ID) })
	t := &task{pid: pid, done: make(chan struct{})}
	if _, err = e.Tasks.StartTask(ctx, c.ID, ""); err != nil {
		return err
	}
	t.started = time.Now().UTC()
	c.mu.Lock()
	c.task = t
	size := c.size
	c.mu.Unlock()
	e.publish(c, apievents.ActionStart, nil)
	e.logIfErr("end of input", c.ID, streams.Started())
	if size != [2]uint32{} && launch.Stdio.Terminal {
		e.logIfErr("resize", c.ID, e.Tasks.Resize(ctx, c.ID, "", size[0], size[1]))
	}
	e.watch(c, t)
	return nil
}

// discardTask removes a task, whatever its state, and what is stored for it; none is fine. A shim that is leaving at
// this very moment breaks the call: then the question is asked again.
func (e *Engine) discardTask(ctx context.Context, id string) error {
	var err error
	for range 20 {
		if err = e.tryDiscard(ctx, id); err == nil {
			return e.Tasks.DeleteContainer(ctx, id)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
	return err
}

func (e *Engine) tryDiscard(ctx context.Context, id string) error {
	_, err := e.Tasks.DeleteTask(ctx, id)
	if err == nil || isNotFound(err) {
		return nil
	}
	if err := e.Tasks.Kill(ctx, id, "", 9, true); err != nil {
		return unlessNotFound(err)
	}
	if _, err := e.Tasks.Wait(ctx, id, ""); err != nil {
		return unlessNotFound(err)
	}
	_, err = e.Tasks.DeleteTask(ctx, id)
	return unlessNotFound(err)
}

func unlessNotFound(err error) error {
	if isNotFound(err) {
		return nil
	}
	return err
}

// launch makes the files and compiles config.json.
func (e *Engine) launch(ctx context.Context, c *Container, streams *attach.Process) (manager.Launch, error) {
	rec := c.View().Record
	in := ociconfig.Container{
		ID: rec.ID, Config: rec.Config, HostConfig: rec.HostConfig, Hostname: rec.Config.Hostname,
		CgroupPath: cgroupPath(rec), Sidecar: e.sidecar(rec.Endpoint),
	}
	if rec.HostConfig.Init != nil && *rec.HostConfig.Init {
		in.InitPath = e.InitPath
	}
	if err := e.writeFiles(c, rec); err != nil {
		return manager.Launch{}, err
	}
	in.Mounts = c.ociMounts(rec)
	var err error
	if in.Join, err = e.joins(rec); err != nil {
		return manager.Launch{}, err
	}
	err = e.withRoot(ctx, c.ID, func(r *rootview.Root) error {
		u, err := r.User(rec.Config.User, rec.HostConfig.GroupAdd)
		if err != nil {
			return fault.Invalid("%w", err)
		}
		in.User = ociUser(u)
		return nil
	})
	if err != nil {
		return manager.Launch{}, err
	}
	result, err := ociconfig.Compile(in, e.Host)
	if err != nil {
		return manager.Launch{}, fault.Invalid("%w", err)
	}
	return manager.Launch{
		ID: c.ID, Image: rec.ImageName, Runtime: e.Runtimes[rec.HostConfig.Runtime], Spec: result.Spec,
		Stdio: e.stdioOf(c.View(), streams),
	}, nil
}

// cgroupPath is absolute, always: a relative one would depend on where the shim happens to live.
func cgroupPath(rec Record) string {
	parent := rec.HostConfig.CgroupParent
	if parent == "" {
		parent = "/slipway"
	}
	return filepath.Join("/", parent, rec.ID)
}

// joins finds the namespaces of other containers that this one shares.
func (e *Engine) joins(rec Record) (ociconfig.Join, error) {
	var j ociconfig.Join
	if rec.Endpoint != nil {
		j.Network = rec.Endpoint.NetnsPath
	}
	pidOf := func(what, ref string) (int, error) {
		other, err := e.Get(ref)
		if err != nil {
			return 0, err
		}
		v := other.View()
		if !v.Running() {
			return 0, fault.Conflict("cannot join %s of a non running container: %s", what, v.ID)
		}
		return v.Pid, nil
	}
	hc := rec.HostConfig
	if hc.NetworkMode.IsContainer() {
		pid, err := pidOf("network", hc.NetworkMode.ConnectedContainer())
		if err != nil {
			return j, err
		}
		j.Network = fmt.Sprintf("/proc/%d/ns/net", pid)
	}
	if hc.PidMode.IsContainer() {
		pid, err := pidOf("PID", hc.PidMode.Container())
		if err != nil {
			return j, err
		}
		j.PID = fmt.Sprintf("/proc/%d/ns/pid", pid)
	}
	if hc.IpcMode.IsContainer() {
		pid, err := pidOf("IPC", hc.IpcMode.Container())
		if err != nil {
			return j, err
		}
		j.IPC, j.Shm = fmt.Sprintf("/proc/%d/ns/ipc", pid), fmt.Sprintf("/proc/%d/root/dev/shm", pid)
	}
	return j, nil
}

// startFailed remembers why, and removes a container that should not outlive its run. Those who wait for an exit go
// on waiting, as with Docker: there was none.
func (e *Engine) startFailed(ctx context.Context, c *Container, cause error) {
	code := exitCodeOf(cause)
	err := e.change(c, func(r *Record) { r.Last = &Ended{Code: code, Error: cause.Error()} })
	e.logIfErr("record failed start", c.ID, err)
	if c.View().HostConfig.AutoRemove {
		e.wg.Go(func() {
			e.logIfErr("auto-remove", c.ID, e.Remove(ctx, c.ID, RemoveOptions{Force: true, Volumes: true}))
		})
	}
}

// exitCodeOf maps the runtime's words to the shell's codes, as Docker does.
func exitCodeOf(err error) int {
	text := err.Error()
	switch {
	case contains(text, "executable file not found", "no such file or directory"):
		return 127
	case contains(text, "permission denied", "is a directory"):
		return 126
	}
	return 128
}

// startFault gives errors of the user's making (a program that is not there) status 400, the others keep theirs.
func startFault(err error) error {
	if code := exitCodeOf(err); code != 128 {
		return fault.Invalid("%w", err)
	}
	if fault.Status(err) == 404 { // something below is missing, not the container
		return fault.System("%w", err)
	}
	return err
}

func contains(text string, any ...string) bool {
	for _, a := range any {
		if strings.Contains(text, a) {
			return true
		}
	}
	return false
}
