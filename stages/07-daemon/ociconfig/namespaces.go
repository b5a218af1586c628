package ociconfig

import "github.com/opencontainers/runtime-spec/specs-go"

// namespaces lists the new and the joined namespaces; a namespace shared with the host is simply not listed.
func (k *compiler) namespaces() error {
	hc, join := k.c.HostConfig, k.c.Join
	add := func(t specs.LinuxNamespaceType, path string) {
		k.spec.Linux.Namespaces = append(k.spec.Linux.Namespaces, specs.LinuxNamespace{Type: t, Path: path})
	}
	add(specs.MountNamespace, "")
	if !hc.NetworkMode.IsHost() {
		add(specs.NetworkNamespace, join.Network)
	}
	if hc.UTSMode.IsHost() {
		k.spec.Hostname = ""
	} else {
		add(specs.UTSNamespace, "")
		k.spec.Domainname = k.c.Config.Domainname
	}
	if !hc.PidMode.IsHost() {
		add(specs.PIDNamespace, join.PID)
	}
	if !hc.IpcMode.IsHost() {
		add(specs.IPCNamespace, join.IPC)
	}
	if k.privateCgroup() {
		add(specs.CgroupNamespace, "")
	}
	return nil
}

// privateCgroup: Docker's default is private on cgroup v2 and the host's on v1; a privileged container shares.
func (k *compiler) privateCgroup() bool {
	mode := k.c.HostConfig.CgroupnsMode
	if mode.IsEmpty() {
		return k.h.CgroupV2 && !k.c.HostConfig.Privileged
	}
	return mode.IsPrivate()
}
