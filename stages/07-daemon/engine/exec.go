package engine

import (
	"context"
	"errors"
	"io"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/container"
	apievents "github.com/moby/moby/api/types/events"
	"github.com/moby/sys/user"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/07-daemon/attach"
	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
	"github.com/slipway-engine/slipway/stages/07-daemon/logs"
	"github.com/slipway-engine/slipway/stages/07-daemon/manager"
	"github.com/slipway-engine/slipway/stages/07-daemon/ociconfig"
	"github.com/slipway-engine/slipway/stages/07-daemon/rootview"
)

// Exec is one more process in a container. It lives in memory only: after a restart of the daemon nobody can ask
// for it any more, and the process goes on.
type Exec struct {
	ID        string
	Container *Container
	Request   container.ExecCreateRequest
	keys      []byte

	mu    sync.Mutex // guards all below
	state execState
	pid   int
	code  *int
	size  [2]uint32
}

type execState int

const (
	execCreated execState = iota
	execRunning
	execEnded
)

func (x *Exec) running() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.state == execRunning
}

// ExecView is what inspect shows.
type ExecView struct {
	Exec    *Exec
	Running bool
	Pid     int
	Code    *int
}

// View returns a consistent copy.
func (x *Exec) View() ExecView {
	x.mu.Lock()
	defer x.mu.Unlock()
	return ExecView{Exec: x, Running: x.state == execRunning, Pid: x.pid, Code: x.code}
}

// CreateExec prepares a process in a running container.
func (e *Engine) CreateExec(ref string, req container.ExecCreateRequest) (*Exec, error) {
	c, err := e.Get(ref)
	if err != nil {
		return nil, err
	}
	v := c.View()
	switch {
	case !v.Running():
		return nil, fault.Conflict("container %s is not running", v.ID)
	case v.Status == container.StatePaused:
		return nil, fault.Conflict("container %s is paused, unpause the container before exec", v.ID)
	case len(req.Cmd) == 0:
		return nil, fault.Invalid("No exec command specified")
	}
	keys, err := attach.ParseDetachKeys(req.DetachKeys)
	if err != nil {
		return nil, fault.Invalid("Invalid detach keys (%s) provided: %w", req.DetachKeys, err)
	}
	x := &Exec{ID: newID(), Container: c, Request: req, keys: keys}
	if s := req.ConsoleSize; s != nil {
		x.size = [2]uint32{uint32(s[1]), uint32(s[0])}
	}
	e.mu.Lock()
	e.execs[x.ID] = x
	e.mu.Unlock()
	c.mu.Lock()
	c.execs[x.ID] = x
	c.mu.Unlock()
	e.publish(c, action(apievents.ActionExecCreate, req.Cmd), map[string]string{"execID": x.ID})
	return x, nil
}

// action is how Docker names exec events: with the command line.
func action(a apievents.Action, cmd []string) apievents.Action {
	return a + ": " + apievents.Action(strings.Join(cmd, " "))
}

// GetExec finds an exec by its id.
func (e *Engine) GetExec(id string) (*Exec, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	x, ok := e.execs[id]
	if !ok {
		return nil, fault.NotFound("No such exec instance: %s", id)
	}
	return x, nil
}

// StartExec starts it; detached it has started when StartExec returns. Otherwise the session's Run starts it, and
// returns at the end of the process. A program that is not there is told in the stream and by the exit code, because
// by then the connection is no longer HTTP (as Docker does it).
func (e *Engine) StartExec(ctx context.Context, id string, detach bool, size *[2]uint) (s Session, err error) {
	x, err := e.GetExec(id)
	if err != nil {
		return s, err
	}
	if v := x.Container.View(); !v.Running() {
		return s, fault.Conflict("container %s is not running", v.ID)
	}
	if err := x.begin(size); err != nil {
		return s, err
	}
	s.Tty = x.Request.Tty
	if detach {
		_, _, err := e.runExec(context.WithoutCancel(ctx), x, true)
		return s, err
	}
	s.Run = func(ctx context.Context, in io.Reader, out io.Writer) error {
		framer := logs.Framer{W: out, Raw: x.Request.Tty}
		process, client, err := e.runExec(context.WithoutCancel(ctx), x, false)
		if err != nil {
			return framer.Write(logs.Stdout, []byte(err.Error()+"\r\n"))
		}
		p := pump{process: process, client: client, tty: x.Request.Tty, keys: x.keys, endInput: !x.Request.Tty}
		if !x.Request.AttachStdin {
			in = nil
		}
		err = p.run(ctx, in, framer)
		if errors.Is(err, attach.ErrDetached) {
			e.publish(x.Container, apievents.ActionExecDetach, map[string]string{"execID": x.ID})
			return nil
		}
		return err
	}
	return s, nil
}

// runExec starts the process as a job; a failure ends the exec with the shell's code for it, 126 where there is none.
func (e *Engine) runExec(ctx context.Context, x *Exec, detach bool) (p *attach.Process, c *attach.Client, err error) {
	defer e.Jobs.Begin("exec", x.Container.ID)(&err)
	if p, c, err = e.launchExec(ctx, x, detach); err != nil {
		code := exitCodeOf(err)
		if code == 128 {
			code = 126
		}
		x.end(code)
		return nil, nil, startFault(err)
	}
	return p, c, nil
}

