// Package seccomp compiles the seccomp profile of config.json to a filter of classic BPF that the kernel runs before every
// system call (seccomp(2)). It is pure: a profile in, a program out, and the program can be run in an interpreter.
//
// The program looks at the architecture, then searches the call's number in a binary tree of runs of equal verdicts (a
// filter is executed for every system call; a chain of comparisons, which libseccomp makes by default, costs a hundred steps
// where this takes eight), and only then at arguments.
//
// What happens to calls that the profile does not name follows runc: those up to the largest number that it does name get
// the default action, newer ones ENOSYS, because the profile's author could not know them.
package seccomp

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
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
	if p.ListenerPath != "" {
		return Program{}, fmt.Errorf("listenerPath %q: the seccomp listener is not supported yet", p.ListenerPath)
	}
	fallback, err := ret(p.DefaultAction, p.DefaultErrnoRet)
	if err != nil {
		return Program{}, fmt.Errorf("defaultAction: %w", err)
	}
	list, err := rules(p, fallback)
	if err != nil {
		return Program{}, err
	}
	selected, err := selectArches(p.Architectures, native)
	if err != nil {
		return Program{}, err
	}
	bits, err := flags(p)
	if err != nil {
		return Program{}, err
	}
	beyond := fallback
	if !permissive(p.DefaultAction) {
		beyond = retEnosys
	}
	filter, err := perArch(selected, list, fallback, beyond)
	if err != nil {
		return Program{}, err
	}
	if len(filter) > maxInstructions {
		return Program{}, fmt.Errorf("the filter has %d instructions, the kernel takes %d", len(filter), maxInstructions)
	}
	return Program{Filter: filter, Flags: bits}, nil
}

// selectArches returns the native architecture, then the others of the profile, each once.
func selectArches(names []specs.Arch, native specs.Arch) ([]arch, error) {
	first, ok := findArch(native)
	if !ok {
		return nil, fmt.Errorf("architecture %s is not supported", native)
	}
	selected := []arch{first}
	for i, name := range names {
		a, ok := findArch(name)
		switch {
		case ok && !slices.Contains(selected, a):
			selected = append(selected, a)
		case !ok && !ignorable(name):
			return nil, fmt.Errorf("architectures[%d]: unknown architecture %q", i, name)
		}
	}
	return selected, nil
}

// perArch is the whole filter: which architecture, then its tree. x32 shares x86-64's and is told apart by a bit.
func perArch(selected []arch, list []rule, fallback, beyond uint32) (code, error) {
	filter := code{}.ret(unix.SECCOMP_RET_KILL_THREAD)
	for i := len(selected) - 1; i >= 0; i-- {
		a := selected[i]
		if a.column == x32 {
			continue
		}
		body := code{}.load(offsetNr)
		calls, err := search(a, compileSpans(a, list, fallback, beyond))
		if err != nil {
			return nil, err
		}
		if a.column == x86_64 {
			other, err := x32Calls(selected, list, fallback, beyond)
			if err != nil {
				return nil, err
			}
			calls = branch(opIfAtOr, x32Bit, other, calls)
		}
		filter = branch(opIfEqual, a.audit, append(body, calls...), filter)
	}
	return append(code{}.load(offsetArch), filter...), nil
}

// x32Calls kills x32's calls unless the profile lists x32: nobody asked for them, and they are a second door to the same
// kernel functions.
func x32Calls(selected []arch, list []rule, fallback, beyond uint32) (code, error) {
	i := slices.IndexFunc(selected, func(a arch) bool { return a.column == x32 })
	if i < 0 {
		return code{}.ret(unix.SECCOMP_RET_KILL_THREAD), nil
	}
	return search(selected[i], compileSpans(selected[i], list, fallback, beyond))
}

func compileSpans(a arch, list []rule, fallback, beyond uint32) []span {
	first := uint32(0)
	if a.column == x32 {
		first = x32Bit
	}
	return spans(first, verdicts(a, list, fallback), fallback, beyond)
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
