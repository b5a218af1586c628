package task

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"
	"github.com/slipway-engine/slipway/stages/05-shim/oci"
	"github.com/slipway-engine/slipway/stages/05-shim/sidecar"
)

// container is what Create makes and Delete takes away.
type container struct {
	id      string
	bundle  string
	runtime *oci.Runtime
	init    *process
	restore *restoration                 // nil: it does not come from a checkpoint
	group   atomic.Pointer[cgroup.Group] // where init was born; nil when this machine has none
	helper  *sidecar.Spec                // nil: no sidecar
	ownPids bool                         // it has a pid namespace: its processes end with init

	oomStop  context.CancelFunc
	oomWatch sync.WaitGroup

	deleting sync.Mutex // held by the one who takes init away

	execsMu sync.RWMutex // held for reading while an exec starts; init's end closes the door

	mu      sync.Mutex // guards the fields below
	closed  bool       // init has ended: no more execs
	execs   map[string]*process
	beside  *sidecar.Sidecar
	oomTold bool
}

// rootfs is where the bundle's root file system is mounted.
func (c *container) rootfs() string { return filepath.Join(c.bundle, "rootfs") }

// pidFile is where the runtime writes the first process's pid.
func (c *container) pidFile() string { return filepath.Join(c.bundle, pidFileName) }

// process finds init (empty exec id) or an exec.
func (c *container) process(execID string) (*process, error) {
	if execID == "" {
		return c.init, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.execs[execID]; p != nil {
		return p, nil
	}
	return nil, notFound("process %s in container %s", execID, c.id)
}

func (c *container) listExecs() (execs []*process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.execs {
		execs = append(execs, p)
	}
	return execs
}

// frozen asks the kernel.
func (c *container) frozen() bool {
	group := c.group.Load()
	if group == nil {
		return false
	}
	frozen, err := group.Frozen()
	return err == nil && frozen
}

func (c *container) facts(p *process) facts {
	f := facts{started: p.hasStarted(), ended: p.hasEnded()}
	f.frozen = f.started && !f.ended && c.frozen()
	return f
}

// oomKills is how many processes the kernel has killed in the container for want of memory.
func (c *container) oomKills() uint64 {
	group := c.group.Load()
	if group == nil {
		return 0
	}
	kills, err := group.OOMKills()
	if err != nil {
		return 0
	}
	return kills
}

// readSpec reads what the shim must know from config.json; the rest is the runtime's business.
func (c *container) readSpec() error {
	path := filepath.Join(c.bundle, "config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read container config: %w", err)
	}
	var spec struct {
		Annotations map[string]string `json:"annotations"`
		Linux       *struct {
			Namespaces []specs.LinuxNamespace `json:"namespaces"`
		} `json:"linux"`
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		return fmt.Errorf("read container config %s: %w", path, err)
	}
	if spec.Linux != nil {
		for _, ns := range spec.Linux.Namespaces {
			c.ownPids = c.ownPids || ns.Type == specs.PIDNamespace && ns.Path == ""
		}
	}
	if value, ok := spec.Annotations[sidecar.Annotation]; ok {
		helper, err := sidecar.ParseSpec(value)
		if err != nil {
			return err
		}
		c.helper = &helper
	}
	return nil
}