func (x *Exec) begin(size *[2]uint) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state != execCreated {
		return fault.Conflict("exec %s has already run", x.ID)
	}
	x.state = execRunning
	if size != nil && *size != [2]uint{} {
		x.size = [2]uint32{uint32(size[1]), uint32(size[0])}
	}
	return nil
}

func (x *Exec) end(code int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.state, x.code, x.pid = execEnded, &code, 0
}

func (e *Engine) launchExec(ctx context.Context, x *Exec, detach bool) (*attach.Process, *attach.Client, error) {
	c := x.Container
	spec, err := e.execProcess(c, x.Request)
	if err != nil {
		return nil, nil, err
	}
	cfg := attach.Config{
		Dir: filepath.Join(e.ExecRoot, "io", x.ID), Tty: x.Request.Tty, Stdin: x.Request.AttachStdin, Plain: true,
		CloseStdin: func() error { return e.Tasks.CloseStdin(e.ctx, c.ID, x.ID) },
	}
	process, err := attach.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	var client *attach.Client
	io := manager.Stdio{Terminal: x.Request.Tty}
	if !detach {
		if client, err = process.Join(x.Request.AttachStdout, x.Request.AttachStderr); err != nil {
			process.Finish()
			return nil, nil, err
		}
		if x.Request.AttachStdin {
			io.Stdin = process.Path(logs.Stdin)
		}
	}
	io.Stdout = process.Path(logs.Stdout)
	if !x.Request.Tty {
		io.Stderr = process.Path(logs.Stderr)
	}
	if err := e.Tasks.Exec(ctx, c.ID, x.ID, spec, io); err != nil {
		process.Finish()
		return nil, nil, err
	}
	pid, err := e.Tasks.StartTask(ctx, c.ID, x.ID)
	if err != nil {
		e.logIfErr("undo exec", c.ID, e.Tasks.DeleteProcess(ctx, c.ID, x.ID))
		process.Finish()
		return nil, nil, err
	}
	x.mu.Lock()
	x.pid = pid
	size := x.size
	x.mu.Unlock()
	e.publish(c, action(apievents.ActionExecStart, x.Request.Cmd), map[string]string{"execID": x.ID})
	e.logIfErr("end of input", c.ID, process.Started())
	if size != [2]uint32{} && x.Request.Tty {
		e.logIfErr("resize", c.ID, e.Tasks.Resize(ctx, c.ID, x.ID, size[0], size[1]))
	}
	e.wg.Go(func() { e.watchExec(x, process) })
	return process, client, nil
}

func (e *Engine) watchExec(x *Exec, process *attach.Process) {
	c := x.Container
	exit, err := e.Tasks.Wait(e.ctx, c.ID, x.ID)
	if e.ctx.Err() != nil {
		process.Release()
		return
	}
	if err != nil {
		exit.Code = lostCode
	}
	e.logIfErr("delete exec", c.ID, e.Tasks.DeleteProcess(context.WithoutCancel(e.ctx), c.ID, x.ID))
	x.end(exit.Code)
	e.publish(c, apievents.ActionExecDie, map[string]string{"execID": x.ID, "exitCode": itoa(exit.Code)})
	process.Finish()
}

// execProcess is the process of the container's own configuration with the request's changes.
func (e *Engine) execProcess(c *Container, req container.ExecCreateRequest) (*specs.Process, error) {
	v := c.View()
	who := req.User
	if who == "" {
		who = v.Config.User
	}
	root, err := rootview.OfProcess(v.Pid)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var groups []string
	if req.User == "" {
		groups = v.HostConfig.GroupAdd
	}
	u, err := root.User(who, groups)
	if err != nil {
		return nil, fault.Invalid("%w", err)
	}
	return execSpec(v.Record, req, u, e.Host)
}

// execSpec is pure.
func execSpec(rec Record, req container.ExecCreateRequest, u *user.ExecUser, host ociconfig.Host) (*specs.Process, error) {
	cfg, hc := *rec.Config, *rec.HostConfig
	cfg.Tty = req.Tty
	cfg.Env = ociconfig.MergeEnv(cfg.Env, req.Env)
	cfg.Entrypoint, cfg.Cmd = nil, req.Cmd
	if req.WorkingDir != "" {
		cfg.WorkingDir = path.Join("/", cfg.WorkingDir, req.WorkingDir)
		if path.IsAbs(req.WorkingDir) {
			cfg.WorkingDir = req.WorkingDir
		}
	}
	hc.Privileged = hc.Privileged || req.Privileged
	compiled, err := ociconfig.Compile(ociconfig.Container{
		ID: rec.ID, Config: &cfg, HostConfig: &hc, Hostname: cfg.Hostname, User: ociUser(u),
	}, host)
	if err != nil {
		return nil, fault.Invalid("%w", err)
	}
	return compiled.Spec.Process, nil
}

// ResizeExec sets the size of an exec's terminal.
func (e *Engine) ResizeExec(ctx context.Context, id string, width, height uint32) error {
	x, err := e.GetExec(id)
	if err != nil {
		return err
	}
	x.mu.Lock()
	x.size = [2]uint32{width, height}
	ready := x.state == execRunning && x.pid != 0
	x.mu.Unlock()
	if !ready {
		return nil
	}
	return e.Tasks.Resize(ctx, x.Container.ID, x.ID, width, height)
}
