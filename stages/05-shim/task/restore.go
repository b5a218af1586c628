package task

import (
	"os"
	"path/filepath"

	"github.com/slipway-engine/slipway/stages/05-shim/oci"
	"github.com/slipway-engine/slipway/stages/05-shim/stdio"
)

// restoration is a container that comes from a checkpoint. It is created without a process; Start restores it.
// What may be restored (open TCP connections and the like) no request can say, as in containerd: who needs it names a file of
// criu's own options in the annotation org.criu.config.
type restoration struct {
	options oci.RestoreOptions
	set     *stdio.Set // opened by Create, for the first Start; guarded by the first process's starting
}

// prepareRestore checks what can be checked now, and opens the stdio that clients wait at.
func (s *Service) prepareRestore(c *container, images string, opts Options) error {
	if !filepath.IsAbs(images) {
		return invalid("restore container %s: checkpoint path %q is not absolute", c.id, images)
	}
	if info, err := os.Stat(images); err != nil || !info.IsDir() {
		return invalid("restore container %s: checkpoint %s is no directory (%v)", c.id, images, err)
	}
	set, err := s.Streams.Open(c.init.stdio)
	if err != nil {
		return err
	}
	c.restore = &restoration{set: set, options: oci.RestoreOptions{
		CRIUOptions: oci.CRIUOptions{ImagePath: images, WorkPath: opts.CRIUWorkPath}, NoPivot: opts.NoPivot,
	}}
	return nil
}

// restoreInit lets the runtime restore the processes. When that fails nothing is left of them, and it may be tried again.
func (s *Service) restoreInit(c *container) (err error) {
	if c.init.claimed() {
		return notFound("container %s", c.id)
	}
	o, set := c.restore.options, c.restore.set
	c.restore.set = nil
	if set == nil {
		if set, err = s.Streams.Open(c.init.stdio); err != nil {
			return err
		}
	}
	done, err := criuWork(c.bundle, &o.WorkPath)
	if err != nil {
		set.Close()
		return err
	}
	err = s.takeInit(c, set, func(pidFile string, std oci.Stdio) error {
		o.PidFile, o.ConsoleSocket, o.Stdio = pidFile, set.ConsolePath(), std
		return c.runtime.Restore(c.id, c.bundle, o)
	})
	if err != nil {
		return err // criu's log stays in the bundle
	}
	s.watch(c, c.init, c.init.held)
	if err := done(); err != nil {
		s.Log.Warn("remove criu's log", "container", c.id, "err", err)
	}
	return nil
}

// criuWork makes a directory for criu's logs in the bundle unless the caller has named one; done removes it.
func criuWork(bundle string, path *string) (done func() error, err error) {
	if *path != "" {
		return func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp(bundle, "criu-work-")
	*path = dir
	return func() error { return os.RemoveAll(dir) }, err
}

// deleteUnrestored takes a container away that has no process yet, and says whether it was one. A restore under way comes first.
func (s *Service) deleteUnrestored(c *container) (was bool, err error) {
	if c.restore == nil {
		return false, nil
	}
	c.init.starting.Lock()
	defer c.init.starting.Unlock()
	switch {
	case c.init.hasEnded():
		return false, nil
	case c.init.hasStarted():
		return true, running(c)
	case !c.init.claim():
		return true, notFound("container %s", c.id)
	}
	if c.restore.set != nil {
		c.restore.set.Close()
		c.restore.set = nil
	}
	if err := s.takeAway(c); err != nil {
		c.init.unclaim()
		return true, err
	}
	close(c.init.deleted)
	return true, nil
}

// made finds a container that the runtime knows: one that is to be restored is nothing to it before Start.
func (s *Service) made(id string) (*container, error) {
	c, err := s.container(id)
	if err == nil && c.restore != nil && !c.init.hasStarted() {
		return nil, conflict("container %s has no processes before it is started: it comes from a checkpoint", id)
	}
	return c, err
}
