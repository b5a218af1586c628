package seccomp

import (
	"errors"
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// rule is what one entry of the profile says about each of its calls: under all these conditions, this.
type rule struct {
	ret  uint32
	args []specs.LinuxSeccompArg // in the order of their indexes, each index once; none: always
}

// book holds the rules of a profile by system call, in the profile's order.
type book struct {
	rules []rule
	calls []call  // in the order of the profile
	first []int32 // per row of the table: index into calls + 1; 0: none
	last  []int32
	named []bool // rows that the profile names, even if only to repeat the default
}

// call is one rule as it holds for one system call.
type call struct {
	row, rule int32
	next      int32 // the row's next call + 1; 0: none
}

// readRules translates the profile's entries. One that says what the default says anyway is dropped, as in runc.
func readRules(p *specs.LinuxSeccomp, fallback uint32) (*book, error) {
	names := 0
	for _, s := range p.Syscalls {
		names += len(s.Names)
	}
	b := &book{
		calls: make([]call, 0, names+names/4), first: make([]int32, len(table)), last: make([]int32, len(table)), named: make([]bool, len(table)),
	}
	for i, s := range p.Syscalls {
		r, err := ret(s.Action, s.ErrnoRet)
		if err != nil {
			return nil, fmt.Errorf("syscalls[%d]: %w", i, err)
		}
		if err := validCall(s); err != nil {
			return nil, fmt.Errorf("syscalls[%d]%w", i, err)
		}
		b.add(s, r, r == fallback)
	}
	return b, nil
}

func (b *book) add(s specs.LinuxSyscall, r uint32, redundant bool) {
	from := int32(len(b.rules))
	if !redundant {
		for _, args := range alternatives(s.Args) {
			b.rules = append(b.rules, rule{ret: r, args: args})
		}
	}
	row, ok := -1, false
	for _, name := range s.Names {
		at := 0
		if at, ok = find(name, row); !ok {
			continue
		}
		row = at
		b.named[row] = true
		for n := from; n < int32(len(b.rules)); n++ {
			b.calls = append(b.calls, call{row: int32(row), rule: n})
			if b.first[row] == 0 {
				b.first[row] = int32(len(b.calls))
			} else {
				b.calls[b.last[row]-1].next = int32(len(b.calls))
			}
			b.last[row] = int32(len(b.calls))
		}
	}
}

func validCall(s specs.LinuxSyscall) error {
	if slices.Contains(s.Names, "") {
		return errors.New(".names: an empty string is not a system call")
	}
	for j, a := range s.Args {
		if err := validArg(a); err != nil {
			return fmt.Errorf(".args[%d]: %w", j, err)
		}
	}
	return nil
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
		return [][]specs.LinuxSeccompArg{nil}
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
	sorted := slices.Clone(args)
	slices.SortFunc(sorted, func(a, b specs.LinuxSeccompArg) int { return int(a.Index) - int(b.Index) })
	return [][]specs.LinuxSeccompArg{sorted}
}

// of lists the rules of a row, in the profile's order, in the memory of list.
func (b *book) of(row int, list []*rule) []*rule {
	list = list[:0]
	for n := b.first[row]; n != 0; n = b.calls[n-1].next {
		list = append(list, &b.rules[b.calls[n-1].rule])
	}
	return list
}
