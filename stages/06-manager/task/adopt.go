package task

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	task "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/06-manager/fault"
	"github.com/slipway-engine/slipway/stages/06-manager/shim"
)

// Verdict is what to do about a bundle that we find at start.
type Verdict string

// The verdicts.
const (
	Adopt Verdict = "adopt" // the shim lives and has the container
	Bury  Verdict = "bury"  // the shim is gone, or never had the container
	Wait  Verdict = "wait"  // we cannot tell: ask again later
)

// Evidence is what asking a bundle's shim brought to light.
type Evidence struct {
	Address error         // of finding where it listens
	Quiet   time.Duration // since something was last written into the bundle
	Dial    error         // of connecting to the address
	State   error         // of asking it for the container's state
	Pid     uint32        // of the container's first process; of no weight: a stopped one may have none
}

// birth is how long a shim may take from the making of its bundle to the writing
// of its address.
const birth = 10 * time.Second

// Judge decides, and says because of what. It is the most dangerous decision in
// this program: burying kills a container. So only proof of death counts, and our
// own trouble (no descriptors left, no permission, a timeout) never does.
func Judge(e Evidence) (v Verdict, because error) {
	//ex:begin mgr.tasks
	switch {
	case errors.Is(e.Address, fs.ErrNotExist) && e.Quiet >= birth:
		return Bury, e.Address // no shim was ever started; a younger one may be starting now
	case errors.Is(e.Dial, unix.ECONNREFUSED), errors.Is(e.Dial, unix.ENOENT):
		return Bury, e.Dial // a socket without a listener: a live shim holds it open (connect(2))
	case errors.Is(e.State, ttrpc.ErrClosed):
		return Bury, e.State // it died while we asked
	case fault.Is(fault.FromGRPC(e.State), fault.NotFound):
		return Bury, e.State // killed before the shim was told to create: nobody was promised anything
	case e.Address != nil || e.Dial != nil || e.State != nil:
		return Wait, errors.Join(e.Address, e.Dial, e.State)
	default:
		return Adopt, nil
	}
	//ex:stub
	// return Wait, todo.Exercise("mgr.tasks")
	//ex:end mgr.tasks
}

// Deadlines of adoption.
const (
	askTimeout = 3 * time.Second
	askAgain   = time.Second // doubled each time, up to askSeldom
	askSeldom  = 16 * time.Second
)

// Load finds the tasks that an earlier manager left and adopts them, all at
// once. It returns when their ids are known, not when their shims have answered:
// one stuck shim delays only those who ask for it.
func (ts *Tasks) Load(ctx context.Context) error {
	bundles, err := shim.List(ts.State)
	if err != nil {
		return err
	}
	for _, b := range bundles {
		t := newTask(b)
		if err := ts.add(t); err != nil {
			return err
		}
		ts.wg.Go(func() { ts.settle(ctx, t) })
	}
	return nil
}

// settle asks until there is a verdict.
func (ts *Tasks) settle(ctx context.Context, t *Task) {
	var err error
	log := ts.Log.With("namespace", t.Bundle.Namespace, "id", t.Bundle.ID)
	for pause := askAgain; ; pause = min(2*pause, askSeldom) {
		client, evidence := ts.ask(ctx, t)
		verdict, because := Judge(evidence)
		switch verdict {
		case Adopt:
			log.Info("task adopted", "pid", evidence.Pid)
			if t.log, err = ts.Launch.OpenLog(t.Bundle); err != nil {
				log.Warn("shim's log", "error", err)
				t.log = io.NopCloser(nil)
			}
			ts.settled(t, client, evidence.Pid)
			return
		case Bury:
			log.Info("task has no shim any more", "because", because)
			ts.condemned(ctx, t, client)
			return
		}
		log.Warn("shim does not answer, asking again", "because", because)
		if client != nil {
			client.Close()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// ask gathers the evidence. The client is not nil when the shim was reached.
func (ts *Tasks) ask(ctx context.Context, t *Task) (*shim.Client, Evidence) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	p, err := shim.LoadParams(t.Bundle)
	if err != nil {
		return nil, Evidence{Address: err, Quiet: t.Bundle.Quiet()}
	}
	client, err := shim.Dial(ctx, p)
	if err != nil {
		return nil, Evidence{Dial: err}
	}
	st, err := client.State(ctx, &task.StateRequest{ID: t.Bundle.ID})
	return client, Evidence{State: err, Pid: st.GetPid()}
}

// condemned buries a task that was found without a shim, or with one that has
// nothing to keep.
func (ts *Tasks) condemned(ctx context.Context, t *Task, client *shim.Client) {
	if client != nil {
		if err := ts.end(ctx, client, t); err != nil {
			ts.Log.Error("end a shim without a container", "namespace", t.Bundle.Namespace, "id", t.Bundle.ID, "error", err)
		}
		client.Close()
	}
	close(t.ready)
	ts.bury(t)
}
