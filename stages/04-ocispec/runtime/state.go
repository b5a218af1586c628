package runtime

import (
	"errors"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

// View is what the verbs state and list print: the runtime-spec's state and what runc adds to it.
type View struct {
	Version     string            `json:"ociVersion"`
	ID          string            `json:"id"`
	PID         int               `json:"pid"`
	Status      lifecycle.Status  `json:"status"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Owner       string            `json:"owner"`
}

// State tells how a container is.
func (rt *Runtime) State(id string) (*View, error) {
	c, err := rt.Find(id)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.view()
}

func (c *Container) view() (*View, error) {
	status, err := c.Status()
	if err != nil {
		return nil, err
	}
	v := &View{
		Version: c.Version, ID: c.ID, Status: status, Bundle: c.Bundle, Rootfs: c.Rootfs,
		Created: c.Created, Annotations: c.Annotations, Owner: ownerName(c.Owner),
	}
	if status != lifecycle.Stopped && c.Process != nil {
		v.PID = c.Process.PID
	}
	return v, nil
}

// List tells how all are. One that vanishes meanwhile is left out.
func (rt *Runtime) List() ([]View, error) {
	ids, err := rt.Root.List()
	if err != nil {
		return nil, err
	}
	views := []View{}
	var broken []error
	for _, id := range ids {
		v, err := rt.State(id)
		if err == nil {
			views = append(views, *v)
		} else if !errors.Is(err, state.ErrNotExist) {
			broken = append(broken, err)
		}
	}
	return views, errors.Join(broken...)
}

// ociState is the state as hooks get it (runtime-spec runtime.md, "State").
func (c *Container) ociState(status lifecycle.Status, pid int) specs.State {
	return specs.State{Version: c.Version, ID: c.ID, Status: specs.ContainerState(status), Pid: pid, Bundle: c.Bundle, Annotations: c.Annotations}
}
