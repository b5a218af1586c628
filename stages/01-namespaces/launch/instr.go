package launch

import "syscall"

// Slot names one of the child's registers, 1 to LastSlot. Slot 0 means none. A parent step
// fills slots before the clone; an instruction's result can go into one.
type Slot uint8

const maxSlots = 64

// Label names an instruction within its step. The label Next is the first
// instruction of the step that follows.
type Label string

// Next is where a step ends: jumping there skips what is left of the step.
const Next Label = "next"

// Arg is an argument of an instruction: Int, Str, Strs, Slot or *Mem.
type Arg interface{ isArg() }

// Int is a plain number.
type Int uintptr

// Str is a string, passed as a pointer to its NUL-terminated bytes.
type Str string

// Strs is passed as a NULL-terminated array of strings, as execve(2) wants.
type Strs []string

// Mem is memory that the child can read and write; the same *Mem in several
// instructions is the same memory. Ptr puts the address of other memory into
// it at an offset, for structures that contain pointers.
type Mem struct {
	Data []byte
	Ptr  map[int]*Mem
}

func (Int) isArg()  {}
func (Str) isArg()  {}
func (Strs) isArg() {}
func (Slot) isArg() {}
func (*Mem) isArg() {}

// Buf is zeroed memory of n bytes.
func Buf(n int) *Mem { return &Mem{Data: make([]byte, n)} }

// Instr is one raw system call of a child step, or one of the few things that
// are not system calls: Jump, Expect, Store, Load, Have, ReportTo.
type Instr struct {
	Call     uintptr // system call number, or one of the pseudo calls
	Args     []Arg   // up to six
	Result   Slot    // where the result goes
	Tolerate []Branch
	Then     Label // where success leads; empty: the next instruction
	Label    Label
}

// Branch is an errno that is not a failure, and where it leads (empty: the
// next instruction).
type Branch struct {
	Errno syscall.Errno
	To    Label
}

// Pseudo calls: numbers that no kernel uses.
const (
	pseudo uintptr = ^uintptr(0) - iota
	callJump
	callExpect
	callStore
	callReport
	callNeed
	callLoad
)

// Call is a system call with its arguments.
func Call(nr uintptr, args ...Arg) Instr { return Instr{Call: nr, Args: args} }

// Into stores the result in a slot.
func (i Instr) Into(s Slot) Instr { i.Result = s; return i }

// Or tolerates errnos: the next instruction follows.
func (i Instr) Or(errnos ...syscall.Errno) Instr {
	for _, e := range errnos {
		i.Tolerate = append(i.Tolerate[:len(i.Tolerate):len(i.Tolerate)], Branch{Errno: e})
	}
	return i
}

// On tolerates an errno and goes to a label.
func (i Instr) On(e syscall.Errno, to Label) Instr {
	i.Tolerate = append(i.Tolerate[:len(i.Tolerate):len(i.Tolerate)], Branch{Errno: e, To: to})
	return i
}

// Goto leads on to a label after success.
func (i Instr) Goto(to Label) Instr { i.Then = to; return i }

// At gives the instruction a label.
func (i Instr) At(l Label) Instr { i.Label = l; return i }

// Jump goes to a label.
func Jump(to Label) Instr { return Instr{Call: callJump, Then: to} }

// Expect fails with errno unless the eight bytes at m.Data[off:], read in the
// machine's byte order and masked, equal want. Tolerating that errno makes it a
// conditional jump.
func Expect(m *Mem, off int, mask, want uint64, errno syscall.Errno) Instr {
	return Instr{Call: callExpect, Args: []Arg{m, Int(off), Int(mask), Int(want), Int(errno)}}
}

// Store writes a slot's value as 32 bits to m.Data[off:]: a descriptor into a
// structure.
func Store(m *Mem, off int, s Slot) Instr {
	return Instr{Call: callStore, Args: []Arg{m, Int(off), s}}
}

// Load reads 32 bits of m.Data[off:] into a slot: a descriptor that came in a
// structure, such as a message's (unix(7), SCM_RIGHTS).
func Load(m *Mem, off int, into Slot) Instr {
	return Instr{Call: callLoad, Args: []Arg{m, Int(off)}, Result: into}
}

// Have fails with EPIPE as long as a slot holds 0: nothing has been put there.
// Tolerating EPIPE makes it a conditional jump.
func Have(s Slot) Instr { return Instr{Call: callNeed, Args: []Arg{s}} }

// ReportTo sends failures to the socket in a slot from here on: after the start
// gate, whoever called start hears them, not whoever called create.
func ReportTo(s Slot) Instr { return Instr{Call: callReport, Args: []Arg{s}} }
