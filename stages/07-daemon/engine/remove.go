package engine

import (
	"context"
	"strconv"

	apievents "github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/mount"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

func itoa(n int) string { return strconv.Itoa(n) }

// RemoveOptions are the query of DELETE /containers/{id}.
type RemoveOptions struct {
	Force   bool // a running container is killed first
	Volumes bool // its anonymous volumes go too
}

// Remove deletes the container. The record goes last, so a removal that is cut short is visible and can be repeated.
func (e *Engine) Remove(ctx context.Context, ref string, o RemoveOptions) (err error) {
	c, err := e.Get(ref)
	if err != nil {
		return err
	}
	defer e.Jobs.Begin("remove", c.ID)(&err)
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := e.Get(c.ID); err != nil {
		return err // somebody else removed it while we waited
	}
	ctx = context.WithoutCancel(ctx)
	if t := c.running(); t != nil {
		if !o.Force {
			return fault.Conflict("cannot remove container %q: container is %s: stop the container before removing or force remove", "/"+c.View().Name, c.View().Status)
		}
		if err := e.change(c, func(r *Record) { r.StoppedByUser = true }); err != nil {
			return err
		}
		if err := e.killAndWait(ctx, c, t); err != nil {
			return err
		}
	}
	c.cancelRestart()
	c.mu.Lock()
	c.removing = true
	c.mu.Unlock()
	if err := e.erase(ctx, c, o); err != nil {
		c.mu.Lock()
		c.removing = false
		c.mu.Unlock()
		return err
	}
	return nil
}

func (e *Engine) erase(ctx context.Context, c *Container, o RemoveOptions) error {
	v := c.View()
	e.closeStreams(c)
	if err := e.discardTask(ctx, c.ID); err != nil {
		return err
	}
	if v.Endpoint != nil {
		if err := e.Network.Detach(ctx, v.Endpoint); err != nil {
			return err
		}
	}
	if err := e.Snapshots.RemoveSnapshot(ctx, c.ID); err != nil {
		return err
	}
	if err := e.Records.Delete(c.ID); err != nil {
		return err
	}
	e.forget(c)
	e.release(v.Name, c.ID)
	if o.Volumes {
		e.removeAnonymous(v)
	}
	e.publish(c, apievents.ActionDestroy, nil)
	c.signalExit()
	close(c.removed)
	return nil
}

// removeAnonymous deletes the container's nameless volumes that no other container uses.
func (e *Engine) removeAnonymous(v View) {
	for _, m := range v.Mounts {
		if m.Type != mount.TypeVolume {
			continue
		}
		vol, err := e.Volumes.Get(m.Name)
		if err != nil || !vol.Anonymous || len(e.VolumeUsers(m.Name)) > 0 {
			continue
		}
		if err := e.Volumes.Remove(m.Name); err != nil {
			e.Log.Warn("remove anonymous volume", "volume", m.Name, "err", err)
			continue
		}
		e.Events.Publish(apievents.VolumeEventType, apievents.ActionDestroy, m.Name, map[string]string{"driver": "local"})
	}
}

// VolumeUsers lists the ids of containers that mount a volume.
func (e *Engine) VolumeUsers(name string) []string {
	var ids []string
	for _, c := range e.All() {
		for _, m := range c.View().Mounts {
			if m.Type == mount.TypeVolume && m.Name == name {
				ids = append(ids, c.ID)
				break
			}
		}
	}
	return ids
}

// Rename gives a container another name.
func (e *Engine) Rename(ctx context.Context, ref, name string) (err error) {
	c, err := e.Get(ref)
	if err != nil {
		return err
	}
	defer e.Jobs.Begin("rename", c.ID)(&err)
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	old := c.View().Name
	if name == "" {
		return fault.Invalid("Neither old nor new names may be empty")
	}
	if name == old || name == "/"+old {
		return fault.Invalid("Renaming a container with the same name as its current name")
	}
	if name, err = e.reserve(name, c.ID); err != nil {
		return err
	}
	if err = e.change(c, func(r *Record) { r.Name = name }); err != nil {
		e.release(name, c.ID)
		return err
	}
	e.release(old, c.ID)
	e.publish(c, apievents.ActionRename, map[string]string{"oldName": "/" + old})
	return nil
}
