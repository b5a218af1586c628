package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"time"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	runcoptions "github.com/containerd/containerd/api/types/runc/options"
	"github.com/docker/go-units"
	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/slipway-engine/slipway/stages/06-manager/client"
	"github.com/slipway-engine/slipway/stages/06-manager/events"
)

// specType is how containerd's clients name an OCI config.json in an Any.
const specType = "types.containerd.io/opencontainers/runtime-spec/1/Spec"

type runOptions struct {
	detach      bool
	remove      bool
	tty         bool
	env         []string
	runtime     string
	runcBinary  string
	snapshotter string
	memory      int64
}

func newRun(s *session) *cobra.Command {
	var o runOptions
	var memory string
	cmd := s.verb("run [flags] IMAGE ID [CMD...]", "Run a container", cobra.MinimumNArgs(2), func(ctx context.Context, c *client.Client, args []string) (err error) {
		if memory != "" {
			if o.memory, err = units.RAMInBytes(memory); err != nil {
				return err
			}
		}
		return runRun(ctx, s, c, o, args[0], args[1], args[2:])
	})
	f := cmd.Flags()
	f.SetInterspersed(false) // flags after the image are the command's
	f.BoolVarP(&o.detach, "detach", "d", false, "leave it running and return")
	f.BoolVar(&o.remove, "rm", false, "remove the container when it ends")
	f.BoolVarP(&o.tty, "tty", "t", false, "give it a terminal")
	f.StringArrayVar(&o.env, "env", nil, "environment variable NAME=VALUE")
	f.StringVar(&memory, "memory-limit", "", "budget of memory, such as 64m")
	f.StringVar(&o.runtime, "runtime", "io.containerd.runc.v2", "runtime name or path of a shim")
	f.StringVar(&o.runcBinary, "runc-binary", "", "OCI runtime for the shim to use")
	f.StringVar(&o.snapshotter, "snapshotter", "overlayfs", "where its root is made")
	return cmd
}

func runRun(ctx context.Context, s *session, c *client.Client, o runOptions, ref, id string, args []string) (err error) {
	if err := create(ctx, c, o, ref, id, args); err != nil {
		return err
	}
	defer func() {
		if err != nil && !isExit(err) || o.remove && !o.detach {
			clean := context.WithoutCancel(ctx)
			if rerr := removeContainer(clean, c, id, false); err == nil {
				err = rerr
			}
		}
	}()
	p := &process{s: s, c: c, id: id, tty: o.tty, remove: true}
	if o.detach {
		p.remove = false
	}
	return p.run(ctx, o.detach, func(in, out, errs string) error {
		return createTask(ctx, c, o, id, in, out, errs)
	})
}

// create makes snapshot and container under a lease: between the two nothing
// else keeps the snapshot.
func create(ctx context.Context, c *client.Client, o runOptions, ref, id string, args []string) (err error) {
	image, err := c.Images.Get(ctx, &imagesapi.GetImageRequest{Name: ref})
	if err != nil {
		return err
	}
	img, err := c.ReadImage(ctx, digest.Digest(image.GetImage().GetTarget().GetDigest()))
	if err != nil {
		return err
	}
	config, err := spec(o, id, img.Config.Config, args)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return err
	}
	lease, err := c.Leases.Create(ctx, &leasesapi.CreateRequest{
		ID: "slipctl-" + rand.Text(), Labels: map[string]string{"containerd.io/gc.expire": time.Now().Add(time.Hour).Format(time.RFC3339)},
	})
	if err != nil {
		return err
	}
	defer func() {
		_, lerr := c.Leases.Delete(context.WithoutCancel(ctx), &leasesapi.DeleteRequest{ID: lease.GetLease().GetID()})
		if err == nil {
			err = lerr
		}
	}()
	ctx = client.With(ctx, lease.GetLease().GetID())
	if _, err := c.Snapshots.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{
		Snapshotter: o.snapshotter, Key: id, Parent: img.ChainID(),
	}); err != nil {
		return err
	}
	options, err := events.Pack(&runcoptions.Options{BinaryName: o.runcBinary})
	if err != nil {
		return err
	}
	_, err = c.Containers.Create(ctx, &containersapi.CreateContainerRequest{Container: &containersapi.Container{
		ID: id, Image: ref, Snapshotter: o.snapshotter, SnapshotKey: id,
		Runtime: &containersapi.Container_Runtime{Name: o.runtime, Options: options},
		Spec:    &anypb.Any{TypeUrl: specType, Value: raw},
	}})
	return err
}

