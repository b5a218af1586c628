package engine

import (
	"context"

	"github.com/slipway-engine/slipway/stages/07-daemon/rootview"
)

// InRoot lets look into (and change) a container's root file system: as its process sees it while it runs, with its
// volumes; the snapshot alone, while it does not.
func (e *Engine) InRoot(ctx context.Context, ref string, look func(View, *rootview.Root) error) error {
	c, err := e.Get(ref)
	if err != nil {
		return err
	}
	v := c.View()
	if v.Running() {
		root, err := rootview.OfProcess(v.Pid)
		if err != nil {
			return err
		}
		defer root.Close()
		return look(v, root)
	}
	unlock, err := c.lock(ctx) // nobody may start it meanwhile: the snapshot would be mounted twice
	if err != nil {
		return err
	}
	defer unlock()
	return e.withRoot(ctx, c.ID, func(r *rootview.Root) error { return look(v, r) })
}
