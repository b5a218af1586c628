package engine

import (
	"context"

	"github.com/moby/moby/api/types/container"
	apievents "github.com/moby/moby/api/types/events"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/ociconfig"
)

// Update changes limits and the restart policy, of a running container at once. What the request leaves at zero
// stays as it is.
func (e *Engine) Update(ctx context.Context, ref string, u container.UpdateConfig) (err error) {
	c, err := e.Get(ref)
	if err != nil {
		return err
	}
	defer e.Jobs.Begin("update", c.ID)(&err)
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := container.ValidateRestartPolicy(u.RestartPolicy); err != nil {
		return fault.Invalid("%w", err)
	}
	v := c.View()
	if u.RestartPolicy.Name != "" && v.HostConfig.AutoRemove && !u.RestartPolicy.IsNone() {
		return fault.Invalid("Restart policy cannot be updated because AutoRemove is enabled for the container")
	}
	hc := *v.HostConfig
	hc.Resources = updated(hc.Resources, u.Resources)
	if hc.Memory > 0 && hc.MemorySwap > 0 && hc.MemorySwap < hc.Memory {
		return fault.Conflict("Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time")
	}
	if u.RestartPolicy.Name != "" {
		hc.RestartPolicy = u.RestartPolicy
	}
	if v.Running() {
		r, err := ociconfig.Resources(hc.Resources, e.Host.Device)
		if err != nil {
			return fault.Invalid("%w", err)
		}
		if err := e.Tasks.UpdateResources(ctx, c.ID, r); err != nil {
			return fault.System("Cannot update container %s: %w", c.ID, err)
		}
	}
	if err := e.change(c, func(r *Record) { r.HostConfig = &hc }); err != nil {
		return err
	}
	e.publish(c, apievents.ActionUpdate, nil)
	return nil
}

// updated lays the set fields of change over have.
func updated(have, change container.Resources) container.Resources {
	out := have
	set := func(to *int64, v int64) {
		if v != 0 {
			*to = v
		}
	}
	set(&out.CPUShares, change.CPUShares)
	set(&out.Memory, change.Memory)
	set(&out.MemorySwap, change.MemorySwap)
	set(&out.MemoryReservation, change.MemoryReservation)
	set(&out.CPUPeriod, change.CPUPeriod)
	set(&out.CPUQuota, change.CPUQuota)
	set(&out.NanoCPUs, change.NanoCPUs)
	if change.NanoCPUs != 0 {
		out.CPUPeriod, out.CPUQuota = 0, 0
	}
	if change.CpusetCpus != "" {
		out.CpusetCpus = change.CpusetCpus
	}
	if change.CpusetMems != "" {
		out.CpusetMems = change.CpusetMems
	}
	if change.BlkioWeight != 0 {
		out.BlkioWeight = change.BlkioWeight
	}
	if change.PidsLimit != nil {
		out.PidsLimit = change.PidsLimit
	}
	return out
}
