package engine

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	apievents "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/images"
	"github.com/slipway-engine/slipway/stages/07-daemon/ociconfig"
	"github.com/slipway-engine/slipway/stages/07-daemon/rootview"
)

// CreateRequest is POST /containers/create.
type CreateRequest struct {
	Name       string
	Config     container.Config
	HostConfig container.HostConfig
	Networking map[string]*network.EndpointSettings
}

// Create makes a container that does not run yet. When it returns, the container survives the daemon.
func (e *Engine) Create(ctx context.Context, req CreateRequest) (_ string, warnings []string, err error) {
	id := newID()
	defer e.Jobs.Begin("create", id)(&err)
	img, err := e.Images.Get(ctx, req.Config.Image)
	if err != nil {
		return "", nil, err
	}
	rec, err := e.newRecord(id, req, img)
	if err != nil {
		return "", nil, err
	}
	if warnings, err = e.tryCompile(rec); err != nil {
		return "", nil, err
	}
	if rec.Name, err = e.reserve(req.Name, id); err != nil {
		return "", nil, err
	}
	undo := []func(){func() { e.release(rec.Name, id) }}
	defer func() {
		if err != nil {
			for i := len(undo) - 1; i >= 0; i-- {
				undo[i]()
			}
		}
	}()
	if rec.Mounts, err = e.resolveMounts(rec.Config, rec.HostConfig); err != nil {
		return "", nil, err
	}
	c := newContainer(rec, e.Records.Dir(id))
	// The record comes first: what a crash leaves behind after it is found by it.
	if err = e.Records.Save(id, rec); err != nil {
		return "", nil, err
	}
	undo = append(undo, func() { e.logIfErr("undo create", id, e.Records.Delete(id)) })
	if err = e.Snapshots.PrepareSnapshot(ctx, id, img.ChainID.String()); err != nil {
		return "", nil, err
	}
	undo = append(undo, func() {
		e.logIfErr("undo create", id, e.Snapshots.RemoveSnapshot(context.WithoutCancel(ctx), id))
	})
	if err = e.fillVolumes(ctx, rec); err != nil {
		return "", nil, err
	}
	e.add(c)
	e.publish(c, apievents.ActionCreate, nil)
	return id, warnings, nil
}

// newRecord checks the request and merges it with the image.
func (e *Engine) newRecord(id string, req CreateRequest, img images.Image) (Record, error) {
	cfg, hc := Merge(req.Config, img.Config.Config), req.HostConfig
	if err := e.check(&cfg, &hc, req); err != nil {
		return Record{}, err
	}
	if cfg.Hostname == "" {
		cfg.Hostname = id[:12]
		if hc.NetworkMode.IsHost() || hc.UTSMode.IsHost() {
			cfg.Hostname = e.Hostname
		}
	}
	rec := Record{
		ID: id, Created: time.Now().UTC(), Image: req.Config.Image, ImageID: img.ID, Manifest: img.Target.Digest,
		Config: &cfg, HostConfig: &hc, Networking: req.Networking,
	}
	if named, err := images.Parse(req.Config.Image); err == nil {
		rec.ImageName = named.String()
	}
	return rec, nil
}

// check fills in the engine's defaults and refuses what can never run.
func (e *Engine) check(cfg *container.Config, hc *container.HostConfig, req CreateRequest) error {
	if len(cfg.Entrypoint)+len(cfg.Cmd) == 0 {
		return fault.Invalid("no command specified")
	}
	for name := range req.Config.Labels {
		if strings.HasPrefix(name, ociconfig.ReservedPrefix) {
			return fault.Invalid("label %q: the prefix %q is reserved for the engine", name, ociconfig.ReservedPrefix)
		}
	}
	e.fillIn(hc, req.Networking)
	for _, refuse := range []func(*container.HostConfig) error{e.checkPolicies, e.checkBudget, checkModes} {
		if err := refuse(hc); err != nil {
			return err
		}
	}
	if cfg.StopSignal != "" {
		if _, err := ParseSignal(cfg.StopSignal); err != nil {
			return err
		}
	}
	return e.checkNetworkMode(hc.NetworkMode)
}

