package launch

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// op is an instruction as the child reads it: no pointers to follow, nothing to
// allocate, every argument a word.
type op struct {
	call     uintptr
	args     [6]uintptr
	branches [4]branch
	next     uint32 // index of the op that follows success
	step     uint32 // index into Plan.Steps
	slots    uint8  // bit i: args[i] is a slot number
	result   uint8  // slot, 0: none
	nbranch  uint8
}

type branch struct {
	errno uint32
	to    uint32
}

// program is an assembled plan with all the memory that it points to.
type program struct {
	ops  []op
	keep []any  // pins what args point to; Go's collector does not move heap memory
	free []byte // of the last piece in keep
	mems map[*Mem]uintptr
}

// The child's own slots, out of reach of plans.
const (
	slotTalk   Slot = 63 // the child's end of the talk socket
	slotHeard  Slot = 62 // result of the last recvfrom on it
	slotParent Slot = 62 // before that, the parent's end

	// LastSlot is the last one that plans may use.
	LastSlot Slot = 61
)

// record is what the child sends: which step, and the errno that ended it (0:
// the child has reached a parent step and waits for its turn).
type record struct{ step, errno uint64 }

const recordSize = int(unsafe.Sizeof(record{}))

// gift is a record with what a slot of the child's holds.
type gift struct {
	record
	value uint64
}

const giftSize = int(unsafe.Sizeof(gift{}))

// assemble flattens the child's steps behind the clone into one array, with a
// turn wherever a parent step stands between them.
func assemble(p *Plan, clone int, o Options, shared *sharedPage) (*program, error) {
	a := &program{mems: map[*Mem]uintptr{}, ops: make([]op, 0, opsOf(p.Steps[clone:]))}
	// Index 0 is no branch's target: the child reads 0 as "no branch". Without this
	// close the child would hold the parent's end of the talk socket open itself,
	// and never hear that the parent has died.
	a.add(clone, Call(unix.SYS_CLOSE, slotParent))
	watched, timed := o.Before != nil, o.Trace != nil
	for n := clone + 1; n < len(p.Steps); n++ {
		s := &p.Steps[n]
		if s.Clone != nil && s.Side == Parent {
			return nil, fmt.Errorf("step %d, %s: a plan makes one child", n+1, s.Name)
		}
		switch {
		case s.Side == Parent && s.Gives != 0:
			a.give(n, s.Gives)
		case s.Side == Parent || watched:
			a.turn(n)
		}
		watched = watched && !s.Returns && !s.Silent // behind it nobody listens
		if s.Side == Parent {
			continue
		}
		if timed {
			a.add(n, Call(unix.SYS_CLOCK_GETTIME, Int(unix.CLOCK_REALTIME), Int(shared.stamp(n))))
		}
		do := a.step
		if s.Clone != nil {
			do = func(n int, s *Step) error { return a.rebirth(n, s.Clone, shared) }
		}
		if err := do(n, s); err != nil {
			return nil, fmt.Errorf("step %d, %s: %w", n+1, s.Name, err)
		}
		timed = timed && !s.Silent
	}
	if len(a.ops) == 1 {
		return nil, errors.New("the plan has no step for its child")
	}
	return a, nil
}

// opsOf is about how many ops steps become: their instructions, and what goes before each step. Growing the array instead would
// touch twice the memory, and the kernel hands that out page by page.
func opsOf(steps []Step) int {
	n := 4 * len(steps)
	for i := range steps {
		n += len(steps[i].Code)
	}
	return n
}

// turn makes the child say which step it has reached and wait for one byte.
func (a *program) turn(n int) {
	rec := record{step: uint64(n)}
	b := make([]byte, recordSize)
	*(*record)(unsafe.Pointer(&b[0])) = rec
	a.add(n, Call(unix.SYS_SENDTO, slotTalk, &Mem{Data: b}, Int(recordSize), Int(unix.MSG_NOSIGNAL), Int(0), Int(0)))
	a.add(n, Call(unix.SYS_RECVFROM, slotTalk, Buf(8), Int(1), Int(0), Int(0), Int(0)).Into(slotHeard))
	a.add(n, Instr{Call: callNeed, Args: []Arg{slotHeard}}) // 0: the parent is gone, or gave up
}

// give is a turn that also says what a slot holds.
func (a *program) give(n int, s Slot) {
	m := Buf(giftSize)
	(*gift)(unsafe.Pointer(&m.Data[0])).step = uint64(n)
	a.add(n, Store(m, recordSize, s))
	a.add(n, Call(unix.SYS_WRITE, slotTalk, m, Int(giftSize)))
	a.add(n, Call(unix.SYS_READ, slotTalk, Buf(8), Int(1)).Into(slotHeard))
	a.add(n, Instr{Call: callNeed, Args: []Arg{slotHeard}})
}

// add appends an instruction that has no labels and cannot be malformed.
func (a *program) add(n int, i Instr) {
	if err := a.one(n, &i, places{}); err != nil {
		panic(err) // a mistake in this file, not in a plan
	}
}

