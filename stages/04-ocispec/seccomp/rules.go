package seccomp

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// check is one way to reach a verdict: all conditions hold.
type check struct {
	args []specs.LinuxSeccompArg
	ret  uint32
}

// verdict is what becomes of one system call: the first check that holds decides, otherwise ret.
type verdict struct {
	checks []check
	ret    uint32
}

// span is a run of system call numbers, from first up to the next span's, with one verdict.
type span struct {
	first   uint32
	verdict verdict
}

// rule is an entry of the profile with its action translated.
type rule struct {
	names []string
	ret   uint32
	sets  [][]specs.LinuxSeccompArg // alternatives; nil means unconditional
}

// rules translates the profile's entries. An entry that says what the default says anyway is dropped, as in runc.
func rules(p *specs.LinuxSeccomp, fallback uint32) ([]rule, error) {
	list := make([]rule, 0, len(p.Syscalls))
	for i, s := range p.Syscalls {
		r, err := ret(s.Action, s.ErrnoRet)
		if err != nil {
			return nil, fmt.Errorf("syscalls[%d]: %w", i, err)
		}
		for j, a := range s.Args {
			if err := validArg(a); err != nil {
				return nil, fmt.Errorf("syscalls[%d].args[%d]: %w", i, j, err)
			}
		}
		if r != fallback {
			list = append(list, rule{names: s.Names, ret: r, sets: alternatives(s.Args)})
		}
	}
	return list, nil
}

func validArg(a specs.LinuxSeccompArg) error {
	if a.Index > 5 {
		return fmt.Errorf("index %d: a system call has six arguments, 0 to 5", a.Index)
	}
	switch a.Op {
	case specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual:
		return nil
	}
	return fmt.Errorf("unknown operator %q", a.Op)
}

// alternatives splits conditions: those on different arguments must all hold, but two on the same argument are
// alternatives (libseccomp allows one condition per argument and rule, so runc makes a rule of each).
func alternatives(args []specs.LinuxSeccompArg) [][]specs.LinuxSeccompArg {
	if len(args) == 0 {
		return nil
	}
	seen := [6]bool{}
	for _, a := range args {
		if seen[a.Index] {
			sets := make([][]specs.LinuxSeccompArg, len(args))
			for i := range args {
				sets[i] = args[i : i+1]
			}
			return sets
		}
		seen[a.Index] = true
	}
	return [][]specs.LinuxSeccompArg{args}
}

// verdicts applies the rules to one architecture: number -> verdict. An unconditional rule beats conditional ones on the
// same call, the first of several beats the later ones: what libseccomp makes of the same list.
func verdicts(a arch, list []rule, fallback uint32) map[uint32]verdict {
	byNumber := make(map[uint32]verdict, 512)
	settled := make(map[uint32]bool, 512)
	for _, r := range list {
		for _, name := range r.names {
			row := lookup(name)
			if row == nil || row.numbers[a.column] < 0 {
				continue
			}
			nr := uint32(row.numbers[a.column])
			if settled[nr] {
				continue
			}
			if r.sets == nil {
				byNumber[nr], settled[nr] = verdict{ret: r.ret}, true
				continue
			}
			v, ok := byNumber[nr]
			if !ok {
				v.ret = fallback
			}
			for _, set := range r.sets {
				v.checks = append(v.checks, check{set, r.ret})
			}
			byNumber[nr] = v
		}
	}
	return byNumber
}

// spans turns verdicts into runs that cover every number from first on: gaps get the fallback, and what lies above the
// last call that the profile names gets beyond. Neighbours with the same plain verdict become one run, which is what makes
// the search tree small.
func spans(first uint32, byNumber map[uint32]verdict, fallback, beyond uint32) []span {
	numbers := make([]uint32, 0, len(byNumber))
	for nr := range byNumber {
		numbers = append(numbers, nr)
	}
	slices.Sort(numbers)
	var list []span
	add := func(nr uint32, v verdict) {
		if n := len(list); n > 0 && v.checks == nil && list[n-1].verdict.checks == nil && list[n-1].verdict.ret == v.ret {
			return
		}
		list = append(list, span{nr, v})
	}
	next := first
	for _, nr := range numbers {
		if nr > next {
			add(next, verdict{ret: fallback})
		}
		add(nr, byNumber[nr])
		next = nr + 1
	}
	add(next, verdict{ret: beyond})
	return list
}