// checkPolicies refuses what this engine does not have or what contradicts itself.
func (e *Engine) checkPolicies(hc *container.HostConfig) error {
	if err := container.ValidateRestartPolicy(hc.RestartPolicy); err != nil {
		return fault.Invalid("%w", err)
	}
	if hc.AutoRemove && !hc.RestartPolicy.IsNone() {
		return fault.Invalid("can't create 'AutoRemove' container with restart policy")
	}
	if _, ok := e.Runtimes[hc.Runtime]; !ok {
		return fault.Invalid("unknown or invalid runtime name: %s", hc.Runtime)
	}
	if hc.LogConfig.Type != "json-file" && hc.LogConfig.Type != "none" {
		return fault.Invalid("logger: no log driver named '%s' is registered", hc.LogConfig.Type)
	}
	return nil
}

// checkBudget refuses budgets in which nothing can live.
func (e *Engine) checkBudget(hc *container.HostConfig) error {
	switch {
	case hc.ShmSize < 0:
		return fault.Invalid("SHM size can not be less than 0")
	case hc.Memory != 0 && hc.Memory < 6<<20:
		return fault.Invalid("Minimum memory limit allowed is 6MB")
	case hc.Memory > 0 && hc.MemorySwap > 0 && hc.MemorySwap < hc.Memory:
		return fault.Invalid("Minimum memoryswap limit should be larger than memory limit, see usage")
	case hc.NanoCPUs < 0 || hc.NanoCPUs > int64(e.Host.CPUs)*1e9:
		return fault.Invalid("range of CPUs is from 0.01 to %d.00, as there are only %d CPUs available", e.Host.CPUs, e.Host.CPUs)
	}
	return nil
}

// checkModes refuses namespace modes that nobody knows.
func checkModes(hc *container.HostConfig) error {
	switch {
	case !hc.IpcMode.Valid():
		return fault.Invalid("invalid IPC mode: %s", hc.IpcMode)
	case !hc.PidMode.Valid():
		return fault.Invalid("invalid PID mode: %s", hc.PidMode)
	case !hc.UTSMode.Valid():
		return fault.Invalid("invalid UTS mode: %s", hc.UTSMode)
	case !hc.CgroupnsMode.Valid():
		return fault.Invalid("invalid cgroup namespace mode: %v", hc.CgroupnsMode)
	}
	return nil
}

func (e *Engine) checkNetworkMode(mode container.NetworkMode) error {
	if mode.IsContainer() {
		_, err := e.Get(mode.ConnectedContainer())
		return err
	}
	switch mode {
	case network.NetworkBridge, network.NetworkHost, network.NetworkNone:
		return nil
	}
	return fault.NotFound("network %s not found", mode)
}

// tryCompile finds most errors of the request before anything was made.
func (e *Engine) tryCompile(rec Record) ([]string, error) {
	result, err := ociconfig.Compile(ociconfig.Container{
		ID: rec.ID, Config: rec.Config, HostConfig: rec.HostConfig, Hostname: rec.Config.Hostname,
	}, e.Host)
	if err != nil {
		return nil, fault.Invalid("%w", err)
	}
	return append([]string{}, result.Warnings...), nil
}

// fillVolumes copies what the image has at a volume's mount point into the volume, if that is still empty.
func (e *Engine) fillVolumes(ctx context.Context, rec Record) error {
	for _, m := range rec.Mounts {
		if m.Type != mount.TypeVolume || strings.Contains(m.Mode, "nocopy") {
			continue
		}
		entries, err := os.ReadDir(m.Source)
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			continue
		}
		if err := e.withRoot(ctx, rec.ID, func(r *rootview.Root) error { return r.CopyInto(m.Destination, m.Source) }); err != nil {
			return err
		}
	}
	return nil
}

// withRoot lets look into the root file system of a container that does not run.
func (e *Engine) withRoot(ctx context.Context, id string, look func(*rootview.Root) error) error {
	mounts, err := e.Snapshots.Mounts(ctx, id)
	if err != nil {
		return err
	}
	at, err := os.MkdirTemp(e.ExecRoot, "view-")
	if err != nil {
		return err
	}
	defer func() { e.logIfErr("remove "+at, id, os.Remove(at)) }()
	root, err := rootview.OfMounts(mounts, at)
	if err != nil {
		return err
	}
	defer root.Close()
	return look(root)
}

func (e *Engine) logIfErr(what, id string, err error) {
	if err != nil {
		e.Log.Warn(what, "container", id, "err", err)
	}
}
