package seccomp

import (
	"math"
	"slices"

	"golang.org/x/sys/unix"
)

// span is a run of system call numbers, from first up to the next span's, with one verdict.
type span struct {
	first   uint32
	verdict verdict
}

// spans is a list of runs in the making. Neighbours with the same plain verdict become one run, which is what makes the
// search small.
type spans []span

func (s spans) add(first uint32, v verdict) spans {
	if n := len(s); n > 0 && s[n-1].verdict.plain() && v.plain() && s[n-1].verdict.ret == v.ret {
		return s
	}
	return append(s, span{first, v})
}

// policy is what a profile says besides its rules.
type policy struct {
	fallback uint32 // the default action
	enosys   bool   // calls that are newer than the profile do not exist
	x64, x32 bool   // x86-64 has two sets of numbers: which the profile lists
}

// numbers is one architecture in the making: runs from a number on, the first number behind them, and the last one that the profile names.
type numbers struct {
	spans
	next, last uint32
}

// lastNamed is the largest number that the profile names; 0: none. Calls that go through a door do not count, as in runc.
func (b *book) lastNamed(a arch, d *doors) uint32 {
	for _, row := range slices.Backward(ordered[a.column]) {
		if b.named[row] && !d.through(int(row)) {
			return uint32(table[row].numbers[a.column])
		}
	}
	return 0
}

// numbers lists the runs of one architecture's calls.
func (b *book) numbers(a arch, p policy, n numbers) (numbers, error) {
	var doors doors
	if a.funnels {
		doors = b.funnelled()
	}
	list := make([]*rule, 0, 8)
	n.last = b.lastNamed(a, &doors)
	for _, r := range ordered[a.column] {
		row := int(r)
		nr := uint32(table[row].numbers[a.column])
		if list = doors.rules(row, b.of(row, list)); len(list) == 0 {
			continue
		}
		v, err := judge(a, p.fallback, list)
		if err != nil {
			return n, conflict(row, err)
		}
		if nr <= n.last || !p.newer(n.last) { // beyond it only a door can have rules
			n.add(nr, v, p.fallback)
		}
	}
	if n.last >= n.next {
		n.add(n.last, verdict{ret: p.fallback}, p.fallback)
	}
	return n, b.elsewhere(a, p.fallback, list)
}

// elsewhere refuses rules that contradict each other about a call that the architecture does not have: the profile is wrong,
// wherever it is used.
func (b *book) elsewhere(a arch, fallback uint32, list []*rule) error {
	for _, c := range b.calls {
		if c.next == 0 || len(b.rules[c.rule].args) == 0 || table[c.row].numbers[a.column] >= 0 {
			continue
		}
		if _, err := judge(a, fallback, b.of(int(c.row), list)); err != nil {
			return conflict(int(c.row), err)
		}
	}
	return nil
}

// add appends one number; those between the last one and it have the default action.
func (n *numbers) add(nr uint32, v verdict, fallback uint32) {
	if nr > n.next {
		n.spans = n.spans.add(n.next, verdict{ret: fallback})
	}
	n.spans = n.spans.add(nr, v)
	n.next = nr + 1
}

// beyond is what becomes of numbers above all that the profile names.
func (p policy) beyond(last uint32) verdict {
	if p.newer(last) {
		return verdict{ret: retEnosys}
	}
	return verdict{ret: p.fallback}
}

// newer tells whether such numbers are answered as if the kernel did not know them.
func (p policy) newer(last uint32) bool { return p.enosys && last > 0 }

// all lists the runs of one architecture over all numbers.
func (b *book) all(a arch, p policy) (spans, error) {
	n, err := b.numbers(a, p, numbers{spans: make(spans, 0, 256)})
	if err != nil {
		return nil, err
	}
	s := n.spans.add(n.next, p.beyond(n.last))
	if (a.column == s390 || a.column == s390x) && p.newer(n.last) {
		s = setupIsGone(s)
	}
	return s, nil
}

// setupIsGone answers call 0 of s390 with ENOSYS: it was setup(2) once, and is what a filter sees in the place of a number
// that the kernel does not know.
func setupIsGone(s spans) spans {
	gone := spans{{0, verdict{ret: retEnosys}}}
	for i, one := range s {
		if one.first == 0 {
			if i+1 < len(s) && s[i+1].first == 1 {
				continue
			}
			one.first = 1
		}
		gone = gone.add(one.first, one.verdict)
	}
	return gone
}

// halves lists the runs of x86-64 and x32, which share their AUDIT_ARCH: bit 30 tells them apart. A half that the profile does
// not list is a second door to the same kernel functions, and kills. Minus one is no call: a tracer writes it in a call's place
// to have the call skipped, and gets the default action (seccomp(2)).
func (b *book) halves(x64, x32 arch, p policy) (spans, error) {
	kill, plain := verdict{ret: unix.SECCOMP_RET_KILL_THREAD}, verdict{ret: p.fallback}
	lower := numbers{spans: make(spans, 0, 256).add(0, kill)}
	upper64, upper32, minusOne := plain, kill, plain
	if p.x64 {
		var err error
		if lower, err = b.numbers(x64, p, numbers{spans: make(spans, 0, 256)}); err != nil {
			return nil, err
		}
		upper64 = p.beyond(lower.last)
		lower.spans = lower.spans.add(lower.next, upper64)
		if !p.x32 && !p.newer(lower.last) {
			upper64 = kill
		}
	}
	upper := numbers{spans: lower.spans.add(x32Bit, kill)}
	if p.x32 {
		var err error
		if upper, err = b.numbers(x32, p, numbers{spans: lower.spans, next: x32Bit}); err != nil {
			return nil, err
		}
		upper32 = p.beyond(upper.last)
		minusOne = upper32
		upper.spans = upper.spans.add(upper.next, upper32)
	}
	return upper.spans.add(2*x32Bit, upper64).add(3*x32Bit, upper32).add(math.MaxUint32, minusOne), nil
}
