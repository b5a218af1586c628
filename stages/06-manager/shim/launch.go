package shim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	task "github.com/containerd/containerd/api/runtime/task/v2"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Runner runs a command to its end; the manager's reaper does, so that nobody
// else takes the exit status.
type Runner interface {
	Run(*exec.Cmd) error
}

// Launcher runs shim programs with containerd's flags and environment.
type Launcher struct {
	Own     string // our own shim's program
	Self    string // -publish-binary
	Address string // our gRPC socket; shims publish to Address + ".ttrpc"
	Debug   bool
	Runner  Runner
	Log     io.Writer // what shims say
}

// Deadlines of the shim's two commands. A shim that needs longer is stuck, and
// must not make everybody wait.
const (
	startTimeout  = 20 * time.Second
	deleteTimeout = 20 * time.Second
)

// Start runs `shim start`, which leaves a server behind and prints its address.
// It is not cut in half when the caller goes away: between its two acts there may
// be a server that nobody has the address of.
func (l *Launcher) Start(ctx context.Context, b Bundle, program string, options *anypb.Any) (Params, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer cancel()
	stdin := []byte{}
	if options != nil {
		var err error
		if stdin, err = proto.Marshal(options); err != nil {
			return Params{}, fmt.Errorf("runtime options: %w", err)
		}
	}
	out, err := l.run(ctx, b, program, stdin, "start")
	if err != nil {
		return Params{}, err
	}
	p, err := ParseParams(out)
	if err != nil {
		return p, err
	}
	return p, p.save(b)
}

// Delete runs `shim delete`, which cleans up after a shim that is gone and says
// how the container ended. The answer is nil for a bundle that was never
// finished: no shim was started in it.
func (l *Launcher) Delete(ctx context.Context, b Bundle) (*task.DeleteResponse, error) {
	program, err := b.Program()
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("shim of %s: %w", b.ID, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancel()
	out, err := l.run(ctx, b, program, nil, "delete")
	if err != nil {
		return nil, err
	}
	resp := &task.DeleteResponse{}
	if err := proto.Unmarshal(out, resp); err != nil {
		return nil, fmt.Errorf("%s delete %s: answer: %w", program, b.ID, err)
	}
	return resp, nil
}

func (l *Launcher) run(ctx context.Context, b Bundle, program string, stdin []byte, verb string) ([]byte, error) {
	args := []string{"-namespace", b.Namespace, "-address", l.Address, "-publish-binary", l.Self, "-id", b.ID}
	if l.Debug {
		args = append(args, "-debug")
	}
	if verb == "delete" {
		args = append(args, "-bundle", b.Dir)
	}
	cmd := exec.CommandContext(ctx, program, append(args, verb)...)
	cmd.Dir = b.Dir
	cmd.Env = append(os.Environ(), "GOMAXPROCS=2", "MAX_SHIM_VERSION=2", "NAMESPACE="+b.Namespace,
		"GRPC_ADDRESS="+l.Address, "TTRPC_ADDRESS="+l.Address+".ttrpc")
	var out, complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &complaint
	// A process group of its own: a ^C at our terminal is not meant for containers.
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if err := l.Runner.Run(cmd); err != nil {
		return nil, fmt.Errorf("%s %s %s: %w: %.2000s", program, verb, b.ID, err, bytes.TrimSpace(complaint.Bytes()))
	}
	return out.Bytes(), nil
}

// OpenLog passes on what the shim writes to its log pipe until it is closed. The
// pipe is opened for both directions, so a shim never blocks or gets SIGPIPE
// while we come and go (fifo(7)).
func (l *Launcher) OpenLog(b Bundle) (io.Closer, error) {
	f, err := os.OpenFile(b.Path("log"), os.O_RDWR|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return io.NopCloser(nil), nil
	}
	if err != nil {
		return nil, err
	}
	go func() { _, _ = io.Copy(l.Log, f) }() // ends when f is closed
	return f, nil
}