func (a *program) step(n int, s *Step) error {
	here := places{s.Code, uint32(len(a.ops))}
	for k := range s.Code {
		i := &s.Code[k]
		if at, ok := here.find(i.Label); i.Label != "" && (!ok || at != here.first+uint32(k)) {
			return fmt.Errorf("label %q stands twice", i.Label)
		}
		if err := a.one(n, i, here); err != nil {
			return fmt.Errorf("instruction %d: %w", k, err)
		}
	}
	return nil
}

// places are the instructions of a step and where the first of them is.
type places struct {
	code  []Instr
	first uint32
}

// find looks through a dozen labels, which is cheaper than a map of them.
func (p places) find(l Label) (uint32, bool) {
	if l == Next {
		return p.first + uint32(len(p.code)), true
	}
	for k := range p.code {
		if p.code[k].Label == l {
			return p.first + uint32(k), true
		}
	}
	return 0, false
}

func (a *program) one(n int, i *Instr, here places) error {
	o := op{call: i.Call, step: uint32(n), result: uint8(i.Result), next: uint32(len(a.ops) + 1)}
	if len(i.Args) > len(o.args) {
		return fmt.Errorf("%d arguments, a system call takes 6", len(i.Args))
	}
	if err := checkMem(i); err != nil {
		return err
	}
	for k, arg := range i.Args {
		w, isSlot := a.word(arg)
		o.args[k] = w
		if isSlot {
			o.slots |= 1 << k
		}
	}
	if i.Call == callExpect || i.Call == callStore || i.Call == callLoad {
		o.args[0] += o.args[1]
	}
	if len(i.Tolerate) > len(o.branches) {
		return fmt.Errorf("%d tolerated errnos, at most %d", len(i.Tolerate), len(o.branches))
	}
	for k, b := range i.Tolerate {
		to, err := here.target(b.To, o.next)
		if err != nil {
			return err
		}
		o.branches[k] = branch{uint32(b.Errno), to}
	}
	o.nbranch = uint8(len(i.Tolerate))
	next, err := here.target(i.Then, o.next)
	o.next = next
	a.ops = append(a.ops, o)
	return err
}

func (p places) target(l Label, next uint32) (uint32, error) {
	if l == "" {
		return next, nil
	}
	if to, ok := p.find(l); ok {
		return to, nil
	}
	return 0, fmt.Errorf("no label %q in this step", l)
}

// checkMem keeps Expect, Store and Load inside their memory: the child has no bounds
// checks.
func checkMem(i *Instr) error {
	width := 4
	switch i.Call {
	case callExpect:
		width = 8
	case callStore, callLoad:
	default:
		return nil
	}
	m, off := i.Args[0].(*Mem), int(i.Args[1].(Int))
	if off < 0 || off+width > len(m.Data) {
		return fmt.Errorf("%d bytes at offset %d of %d", width, off, len(m.Data))
	}
	return nil
}

// word turns an argument into a machine word; true: it is a slot number.
func (a *program) word(arg Arg) (uintptr, bool) {
	switch v := arg.(type) {
	case nil:
		return 0, false
	case Int:
		return uintptr(v), false
	case Slot:
		return uintptr(v), true
	case Str:
		return a.cstring(string(v)), false
	case Strs:
		return a.cstrings(v), false
	case *Mem:
		return a.mem(v), false
	}
	panic(fmt.Sprintf("launch: argument of type %T", arg))
}

func (a *program) cstring(s string) uintptr {
	b := a.room(len(s) + 1)
	copy(b, s)
	return uintptr(unsafe.Pointer(&b[0]))
}

func (a *program) cstrings(list []string) uintptr {
	ptrs := make([]uintptr, len(list)+1)
	for i, s := range list {
		ptrs[i] = a.cstring(s)
	}
	a.keep = append(a.keep, ptrs)
	return uintptr(unsafe.Pointer(&ptrs[0]))
}

// mem copies the memory, so that a plan can be started more than once.
func (a *program) mem(m *Mem) uintptr {
	if m == nil {
		return 0
	}
	if at, ok := a.mems[m]; ok {
		return at
	}
	b := a.room(max(len(m.Data), 8))
	copy(b, m.Data)
	at := uintptr(unsafe.Pointer(&b[0]))
	a.mems[m] = at
	for off, to := range m.Ptr {
		*(*uintptr)(unsafe.Pointer(&b[off])) = a.mem(to)
	}
	return at
}

// room is n zero bytes that stay where they are, aligned for any structure. They come from a large piece: there are hundreds of
// small ones in a plan.
func (a *program) room(n int) []byte {
	const piece = 8 << 10
	n = (n + 7) &^ 7
	if len(a.free) < n {
		a.free = make([]byte, max(n, piece))
		a.keep = append(a.keep, a.free)
	}
	b := a.free[:n:n]
	a.free = a.free[n:]
	return b
}

// CheckString refuses what cannot be passed to the kernel as a string.
func CheckString(s string) error {
	_, err := syscall.BytePtrFromString(s)
	return err
}
