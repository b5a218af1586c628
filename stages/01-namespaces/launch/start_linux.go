package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Options watch a launch. The zero value only performs it.
type Options struct {
	// Begin is called before the first step, with the plan and the run that it
	// becomes, whose PID is known as soon as there is a child; an error ends the launch.
	Begin func(p *Plan, r *Run) error
	// Before is called before each of the first Plan.Watched steps with its index;
	// an error ends the launch.
	Before func(n int, s Step) error
	// Edit may change the plan before anything is done: to break a step, and see
	// what a failure there leaves behind.
	Edit func(p *Plan)
	// Trace, when set, receives what each step took.
	Trace *Trace
	// TimerSlack is what the child begins with, in ns (prctl(2), PR_SET_TIMERSLACK);
	// 0: what the thread has on which the launch happens to run.
	TimerSlack uint64
}

// Start performs the plan: the parent's steps in this process, the child's in
// the process that the clone step makes. It returns when the child's execve has
// succeeded, or after the step marked Returns. When any step fails, the child
// is killed and reaped, what parent steps did is undone in reverse order, and
// the error is a *StepError that keeps the errno.
//
// Cancelling ctx kills the child while Start still waits for it.
func Start(ctx context.Context, p *Plan, o Options) (*Process, error) {
	l, err := newLaunch(ctx, p, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil || !o.Trace.keep(l.shared) {
			err = errors.Join(err, l.shared.close())
		}
	}()
	if p.Here {
		err = l.perform()
	} else {
		done := make(chan struct{})
		go onOwnThread(func() (keep bool) {
			defer close(done)
			err = l.perform()
			return !l.run.taint
		})
		<-done
	}
	if err != nil {
		return nil, err
	}
	return &Process{pid: l.run.pid, pidfd: l.run.pidfd}, nil
}

// onOwnThread runs f on a thread that no other goroutine uses meanwhile, and
// that is not the thread-group leader: /proc/self/ns shows the leader's
// namespaces, and Go can park the leader but never end it. When f says that the
// thread is spoilt, it ends with the goroutine.
func onOwnThread(f func() (keep bool)) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		other := make(chan struct{})
		go func() { defer close(other); onOwnThread(f) }()
		<-other
		runtime.UnlockOSThread()
		return
	}
	if f() {
		runtime.UnlockOSThread()
	}
}

// launch is one performance of a plan.
type launch struct {
	ctx    context.Context //nolint:containedctx // the launch is the call
	plan   *Plan
	opt    Options
	clone  int // index of the clone step
	prog   *program
	shared *sharedPage
	run    *Run
	undo   []int // parent steps to undo
	talk   [2]int
	mu     sync.Mutex // guards run.pidfd, which the cancelled context may use while adopt changes it
}

func newLaunch(ctx context.Context, p *Plan, o Options) (*launch, error) {
	if o.Edit != nil {
		o.Edit(p)
	}
	clone := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Clone != nil && s.Side == Parent })
	if clone < 0 {
		return nil, errors.New("launch: the plan has no clone step")
	}
	if f := p.Steps[clone].Clone.Flags; f&(unix.CLONE_VM|unix.CLONE_THREAD|unix.CLONE_VFORK) != 0 {
		return nil, fmt.Errorf("launch: clone flags %#x share memory with the child", f)
	}
	shared, err := newSharedPage(len(p.Steps))
	if err != nil {
		return nil, err
	}
	prog, err := assemble(p, clone, o, shared)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("launch: %w", err), shared.close())
	}
	o.Trace.begin(p)
	return &launch{ctx: ctx, plan: p, opt: o, clone: clone, prog: prog, shared: shared, run: &Run{here: p.Here}, talk: [2]int{-1, -1}}, nil
}

func (l *launch) perform() error {
	defer l.closeAll()
	if l.opt.Begin != nil {
		if err := l.opt.Begin(l.plan, l.run); err != nil {
			return err
		}
	}
	for n := range l.clone {
		if err := l.parentStep(n); err != nil {
			return l.rollBack(err)
		}
	}
	if err := l.born(); err != nil {
		return l.rollBack(l.plan.fail(l.clone, err))
	}
	killed := make(chan struct{})
	stop := context.AfterFunc(l.ctx, func() { l.kill(); close(killed) })
	err := l.converse()
	if !stop() {
		<-killed // the pidfd is in use until then
	}
	if err != nil {
		return l.rollBack(err)
	}
	l.opt.Trace.end(l.shared)
	return nil
}

// born makes the child and gives up the descriptors that are now its own.
func (l *launch) born() error {
	if l.opt.Before != nil {
		if err := l.opt.Before(l.clone, l.plan.Steps[l.clone]); err != nil {
			return err
		}
	}
	var err error
	if l.talk, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("socketpair: %w", err)
	}
	l.run.slots[slotTalk], l.run.slots[slotParent] = uintptr(l.talk[1]), uintptr(l.talk[0])
	c := l.plan.Steps[l.clone].Clone
	args := &cloneArgs{flags: c.Flags | unix.CLONE_PIDFD, exitSignal: uint64(unix.SIGCHLD)}
	if c.Cgroup != 0 {
		args.flags |= unix.CLONE_INTO_CGROUP
		args.cgrp = uint64(l.run.slots[c.Cgroup])
	}
	kid := &child{ops: &l.prog.ops[0], n: uintptr(len(l.prog.ops)), slots: &l.run.slots, progress: l.shared.progress(), slack: uintptr(l.opt.TimerSlack)}
	l.opt.Trace.started(l.clone)
	pid, errno := spawn(args, kid)
	runtime.KeepAlive(kid)
	runtime.KeepAlive(l.prog)
	if errno != 0 {
		return errno
	}
	l.run.pid, l.run.pidfd = int(pid), os.NewFile(uintptr(kid.pidfd), "pidfd")
	l.closeChildEnds()
	return nil
}

