package seccomp

import (
	"errors"
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Rules with conditions become a decision tree, in the way libseccomp does it, so that overlapping rules have the same verdict
// here and there. A level is a list of tests that are tried in turn; each test leads, when it holds and when it does not, to a
// verdict, to a level below, or on to its neighbour. The order of a level does not depend on the order of the profile: tests of
// later arguments come first, then equality before "less" before "greater", then larger values. So of two rules that both
// match, the one with the narrower test decides, which is what people mean.

// test compares 32 bits of an argument with a value.
type test struct {
	arg         uint
	high        bool // the upper word
	op          specs.LinuxSeccompOperator
	asked       specs.LinuxSeccompOperator // what the profile says; op is its form as EQ, MASKED_EQ, GT or GE
	mask, value uint32
	whole       uint64 // the value that this is half of
	yes, no     way
	level       *level
}

// way is where a test leads.
type way struct {
	decided bool
	ret     uint32
	next    *test // some test of the level below
}

type level struct{ tests []*test }

// errConflict is a rule that says something else about what an earlier rule covers.
var errConflict = errors.New("it contradicts an earlier rule for the same arguments")

// newTest makes a test that is alone on its level.
func newTest(t test) *test {
	t.value &= t.mask
	p := &t
	p.level = &level{[]*test{p}}
	return p
}

// ends are the ways of a condition that hold when the condition holds.
type ends []*way

// chain is the tree of one rule: its conditions one below the other. nil: it holds always.
func chain(a arch, r *rule) *test {
	var top *test
	var open ends
	for _, c := range r.args {
		if vacuous(a, c) {
			continue
		}
		head, hold := comparison(a, c)
		for _, w := range open {
			w.next = head
		}
		if top == nil {
			top = head
		}
		open = hold
	}
	for _, w := range open {
		*w = way{decided: true, ret: r.ret}
	}
	return top
}

// vacuous conditions mask all bits that the architecture looks at.
func vacuous(a arch, c specs.LinuxSeccompArg) bool {
	return c.Op == specs.OpMaskedEqual && uint32(c.Value) == 0 && (a.narrow || c.Value>>32 == 0)
}

// comparison is the tree of one condition: its head, and the ways that are taken when it holds.
func comparison(a arch, c specs.LinuxSeccompArg) (*test, ends) {
	mask, value := ^uint64(0), c.Value
	if c.Op == specs.OpMaskedEqual { // value is the mask, valueTwo what must remain (seccomp_rule_add(3))
		mask, value = c.Value, c.ValueTwo
	}
	op, negated := positive(c.Op)
	low := newTest(test{arg: c.Index, op: op, asked: c.Op, mask: uint32(mask), value: uint32(value), whole: value})
	if a.narrow {
		return low, ends{low.end(negated)}
	}
	half := test{arg: c.Index, high: true, op: op, asked: c.Op, mask: uint32(mask >> 32), value: uint32(value >> 32), whole: value}
	if op == specs.OpEqualTo || op == specs.OpMaskedEqual {
		high := newTest(half)
		high.yes.next = low
		if negated {
			return high, ends{&high.no, &low.no}
		}
		return high, ends{&low.yes}
	}
	half.op = specs.OpGreaterThan
	above := newTest(half)
	half.op = specs.OpEqualTo
	equal := newTest(half)
	above.no.next, equal.yes.next = equal, low
	if negated {
		return above, ends{&equal.no, &low.no}
	}
	return above, ends{&above.yes, &low.yes}
}

func (t *test) end(negated bool) *way {
	if negated {
		return &t.no
	}
	return &t.yes
}

// positive returns the operator that a filter can test, and whether its answer is the opposite.
func positive(op specs.LinuxSeccompOperator) (specs.LinuxSeccompOperator, bool) {
	switch op {
	case specs.OpNotEqual:
		return specs.OpEqualTo, true
	case specs.OpLessThan:
		return specs.OpGreaterEqual, true
	case specs.OpLessEqual:
		return specs.OpGreaterThan, true
	}
	return op, false
}

func (t *test) same(o *test) bool {
	return t.arg == o.arg && t.high == o.high && t.op == o.op && t.value == o.value && t.mask == o.mask
}

// behind tells whether t stands behind o on a level.
func (t *test) behind(o *test) bool {
	if t.arg != o.arg {
		return t.arg < o.arg
	}
	if t.high != o.high {
		return !t.high
	}
	if a, b := rank(t.asked), rank(o.asked); a != b {
		return a < b
	}
	if t.asked == specs.OpLessThan || t.asked == specs.OpLessEqual {
		return t.value > o.value
	}
	return t.value < o.value
}

func rank(op specs.LinuxSeccompOperator) int {
	switch op {
	case specs.OpLessThan, specs.OpLessEqual:
		return 2
	case specs.OpGreaterThan, specs.OpGreaterEqual:
		return 1
	}
	return 3
}

// add puts the tree of a rule into a level.
func (l *level) add(n *test) error {
	for i, t := range l.tests {
		if t.same(n) {
			return t.merge(n)
		}
		if t.behind(n) {
			l.tests = slices.Insert(l.tests, i, n)
			n.level = l
			return nil
		}
	}
	l.tests = append(l.tests, n)
	n.level = l
	return nil
}

// merge takes over where an equal test of a new rule leads. The shorter of two rules that agree so far stands for both.
func (t *test) merge(n *test) error {
	if t == n {
		return nil
	}
	leaf := t.yes.next == nil && t.no.next == nil || n.yes.next == nil && n.no.next == nil
	if err := t.yes.settle(n.yes, leaf, n.high && n.whole > t.whole); err != nil {
		return err
	}
	if err := t.no.settle(n.no, leaf, n.high && n.whole < t.whole); err != nil {
		return err
	}
	if done, err := t.yes.follow(n.yes); done || err != nil {
		return err
	}
	_, err := t.no.follow(n.no)
	return err
}

// settle takes over a verdict. wins: of two comparisons that share the upper word, the new one is the stricter.
func (w *way) settle(n way, leaf, wins bool) error {
	switch {
	case !n.decided || w.decided && w.ret == n.ret:
		return nil
	case !w.decided:
		if w.next != nil && !w.next.level.only(n.ret) {
			return errConflict
		}
		*w = way{decided: true, ret: n.ret}
		return nil
	}
	if wins {
		w.ret = n.ret
	}
	if leaf {
		return errConflict
	}
	return nil
}

// follow goes down. done: a verdict stands here already, the new rule adds nothing.
func (w *way) follow(n way) (done bool, err error) {
	switch {
	case n.next == nil:
		return false, nil
	case w.next != nil:
		return false, w.next.level.add(n.next)
	case w.decided:
		return true, nil
	}
	w.next = n.next
	return false, nil
}

// only tells whether all verdicts below are the same.
func (l *level) only(ret uint32) bool {
	for _, t := range l.tests {
		for _, w := range []way{t.yes, t.no} {
			if w.decided && w.ret != ret || w.next != nil && !w.next.level.only(ret) {
				return false
			}
		}
	}
	return true
}

// verdict is what becomes of one system call: ret, or what the tests say, and ret when none of them decides.
type verdict struct {
	ret   uint32
	tests *level
}

func (v verdict) plain() bool { return v.tests == nil }

// judge makes one verdict of a call's rules. One without conditions beats those with some; of several the first counts.
func judge(a arch, fallback uint32, rules []*rule) (verdict, error) {
	v := verdict{ret: fallback}
	for _, r := range rules {
		if len(r.args) == 0 {
			return verdict{ret: r.ret}, nil
		}
		head := chain(a, r)
		switch {
		case head == nil:
			return verdict{ret: r.ret}, nil
		case v.tests == nil:
			v.tests = head.level
		default:
			if err := v.tests.add(head); err != nil {
				return v, err
			}
		}
	}
	return v, nil
}

// conflict names the call that two rules quarrel about.
func conflict(row int, err error) error {
	return fmt.Errorf("syscalls: %s: %w", table[row].name, err)
}
