package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/launch"
	"github.com/slipway-engine/slipway/stages/04-ocispec/criu"
	"github.com/slipway-engine/slipway/stages/04-ocispec/lifecycle"
	"github.com/slipway-engine/slipway/stages/04-ocispec/state"
)

// moment is what criu waits for: the hooks, the record, the terminal's way.
func (r *restoration) moment(ctx context.Context, resp *criu.Response, f *os.File) error {
	if f != nil {
		defer f.Close()
	}
	switch resp.Script {
	case "setup-namespaces":
		if r.spec.Hooks == nil {
			return nil
		}
		st := r.ociState(lifecycle.Created, resp.PID)
		if err := runHooks(ctx, "prestart", r.spec.Hooks.Prestart, st); err != nil { //nolint:staticcheck // Docker uses prestart
			return err
		}
		return runHooks(ctx, "createRuntime", r.spec.Hooks.CreateRuntime, r.ociState(lifecycle.Creating, resp.PID))
	case "post-restore":
		return r.restored(resp.PID)
	case "orphan-pts-master":
		return r.sendTerminal(f)
	}
	return nil
}

// restored records the first process, which does not run yet.
func (r *restoration) restored(pid int) (err error) {
	r.pid = pid
	if err := stillReadonly(pid, r.externals); err != nil {
		return err
	}
	if r.Process, err = state.Identify(pid); err != nil {
		return err
	}
	if err := r.dir.Put(r.Record); err != nil {
		return err
	}
	r.proc, err = launch.Adopt(pid)
	return err
}

// sendTerminal passes the master of the terminal that the container had to whoever asked for it.
func (r *restoration) sendTerminal(master *os.File) error {
	if master == nil {
		return errors.New("a terminal without a descriptor")
	}
	if r.creation.opts.Terminal == nil {
		return errors.New("the container has a terminal: cannot restore it without a console socket")
	}
	socket, err := r.creation.opts.Terminal()
	if err != nil {
		return err
	}
	defer socket.Close()
	if err := unix.Sendmsg(int(socket.Fd()), []byte("/dev/ptmx"), unix.UnixRights(int(master.Fd())), nil, 0); err != nil {
		return fmt.Errorf("send the terminal: %w", err)
	}
	if r.creation.opts.Attach != nil {
		return r.creation.opts.Attach()
	}
	return nil
}
