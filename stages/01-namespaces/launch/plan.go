// Package launch makes a container's first process from data.
//
// A Plan is one ordered list of steps. Parent steps are Go functions; child
// steps are raw system calls, performed by a child that clone3 made and that
// never returns to the Go runtime. Whoever reads the list knows the order in
// which a container is born, because nothing else decides it: explain, trace,
// the debugger, the golden tests and the executor all walk the same list.
//
// Reading order: plan.go (the words), instr.go (the child's language),
// child_linux.go (the loop that speaks it), start.go (the parent's side).
package launch

import "os"

// Side says which process performs a step.
type Side uint8

const (
	Parent Side = iota // a Go function in the process that called Start
	Child              // raw system calls in the new process
)

func (s Side) String() string {
	if s == Child {
		return "child"
	}
	return "parent"
}

// Step is one line of a plan.
//
// A parent step sets Do (or Clone, for the one step that makes the child); a
// child step sets Code (or Clone, for a second child: Below). Steps before the
// clone are parent steps.
type Step struct {
	Name    string // what is done to what: "mount proc on /proc (nosuid nodev noexec)"
	Because string // the reason, with the man page, spec section or CVE
	Side    Side

	Do    func(*Run) error // parent: performed while the child waits
	Undo  func(*Run) error // parent: performed in reverse order when a later step fails
	Clone *Clone           // this step is the clone3 itself

	Code []Instr // child: in order, up to the first failure

	// Returns marks the last parent step of a plan whose child goes on to wait
	// for something else (a start gate): Start returns after it, instead of
	// waiting until the child's execve closes the socket.
	Returns bool

	// Gives, on a parent step behind the clone, is a slot of the child's: with its
	// turn the child tells what the slot holds (a descriptor of its own, which
	// pidfd_getfd(2) fetches), and Do finds it in the same slot. Such a turn needs
	// write(2) and read(2) alone: it may stand behind a seccomp filter.
	Gives Slot

	// Silent says that behind this step the child can neither be watched nor
	// timed: a seccomp filter may forbid the calls that this takes.
	Silent bool
}

// Clone describes the clone3(2) call that makes the child.
type Clone struct {
	Flags  uint64 // CLONE_NEW* of the namespaces to create; CLONE_VM is refused
	Cgroup Slot   // the slot with a cgroup v2 directory, or 0: CLONE_INTO_CGROUP
}

// Plan is the list, in order.
type Plan struct {
	Steps []Step

	// Here promises that no parent step changes its thread (Run.Taint): the launch
	// then stays on the caller's thread, and the Go runtime need not start others.
	Here bool
}

// Add appends steps and returns the plan, so that a planner reads as a list.
func (p *Plan) Add(steps ...Step) *Plan {
	p.Steps = append(p.Steps, steps...)
	return p
}

// Watched is how many steps Options.Before is asked about: those behind a step
// that is marked Returns or Silent are performed unseen.
func (p *Plan) Watched() int {
	for n, s := range p.Steps {
		if s.Returns || s.Silent {
			return n + 1
		}
	}
	return len(p.Steps)
}

// Run is what a parent step sees of the launch that it is part of.
type Run struct {
	pid   int
	pidfd *os.File
	slots [maxSlots]uintptr
	files []*os.File // open until the child has its copies
	taint bool
	here  bool
}

// PID is the child's process id as the parent sees it; 0 before the clone.
func (r *Run) PID() int { return r.pid }

// PIDFD refers to the child without the reuse races of a pid (pidfd_open(2));
// nil before the clone.
func (r *Run) PIDFD() *os.File { return r.pidfd }

// Hold gives the child a file: its descriptor stands in the slot. The file is
// closed here once the child is born. Only steps before the clone may call it.
func (r *Run) Hold(s Slot, f *os.File) {
	r.slots[s] = f.Fd()
	r.files = append(r.files, f)
}

// Put stores a plain number in a slot, for the child to use.
func (r *Run) Put(s Slot, v uintptr) { r.slots[s] = v }

// Slot is what a slot holds on the parent's side.
func (r *Run) Slot(s Slot) uintptr { return r.slots[s] }

// Taint says that the calling thread has changed (setns of a pid namespace,
// say) and must not serve other goroutines: it ends with the launch.
func (r *Run) Taint() {
	if r.here {
		panic("launch: a step changes its thread, and the plan promised that none does (Plan.Here)")
	}
	r.taint = true
}
