// Package seccomp compiles the seccomp profile of config.json to a filter of classic BPF that the kernel runs before every
// system call (seccomp(2)). It is pure: a profile in, a program out, and the program can be run in an interpreter.
//
// The program looks at the architecture, then searches the call's number in a binary tree of runs of equal verdicts (a
// filter is executed for every system call; a chain of comparisons, which libseccomp makes by default, costs a hundred steps
// where this takes eight), and only then at arguments.
//
// What happens to calls that the profile does not name follows runc: those up to the largest number that it does name get
// the default action, newer ones ENOSYS, because the profile's author could not know them. Every verdict is the one that
// libseccomp's program would give; package seccomp's tests run both.
//
// Reading order: compile.go (the whole), rules.go and tree.go (what a profile says), span.go (numbers), code.go (the writer).
package seccomp

import (
	"encoding/binary"
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

//go:generate go run ./gen

// Program is a compiled filter and how to load it.
type Program struct {
	Filter []bpf.RawInstruction
	Flags  uint32 // of seccomp(2)
}

// maxInstructions is BPF_MAXINSNS of linux/bpf_common.h.
const maxInstructions = 4096

// Compile translates a profile. native is the machine's architecture; it is always part of the filter.
//
// Calls of an architecture that is not part of it kill the thread, as libseccomp has it.
func Compile(p *specs.LinuxSeccomp, native specs.Arch) (Program, error) {
	fallback, err := ret(p.DefaultAction, p.DefaultErrnoRet)
	if err != nil {
		return Program{}, fmt.Errorf("defaultAction: %w", err)
	}
	if err := notifiable(p); err != nil {
		return Program{}, err
	}
	bits, err := flags(p)
	if err != nil {
		return Program{}, err
	}
	selected, err := selectArches(p.Architectures, native)
	if err != nil {
		return Program{}, err
	}
	rules, err := readRules(p, fallback)
	if err != nil {
		return Program{}, err
	}
	w, err := rules.write(selected, policy{fallback: fallback, enosys: !permissive(p.DefaultAction)})
	if err != nil {
		return Program{}, err
	}
	if w.overflow() {
		return Program{}, fmt.Errorf("the filter has more than %d instructions, which is what the kernel takes", maxInstructions)
	}
	return Program{Filter: w.program(), Flags: bits}, nil
}

// selectArches returns the native architecture, then the others of the profile, each once. Those of the other byte order are
// left out: no machine runs both.
func selectArches(names []specs.Arch, native specs.Arch) ([]arch, error) {
	first, ok := findArch(native)
	if !ok {
		return nil, fmt.Errorf("architecture %s is not supported", native)
	}
	selected := []arch{first}
	for i, name := range names {
		a, ok := findArch(name)
		switch {
		case ok && a.bigEndian == first.bigEndian && !slices.Contains(selected, a):
			selected = append(selected, a)
		case !ok && !ignorable(name):
			return nil, fmt.Errorf("architectures[%d]: unknown architecture %q", i, name)
		}
	}
	return selected, nil
}

// write is the whole filter: which architecture, then its numbers.
func (b *book) write(selected []arch, p policy) (*writer, error) {
	w := &writer{code: make([]bpf.RawInstruction, 0, 512), big: selected[0].bigEndian}
	for _, a := range selected {
		p.x64, p.x32 = p.x64 || a.column == x86_64, p.x32 || a.column == x32
	}
	otherwise := w.ret(unix.SECCOMP_RET_KILL_THREAD)
	done := map[uint32]bool{}
	for _, a := range slices.Backward(selected) {
		if done[a.audit] {
			continue
		}
		done[a.audit] = true
		list, err := b.list(a, p)
		if err != nil {
			return nil, err
		}
		start, err := w.search(list)
		if err != nil {
			return nil, err
		}
		w.from(start)
		body := w.load(offsetNr)
		otherwise = w.branch(opIfEqual, a.audit, body, otherwise)
	}
	w.load(offsetArch)
	return w, nil
}

func (b *book) list(a arch, p policy) (spans, error) {
	if a.column == x86_64 || a.column == x32 {
		x64, _ := findArch(specs.ArchX86_64)
		x32, _ := findArch(specs.ArchX32)
		return b.halves(x64, x32, p)
	}
	return b.all(a, p)
}

// Bytes returns the filter as the array of struct sock_filter {u16 code; u8 jt, jf; u32 k} that seccomp(2) takes, in this
// machine's byte order.
func (p Program) Bytes() []byte {
	b := make([]byte, 0, 8*len(p.Filter))
	for _, in := range p.Filter {
		b = binary.NativeEndian.AppendUint16(b, in.Op)
		b = append(b, in.Jt, in.Jf)
		b = binary.NativeEndian.AppendUint32(b, in.K)
	}
	return b
}