func createTask(ctx context.Context, c *client.Client, o runOptions, id, in, out, errs string) error {
	m, err := c.Snapshots.Mounts(ctx, &snapshotsapi.MountsRequest{Snapshotter: o.snapshotter, Key: id})
	if err != nil {
		return err
	}
	_, err = c.Tasks.Create(ctx, &tasksapi.CreateTaskRequest{
		ContainerID: id, Rootfs: m.GetMounts(), Stdin: in, Stdout: out, Stderr: errs, Terminal: o.tty,
	})
	return err
}

func isExit(err error) bool {
	_, ok := err.(exitError)
	return ok
}

// process is a task or an exec that we are attached to.
type process struct {
	s        *session
	c        *client.Client
	id, exec string
	tty      bool
	remove   bool // delete the task or exec when it has ended
}

// run makes a process with make, starts it, and stays with it unless detached.
func (p *process) run(ctx context.Context, detach bool, create func(in, out, errs string) error) error {
	if detach {
		if err := create("", "", ""); err != nil {
			return err
		}
		_, err := p.c.Tasks.Start(ctx, &tasksapi.StartRequest{ContainerID: p.id, ExecID: p.exec})
		return err
	}
	fifos, err := newPipes(p.tty)
	if err != nil {
		return err
	}
	defer func() { _ = fifos.remove() }() // our own temporary directory
	if p.tty {
		restore, err := raw(p.s.in)
		if err != nil {
			return err
		}
		defer restore()
	}
	fifos.connect(p.s.streams, func() { p.closeInput(ctx) })
	if err := create(fifos.stdin, fifos.stdout, fifos.stderr); err != nil {
		return err
	}
	return p.attached(ctx, fifos, true)
}

// attached waits for the end, passing on signals or sizes, and exits as it did.
func (p *process) attached(ctx context.Context, fifos *pipes, start bool) error {
	live, stop := context.WithCancel(context.WithoutCancel(ctx)) // a signal is the container's
	defer stop()
	wait := make(chan exited, 1)
	go func() {
		r, err := p.c.Tasks.Wait(live, &tasksapi.WaitRequest{ContainerID: p.id, ExecID: p.exec})
		wait <- exited{r.GetExitStatus(), err}
	}()
	if start {
		if _, err := p.c.Tasks.Start(ctx, &tasksapi.StartRequest{ContainerID: p.id, ExecID: p.exec}); err != nil {
			return joinDelete(err, p.delete(live))
		}
	}
	signals := make(chan os.Signal, 8)
	if p.tty {
		signal.Notify(signals, unix.SIGWINCH)
		go followSize(live, p.s.in, signals, func(w, h uint32) {
			_, _ = p.c.Tasks.ResizePty(live, &tasksapi.ResizePtyRequest{ContainerID: p.id, ExecID: p.exec, Width: w, Height: h})
		})
	} else {
		signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2)
		go p.forward(live, signals)
	}
	defer signal.Stop(signals)
	end := <-wait
	if end.err != nil {
		return end.err
	}
	fifos.copies.Wait()
	if err := p.delete(live); err != nil {
		return err
	}
	if end.status != 0 {
		return exitError(end.status)
	}
	return nil
}

type exited struct {
	status uint32
	err    error
}

// joinDelete keeps the first error: the second is only its consequence.
func joinDelete(err, derr error) error {
	if derr != nil {
		return fmt.Errorf("%s (and deleting it: %s)", message(err), message(derr))
	}
	return err
}

func (p *process) forward(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case sig := <-signals:
			_, _ = p.c.Tasks.Kill(ctx, &tasksapi.KillRequest{ContainerID: p.id, ExecID: p.exec, Signal: uint32(sig.(unix.Signal))})
		}
	}
}

func (p *process) closeInput(ctx context.Context) {
	_, _ = p.c.Tasks.CloseIO(ctx, &tasksapi.CloseIORequest{ContainerID: p.id, ExecID: p.exec, Stdin: true}) // it may have ended
}

func (p *process) delete(ctx context.Context) error {
	if !p.remove {
		return nil
	}
	var err error
	if p.exec != "" {
		_, err = p.c.Tasks.DeleteProcess(ctx, &tasksapi.DeleteProcessRequest{ContainerID: p.id, ExecID: p.exec})
	} else {
		_, err = p.c.Tasks.Delete(ctx, &tasksapi.DeleteTaskRequest{ContainerID: p.id})
	}
	return err
}
