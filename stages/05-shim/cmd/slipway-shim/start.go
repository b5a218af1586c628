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
// prints its address. The socket listens, and the bundle names it, before the process exists: whoever
// finds the bundle can connect, wherever the manager or this program was killed.
func runStart(o *options, stdin *os.File, stdout io.Writer) error {
	if err := o.complete(); err != nil {
		return err
	}
	socket := o.socket
	if socket == "" {
		socket = launch.SocketPath(socketDir(), o.address, o.namespace, launch.Group(o.bundle, o.id))
	}
	unlock, err := launch.Lock(socket)
	if err != nil {
		return err
	}
	defer unlock()
	address := "unix://" + socket
	listener, err := launch.Listen(socket)
	served := errors.Is(err, launch.ErrServed)
	if err != nil && !served {
		return err
	}
	if err := launch.WriteAddress(o.bundle, address); err != nil {
		return err
	}
	if !served {
		if err := o.serveFrom(listener, socket, stdin); err != nil {
			return errors.Join(err, os.Remove(socket))
		}
	}
	answer, err := launch.Answer(address, os.Getenv("MAX_SHIM_VERSION"))
	if err != nil {
		return err
	}
	_, err = io.WriteString(stdout, answer)
	return err
}

// serveFrom starts the serving process on a listening socket.
func (o *options) serveFrom(listener *net.UnixListener, socket string, stdin *os.File) error {
	defer listener.Close()
	process, err := launch.Spawn(listener, o.serveArgs(socket), o.bundle)
	if err != nil {
		return err
	}
	if err := place(process, stdin); err != nil {
		return errors.Join(err, process.Kill())
	}
	return nil
}

func (o *options) serveArgs(socket string) []string {
	args := []string{
		"-namespace", o.namespace, "-id", o.id, "-address", o.address,
		"-publish-binary", o.publishBinary, "-socket", socket, "-runtime-root", o.root,
	}
	if o.debug {
		args = append(args, "-debug")
	}
	return args
}

// place puts the serving process where it belongs: the control group the options on stdin name, and
// one step nearer to the OOM killer than its manager.
func place(process *os.Process, stdin *os.File) error {
	group, err := shimCgroup(stdin)
	if err != nil {
		return err
	}
	if group != "" {
		if err := joinCgroup(group, process.Pid); err != nil {
			return fmt.Errorf("put the shim into control group %s: %w", group, err)
		}
	}
	return launch.RaiseOOMScore(process.Pid)
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
