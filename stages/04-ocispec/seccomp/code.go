package seccomp

import (
	"github.com/opencontainers/runtime-spec/specs-go"
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

// code is a piece of a filter. Pieces only ever jump forward and inside themselves or to their end, so that they can be put
// one after the other.
type code []bpf.RawInstruction

func (c code) load(offset uint32) code { return append(c, bpf.RawInstruction{Op: opLoad, K: offset}) }
func (c code) and(mask uint32) code    { return append(c, bpf.RawInstruction{Op: opAnd, K: mask}) }
func (c code) ret(value uint32) code   { return append(c, bpf.RawInstruction{Op: opReturn, K: value}) }

// branch returns "if the accumulator passes op k, run yes, otherwise no". Both must end in a return.
func branch(op uint16, k uint32, yes, no code) code {
	c := make(code, 0, len(yes)+len(no)+2)
	if len(yes) <= maxForward {
		c = append(c, bpf.RawInstruction{Op: op, Jf: uint8(len(yes)), K: k})
	} else {
		c = append(c, bpf.RawInstruction{Op: op, Jt: 1, K: k}, bpf.RawInstruction{Op: opJump, K: uint32(len(yes))})
	}
	return append(append(c, yes...), no...)
}

// decide is the code of one verdict: its checks in turn, then the plain answer.
func decide(a arch, v verdict) code {
	var c code
	for _, check := range v.checks {
		c = append(c, checkCode(a, check)...)
	}
	return c.ret(v.ret)
}

// checkCode returns check.ret if every condition holds and falls off its end otherwise.
func checkCode(a arch, k check) code {
	c := code{}.ret(k.ret)
	for i := len(k.args) - 1; i >= 0; i-- {
		c = append(condition(a, k.args[i], len(c)), c...)
	}
	return c
}

// condition is the code of one comparison. It falls off its end when it holds and jumps skip instructions further when it
// does not. A 64-bit value is compared in two words, the upper one first.
func condition(a arch, arg specs.LinuxSeccompArg, skip int) code {
	t := words(a, arg)
	pass, fail := uint8(0), uint8(skip) // relative to the end of this piece
	switch arg.Op {
	case specs.OpEqualTo, specs.OpMaskedEqual:
		return t.compare(opIfEqual, pass, fail)
	case specs.OpNotEqual:
		return t.compare(opIfEqual, fail, pass)
	case specs.OpGreaterThan:
		return t.compare(opIfAbove, pass, fail)
	case specs.OpGreaterEqual:
		return t.compare(opIfAtOr, pass, fail)
	case specs.OpLessThan:
		return t.compare(opIfAtOr, fail, pass)
	default: // OpLessEqual; validArg lets no other through
		return t.compare(opIfAbove, fail, pass)
	}
}

// operand is an argument's two words and what they are compared with.
type operand struct {
	narrow         bool
	loadHi, loadLo code
	hi, lo         uint32
}

func words(a arch, arg specs.LinuxSeccompArg) operand {
	lo := uint32(offsetArgs + 8*arg.Index)
	hi := lo + 4
	if a.bigEndian {
		lo, hi = hi, lo
	}
	value := arg.Value
	t := operand{narrow: a.narrow, loadHi: code{}.load(hi), loadLo: code{}.load(lo)}
	if arg.Op == specs.OpMaskedEqual { // value is the mask, valueTwo what must remain (seccomp_rule_add(3))
		t.loadHi, t.loadLo = t.loadHi.and(uint32(value>>32)), t.loadLo.and(uint32(value))
		value = arg.ValueTwo
	}
	t.hi, t.lo = uint32(value>>32), uint32(value)
	return t
}

// compare jumps yes instructions beyond the end if the operand passes op, otherwise no instructions. op decides on the lower
// words; before that, unequal upper words decide alone.
func (t operand) compare(op uint16, yes, no uint8) code {
	low := append(t.loadLo, bpf.RawInstruction{Op: op, Jt: yes, Jf: no, K: t.lo})
	if t.narrow {
		return low
	}
	rest := uint8(len(low))
	if op == opIfEqual {
		return append(append(t.loadHi, bpf.RawInstruction{Op: opIfEqual, Jf: rest + no, K: t.hi}), low...)
	}
	return append(append(t.loadHi,
		bpf.RawInstruction{Op: opIfAbove, Jt: rest + 1 + yes, K: t.hi},
		bpf.RawInstruction{Op: opIfEqual, Jf: rest + no, K: t.hi}), low...)
}
