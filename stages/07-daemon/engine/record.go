package engine

import (
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	apinetwork "github.com/moby/moby/api/types/network"
	"github.com/opencontainers/go-digest"

	"github.com/slipway-engine/slipway/stages/07-daemon/network"
)

// Record is what the daemon keeps of a container: identity, what the user asked for, and how the last run ended
// (which nobody else remembers). Whether it runs now is not in it: the manager's tasks say that.
type Record struct {
	ID      string
	Name    string
	Created time.Time

	Image     string // as the user wrote it
	ImageName string // canonical
	ImageID   digest.Digest
	Manifest  digest.Digest

	Config     *container.Config     // merged with the image's
	HostConfig *container.HostConfig // as asked
	Networking map[string]*apinetwork.EndpointSettings
	Mounts     []MountPoint

	Wanted        bool // started, and not stopped by the user since
	StoppedByUser bool
	StartedAt     time.Time
	RestartCount  int
	Last          *Ended

	Endpoint *network.Endpoint // what the network driver gave to the current run
}

// Ended is how the last run, or the last attempt, ended.
type Ended struct {
	Code  int
	At    time.Time
	OOM   bool
	Error string
}

// MountPoint is one resolved mount of a container.
type MountPoint struct {
	Type         mount.Type
	Name         string // of the volume
	Source       string // path on the host
	Destination  string
	ReadOnly     bool
	Mode         string // as written after the second colon of -v
	Propagation  mount.Propagation
	NonRecursive bool
	Options      []string // of a tmpfs
}
