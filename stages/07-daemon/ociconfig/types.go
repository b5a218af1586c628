// Package ociconfig compiles what Docker's API says about a container into config.json of the OCI runtime-spec.
//
// [Compile] is a pure function: what it must know of the machine stands in [Host], what the engine has prepared
// (files, mounts, namespaces, the numeric user) in [Container]. Docker's defaults are data in this package.
package ociconfig

import (
	"github.com/moby/moby/api/types/container"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Container is everything the engine knows about the container to be started.
type Container struct {
	ID         string
	Config     *container.Config // the request merged with the image's configuration
	HostConfig *container.HostConfig
	Hostname   string
	User       User
	Mounts     []Mount // binds, volumes, tmpfs and generated files
	Join       Join
	InitPath   string   // host path of the init program for --init; empty: none
	Sidecar    []string // slipway-proxy's command line; empty: none
	CgroupPath string   // absolute
}

// User is the numeric user of the process, looked up in the container's own files.
type User struct {
	UID, GID   uint32
	Additional []uint32
	Home       string
}

// MountKind is how a mount is made.
type MountKind string

// The kinds of mounts.
const (
	Bind  MountKind = "bind"
	Tmpfs MountKind = "tmpfs"
)

// Mount is one mount with its source resolved on the host.
type Mount struct {
	Kind         MountKind
	Source       string // host path; unused for Tmpfs
	Destination  string // path in the container
	ReadOnly     bool
	Propagation  string   // empty: rprivate
	NonRecursive bool     // bind instead of rbind
	Options      []string // of Tmpfs, added to the defaults
}

// Join names namespaces that exist already; an empty path means a new one where the mode says private.
type Join struct {
	Network string
	PID     string
	IPC     string
	Shm     string // host path of the joined container's /dev/shm
}

// Host is what Compile must know of the machine.
type Host struct {
	CgroupV2 bool
	Bounding []string                                       // capabilities we may give, "CAP_…"
	Device   func(path string) ([]Device, error)            // one device, or all below a directory
	Devices  func() ([]Device, error)                       // all of /dev, for --privileged
	Seccomp  func(*specs.Spec) (*specs.LinuxSeccomp, error) // the default profile
	CPUs     int
}

// Device is a device node of the host.
type Device struct {
	Path         string
	Type         string // "b" or "c"
	Major, Minor int64
	Mode         uint32
	UID, GID     uint32
}

// Result is the compiled configuration and what the user should be told about it.
type Result struct {
	Spec     *specs.Spec
	Warnings []string
}
