package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/slipway-engine/slipway/stages/05-shim/launch"
	"github.com/slipway-engine/slipway/stages/05-shim/task"
)

// runStart makes the serving process, or finds the one that serves this container's group, and
// prints its address. The socket listens before the process exists, so whoever has the address can
// connect. A manager that asked for it gets this very process as the serving one, which saves a
// program start; any other waits for it to exit, so then it makes another.
func runStart(o *options, stdin *os.File, stdout io.Writer) error {
	if err := o.complete(); err != nil {
		return err
	}
	if o.socket == "" {
		o.socket = launch.SocketPath(socketDir(), o.address, o.namespace, launch.Group(o.bundle, o.id))
	}
	unlock, err := launch.Lock(o.socket)
	if err != nil {
		return err
	}
	defer unlock()
	listener, err := launch.Listen(o.socket)
	switch {
	case errors.Is(err, launch.ErrServed):
		return o.tell(stdout, false)
	case err != nil:
		return err
	case launch.MayStay():
		return o.stay(listener, stdin, stdout, unlock)
	}
	defer listener.Close()
	if err := o.spawn(listener, stdin); err != nil {
		return err
	}
	return o.tell(stdout, false)
}

func (o *options) spawn(listener *net.UnixListener, stdin *os.File) error {
	process, err := launch.Spawn(listener, o.serveArgs(), o.bundle)
	if err != nil {
		return errors.Join(err, os.Remove(o.socket))
	}
	if err := place(process.Pid, stdin); err != nil {
		return errors.Join(err, process.Kill(), os.Remove(o.socket))
	}
	return nil
}

// stay serves in this process. The manager has its answer when everything is ready.
func (o *options) stay(listener *net.UnixListener, stdin *os.File, stdout io.Writer, unlock func()) error {
	ready := false
	err := place(os.Getpid(), stdin)
	if err == nil {
		err = runServe(o, listener, func() error {
			if err := o.tell(stdout, true); err != nil {
				return err
			}
			unlock()
			ready = true
			return launch.LetGo()
		})
	}
	if err != nil && !ready {
		err = errors.Join(err, os.Remove(o.socket))
	}
	return err
}

// tell writes the address into the bundle and to the manager.
func (o *options) tell(stdout io.Writer, stays bool) error {
	address := "unix://" + o.socket
	if err := launch.WriteAddress(o.bundle, address); err != nil {
		return err
	}
	answer, err := launch.Answer(address, os.Getenv("MAX_SHIM_VERSION"), stays)
	if err != nil {
		return err
	}
	_, err = io.WriteString(stdout, answer)
	return err
}

func (o *options) serveArgs() []string {
	args := []string{
		"-namespace", o.namespace, "-id", o.id, "-address", o.address,
		"-publish-binary", o.publishBinary, "-socket", o.socket, "-runtime-root", o.root,
	}
	if o.debug {
		args = append(args, "-debug")
	}
	return args
}

// place puts the serving process where it belongs: the control group the options on stdin name, and
// one step nearer to the OOM killer than its manager.
func place(pid int, stdin *os.File) error {
	group, err := shimCgroup(stdin)
	if err != nil {
		return err
	}
	if group != "" {
		if err := joinCgroup(group, pid); err != nil {
			return fmt.Errorf("put the shim into control group %s: %w", group, err)
		}
	}
	return launch.RaiseOOMScore(pid)
}

// shimCgroup reads Create's options from stdin, where containerd gives them to start.
func shimCgroup(stdin *os.File) (string, error) {
	info, err := stdin.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice != 0 {
		return "", nil // nothing was given
	}
	data, err := io.ReadAll(io.LimitReader(stdin, 1<<20))
	if err != nil || len(data) == 0 {
		return "", err
	}
	var any anypb.Any
	if err := proto.Unmarshal(data, &any); err != nil {
		return "", nil // newer containerd sends bootstrap parameters, which say the same as the flags
	}
	o, err := task.ParseOptions(&any)
	if err != nil {
		return "", nil // of another shim; Create will judge them
	}
	return o.ShimCgroup, nil
}
