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

// Runner runs commands; the manager's reaper does, so that nobody else takes an
// exit status. Run waits for the end. What was started with Start is waited for
// with Wait, or left to itself with Leave.
type Runner interface {
	Run(*exec.Cmd) error
	Start(*exec.Cmd) error
	Wait(*exec.Cmd) error
	Leave(*exec.Cmd) error
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

// Start runs `shim start`, which leaves a server behind and prints its address. A
// client that goes away does not cut it in half: what it has begun could not be
// found then.
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
	start := l.run
	if program == l.Own {
		start = l.startOwn
	}
	out, err := start(ctx, b, program, stdin, "start")
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
	cmd := l.command(ctx, b, program, verb)
	var out, complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &complaint
	if err := l.Runner.Run(cmd); err != nil {
		return nil, failure(cmd, b, verb, err, &complaint)
	}
	return out.Bytes(), nil
}

// startOwn lets our own shim's `start` become the server instead of making one:
// a program start less per container. The answer says whether it did; it ends
// where standard output ends.
func (l *Launcher) startOwn(ctx context.Context, b Bundle, program string, stdin []byte, verb string) ([]byte, error) {
	cmd := l.command(context.Background(), b, program, verb) // the server outlives the request
	cmd.Env = append(cmd.Env, "SLIPWAY_SHIM_STAY=1", "GOMAXPROCS=1")
	answer, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	var complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), out, &complaint
	err = errors.Join(l.Runner.Start(cmd), out.Close())
	if err != nil {
		return nil, failure(cmd, b, verb, err, &complaint)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() }) // it is gone already, or will be
	text, err := io.ReadAll(answer)
	inTime := stop()
	if p, perr := ParseParams(text); err == nil && perr == nil && p.Stays && inTime {
		return text, l.Runner.Leave(cmd)
	}
	if err = errors.Join(err, l.Runner.Wait(cmd), ctx.Err()); err != nil {
		return nil, failure(cmd, b, verb, err, &complaint)
	}
	return text, nil
}

func failure(cmd *exec.Cmd, b Bundle, verb string, err error, complaint *bytes.Buffer) error {
	return fmt.Errorf("%s %s %s: %w: %.2000s", cmd.Path, verb, b.ID, err, bytes.TrimSpace(complaint.Bytes()))
}

func (l *Launcher) command(ctx context.Context, b Bundle, program, verb string) *exec.Cmd {
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
	// A session of its own: a ^C at our terminal is not meant for containers.
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	return cmd
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
