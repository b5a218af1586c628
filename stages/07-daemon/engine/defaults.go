package engine

import (
	"cmp"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/slipway-engine/slipway/stages/07-daemon/ociconfig"
)

// fillIn puts the engine's defaults where the request says nothing, and takes away how clients say "none".
func (e *Engine) fillIn(hc *container.HostConfig, endpoints map[string]*network.EndpointSettings) {
	hc.Runtime = cmp.Or(hc.Runtime, e.DefaultRuntime)
	hc.LogConfig.Type = cmp.Or(hc.LogConfig.Type, "json-file")
	hc.ShmSize = cmp.Or(hc.ShmSize, ociconfig.DefaultShmSize)
	if hc.NetworkMode == "" || hc.NetworkMode.IsDefault() {
		hc.NetworkMode = network.NetworkBridge
	}
	if s, ok := endpoints[network.NetworkDefault]; ok { // "default" is how clients say bridge
		delete(endpoints, network.NetworkDefault)
		endpoints[network.NetworkBridge] = s
	}
	if p := hc.PidsLimit; p != nil && *p == 0 {
		hc.PidsLimit = nil
	}
	if s := hc.MemorySwappiness; s != nil && *s == -1 {
		hc.MemorySwappiness = nil
	}
	if hc.IpcMode.IsEmpty() {
		hc.IpcMode = container.IPCModePrivate
	}
	if hc.CgroupnsMode.IsEmpty() {
		hc.CgroupnsMode = container.CgroupnsModeHost
		if e.Host.CgroupV2 && !hc.Privileged {
			hc.CgroupnsMode = container.CgroupnsModePrivate
		}
	}
	e.hide(hc)
}

// hide fills in which paths of the kernel's a container does not see, or may not write.
func (e *Engine) hide(hc *container.HostConfig) {
	if hc.Privileged {
		return
	}
	masked, readonly := e.Host.HiddenPaths()
	if hc.MaskedPaths == nil {
		hc.MaskedPaths = masked
	}
	if hc.ReadonlyPaths == nil {
		hc.ReadonlyPaths = readonly
	}
}