// converse serves the child's turns until its execve closes the socket.
func (l *launch) converse() error {
	for {
		n, err := l.hear()
		if err != nil || n < 0 {
			return err
		}
		s := l.plan.Steps[n]
		switch {
		case l.bornAgain():
			if err = l.adopt(); err == nil {
				err = context.Cause(l.ctx) // its kill may have met the older one
			}
			if err != nil {
				return l.plan.fail(n, err)
			}
		case s.Side == Parent:
			if err = l.parentStep(n); err != nil {
				return err
			}
		default:
			if err = l.opt.Before(n, s); err != nil {
				return l.plan.fail(n, err)
			}
		}
		if err := unix.Send(l.talk[0], []byte{1}, unix.MSG_NOSIGNAL); err != nil {
			return l.died(nil)
		}
		if s.Returns {
			return nil
		}
	}
}

// hear is the child's next turn; -1 when its execve has succeeded.
func (l *launch) hear() (int, error) {
	b := make([]byte, giftSize)
	n, err := unix.Read(l.talk[0], b)
	for err == unix.EINTR {
		n, err = unix.Read(l.talk[0], b)
	}
	switch {
	case err == unix.ECONNRESET: // it died with our answer unread
		return 0, l.died(nil)
	case err != nil:
		return 0, fmt.Errorf("hear from the child: %w", err)
	case n == 0 && int(*l.shared.progress()) == len(l.plan.Steps)-1:
		return -1, nil
	case n == 0:
		return 0, l.died(nil)
	}
	step, errno, err := Report(b[:min(n, recordSize)])
	if err != nil {
		return 0, err
	}
	if value, ok := Gift(b[:n]); ok && errno == 0 {
		l.run.slots[l.plan.Steps[step].Gives] = value
	}
	if errno != 0 {
		return 0, l.plan.fail(step, errno)
	}
	return step, nil
}

// died explains a child that ended without a report: killed, by a memory limit
// for example, or by the cancelled context.
func (l *launch) died(cause error) error {
	if err := context.Cause(l.ctx); err != nil {
		cause = err
	}
	if l.bornAgain() {
		cause = errors.Join(cause, l.adopt())
	}
	var ws unix.WaitStatus
	if pid, _ := unix.Wait4(l.run.pid, &ws, 0, nil); pid == l.run.pid && cause == nil {
		cause = fmt.Errorf("the child exited with status %d", ws.ExitStatus())
		if ws.Signaled() {
			cause = fmt.Errorf("the child was killed by signal %s", unix.SignalName(ws.Signal()))
		}
	}
	return l.plan.fail(int(*l.shared.progress()), cause)
}

func (l *launch) parentStep(n int) error {
	s := l.plan.Steps[n]
	if s.Side != Parent || s.Do == nil {
		return l.plan.fail(n, errors.New("a parent step without an act"))
	}
	if l.opt.Before != nil {
		if err := l.opt.Before(n, s); err != nil {
			return l.plan.fail(n, err)
		}
	}
	l.opt.Trace.started(n)
	if err := s.Do(l.run); err != nil {
		return l.plan.fail(n, err)
	}
	if s.Undo != nil {
		l.undo = append(l.undo, n)
	}
	return nil
}

// kill ends the child; ESRCH means that it is gone already.
func (l *launch) kill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = unix.PidfdSendSignal(int(l.run.pidfd.Fd()), unix.SIGKILL, nil, 0)
}

// rollBack leaves nothing of a launch that failed.
func (l *launch) rollBack(cause error) error {
	if l.run.pidfd != nil {
		l.kill()
		reap(l.run.pid)
		if l.bornAgain() { // the older one, reaped, can have made no other since
			cause = errors.Join(cause, l.adopt())
			l.kill()
			reap(l.run.pid)
		}
		_ = l.run.pidfd.Close()
	}
	for _, n := range slices.Backward(l.undo) {
		if err := l.plan.Steps[n].Undo(l.run); err != nil {
			cause = errors.Join(cause, fmt.Errorf("undo %s: %w", l.plan.Steps[n].Name, err))
		}
	}
	return cause
}

func (l *launch) closeChildEnds() {
	if l.talk[1] >= 0 {
		_ = unix.Close(l.talk[1])
		l.talk[1] = -1
	}
	for _, f := range l.run.files {
		_ = f.Close()
	}
	l.run.files = nil
}

func (l *launch) closeAll() {
	l.closeChildEnds()
	if l.talk[0] >= 0 {
		_ = unix.Close(l.talk[0])
	}
}
