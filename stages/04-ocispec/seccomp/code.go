package seccomp

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
)

// Offsets in struct seccomp_data (seccomp(2)): int nr; u32 arch; u64 instruction_pointer; u64 args[6].
const (
	offsetNr   = 0
	offsetArch = 4
	offsetArgs = 16
)

// Opcodes of classic BPF (linux/bpf_common.h, linux/filter.h).
const (
	opLoad     = 0x20 // BPF_LD | BPF_W | BPF_ABS
	opAnd      = 0x54 // BPF_ALU | BPF_AND | BPF_K
	opJump     = 0x05 // BPF_JMP | BPF_JA
	opIfEqual  = 0x15 // BPF_JMP | BPF_JEQ | BPF_K
	opIfAbove  = 0x25 // BPF_JMP | BPF_JGT | BPF_K
	opIfAtOr   = 0x35 // BPF_JMP | BPF_JGE | BPF_K
	opReturn   = 0x06 // BPF_RET | BPF_K
	maxForward = 255  // a conditional jump reaches this far; an unconditional one as far as one likes
)

// place is where an instruction stands, counted from the program's end: a filter only ever jumps forward, so it is written
// backwards, and whatever is jumped to is there already.
type place int

// writer writes a filter backwards. It stops at more instructions than the kernel takes; overflow then says so.
type writer struct {
	code    []bpf.RawInstruction // reversed
	answers []answer
	shared  map[below]place
	big     bool // the architecture's byte order
}

// answer is where the latest return of a value stands.
type answer struct {
	ret uint32
	at  place
}

// below is a level with what comes behind it: the same tests with the same neighbour are written once.
type below struct {
	level *level
	then  place
}

func (w *writer) overflow() bool { return len(w.code) > maxInstructions }

func (w *writer) put(i bpf.RawInstruction) place {
	if !w.overflow() {
		w.code = append(w.code, i)
	}
	return place(len(w.code))
}

func (w *writer) load(offset uint32) place {
	return w.put(bpf.RawInstruction{Op: opLoad, K: offset})
}

// ret is a return of the value: one that stands near enough already, or a new one.
func (w *writer) ret(value uint32) place {
	i := slices.IndexFunc(w.answers, func(a answer) bool { return a.ret == value })
	if i >= 0 && len(w.code)-int(w.answers[i].at) < maxForward/2 {
		return w.answers[i].at
	}
	at := w.put(bpf.RawInstruction{Op: opReturn, K: value})
	if i < 0 {
		w.answers = append(w.answers, answer{value, at})
	} else {
		w.answers[i].at = at
	}
	return at
}

// near is a place that leads to another and that a conditional jump reaches, with room for one more in between.
func (w *writer) near(to place) place {
	if len(w.code)-int(to) < maxForward-1 {
		return to
	}
	return w.put(bpf.RawInstruction{Op: opJump, K: uint32(len(w.code) - int(to))})
}

// from makes the next instruction fall through to a place.
func (w *writer) from(to place) {
	if int(to) != len(w.code) {
		w.put(bpf.RawInstruction{Op: opJump, K: uint32(len(w.code) - int(to))})
	}
}

// branch is "if the accumulator passes op k, go to yes, otherwise to no".
func (w *writer) branch(op uint16, k uint32, yes, no place) place {
	if yes == no {
		return yes
	}
	yes = w.near(yes)
	no = w.near(no)
	here := len(w.code)
	return w.put(bpf.RawInstruction{Op: op, Jt: uint8(here - int(yes)), Jf: uint8(here - int(no)), K: k})
}

// level writes a list of tests; then is where it leads when none of them decides.
func (w *writer) level(l *level, then place) place {
	key := below{l, then}
	if at, ok := w.shared[key]; ok || w.overflow() {
		return at
	}
	to := entry{loaded: then, fresh: then}
	for i, t := range slices.Backward(l.tests) {
		var before *test
		if i > 0 {
			before = l.tests[i-1]
		}
		to = w.test(t, before, to)
	}
	if w.shared == nil {
		w.shared = map[below]place{}
	}
	w.shared[key] = to.fresh
	return to.fresh
}

// entry is where a test begins: fresh loads its word, loaded is behind that.
type entry struct{ fresh, loaded place }

// test writes one test. before is its neighbour: when that looks at the same word, it leads here without loading it again.
func (w *writer) test(t, before *test, then entry) entry {
	no := w.way(t.no, then.fresh)
	yes := w.way(t.yes, then.fresh)
	if !t.no.leads() {
		no = then.loaded
	}
	if !t.yes.leads() {
		yes = then.loaded
	}
	op := uint16(opIfEqual)
	switch t.op {
	case specs.OpGreaterThan:
		op = opIfAbove
	case specs.OpGreaterEqual:
		op = opIfAtOr
	}
	at := entry{loaded: w.branch(op, t.value, yes, no)}
	shared := before != nil && before.arg == t.arg && before.high == t.high && before.mask == t.mask
	if shared && before.yes.next == nil && before.no.next == nil {
		at.fresh = at.loaded // nobody else comes here
		return at
	}
	w.from(at.loaded)
	if t.mask != ^uint32(0) {
		w.put(bpf.RawInstruction{Op: opAnd, K: t.mask})
	}
	offset := uint32(offsetArgs + 8*t.arg)
	if t.high != w.big {
		offset += 4
	}
	at.fresh = w.load(offset)
	if !shared {
		at.loaded = at.fresh
	}
	return at
}

// leads tells whether a way goes anywhere but to the neighbour.
func (to way) leads() bool { return to.decided || to.next != nil }

func (w *writer) way(to way, then place) place {
	switch {
	case to.next != nil: // libseccomp prefers the level below to a verdict
		return w.level(to.next.level, then)
	case to.decided:
		return w.ret(to.ret)
	}
	return then
}

// decide writes a verdict.
func (w *writer) decide(v verdict) place {
	fallback := w.ret(v.ret)
	if v.plain() {
		return fallback
	}
	return w.level(v.tests, fallback)
}

// program is the code in its order.
func (w *writer) program() []bpf.RawInstruction {
	slices.Reverse(w.code)
	return w.code
}
