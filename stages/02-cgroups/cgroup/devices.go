package cgroup

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// planDevices writes the list to v1's devices.allow and devices.deny, in its order: the kernel keeps the set.
// On v2 there is no such file: see deviceProgram.
func planDevices(now facts, r *specs.LinuxResources) ([]write, error) {
	if r.Devices == nil {
		return nil, nil
	}
	version, err := now.need("devices", "the device list")
	if err != nil || version == 2 {
		return nil, err
	}
	rules, err := deviceRules(r.Devices)
	if err != nil {
		return nil, err
	}
	var all []write
	for _, rule := range telling(rules) {
		file := "devices.deny"
		if rule.allow {
			file = "devices.allow"
		}
		all = append(all, write{controller: "devices", file: file, value: rule.String()})
	}
	return all, nil
}

// telling leaves out the rules that change nothing: Docker repeats those that every container gets. What the kernel holds is known
// from a rule that denies all devices on; allowing all brings the parent's exceptions along, so behind that every rule stays.
func telling(rules []deviceRule) []deviceRule {
	var out []deviceRule
	var now deviceSet
	for _, r := range rules {
		known := now.exceptions != nil
		if known && now.unchanged(r) {
			continue
		}
		out = append(out, r)
		switch {
		case r.kind == 'a' && r.allow:
			now = deviceSet{}
		case known || r.kind == 'a':
			now.apply(r)
		}
	}
	return out
}

// any stands for every major or minor number.
const anyNumber = -1

// device is what a rule speaks of.
type device struct {
	kind         byte // 'a' all, 'b' block, 'c' character
	major, minor int64
}

// deviceRule allows or denies some of rwm on a device.
type deviceRule struct {
	device
	allow  bool
	access access
}

// String is the kernel's syntax: "c 1:3 rwm", "b *:* m", "a" (devices.rst).
func (r deviceRule) String() string {
	if r.kind == 'a' {
		return "a"
	}
	star := func(n int64) string {
		if n == anyNumber {
			return "*"
		}
		return itoa(n)
	}
	return fmt.Sprintf("%c %s:%s %s", r.kind, star(r.major), star(r.minor), r.access)
}

// access is a set of BPF_DEVCG_ACC_*.
type access uint32

const (
	accessMknod access = 1 << iota
	accessRead
	accessWrite
	accessAll = accessMknod | accessRead | accessWrite
)

func (a access) String() string {
	s := ""
	for _, letter := range "rwm" {
		if a&accessLetter(letter) != 0 {
			s += string(letter)
		}
	}
	return s
}

func accessLetter(letter rune) access {
	switch letter {
	case 'r':
		return accessRead
	case 'w':
		return accessWrite
	case 'm':
		return accessMknod
	}
	return 0
}

func parseAccess(s string) (access, error) {
	if s == "" {
		return accessAll, nil
	}
	var a access
	for _, letter := range s {
		bit := accessLetter(letter)
		if bit == 0 {
			return 0, fmt.Errorf("access %q: only r, w and m are known", s)
		}
		a |= bit
	}
	return a, nil
}

// deviceRules checks the spec's list. A rule for all devices but only some access is two rules, as the kernel
// takes "a" for everything at once.
func deviceRules(list []specs.LinuxDeviceCgroup) ([]deviceRule, error) {
	var rules []deviceRule
	for i, d := range list {
		acc, err := parseAccess(d.Access)
		if err != nil {
			return nil, fmt.Errorf("devices[%d]: %w", i, err)
		}
		rule := deviceRule{device{'a', number(d.Major), number(d.Minor)}, d.Allow, acc}
		switch d.Type {
		case "c", "u":
			rule.kind = 'c'
		case "b":
			rule.kind = 'b'
		case "", "a":
		default:
			return nil, fmt.Errorf("devices[%d]: type %q: only a, b, c and u are known", i, d.Type)
		}
		if rule.kind != 'a' || (acc == accessAll && rule.major == anyNumber && rule.minor == anyNumber) {
			rules = append(rules, rule)
			continue
		}
		for _, kind := range []byte{'b', 'c'} {
			rule.kind = kind
			rules = append(rules, rule)
		}
	}
	return rules, nil
}

func number(n *int64) int64 {
	if n == nil || *n < 0 {
		return anyNumber
	}
	return *n
}

// deviceSet is what v1's kernel makes of a list: a default, and exceptions to it.
type deviceSet struct {
	allow      bool
	order      []device
	exceptions map[device]access
}

// newDeviceSet replays the rules. Like the kernel it starts with everything allowed.
func newDeviceSet(rules []deviceRule) deviceSet {
	s := deviceSet{allow: true, exceptions: map[device]access{}}
	for _, r := range rules {
		s.apply(r)
	}
	return s
}

// apply is the kernel's: a rule of the default's own kind takes away from an exception for exactly the same device.
func (s *deviceSet) apply(r deviceRule) {
	switch {
	case r.kind == 'a':
		*s = deviceSet{allow: r.allow, exceptions: map[device]access{}}
	case r.allow == s.allow:
		s.exceptions[r.device] &^= r.access
	default:
		if _, known := s.exceptions[r.device]; !known {
			s.order = append(s.order, r.device)
		}
		s.exceptions[r.device] |= r.access
	}
}

// unchanged tells whether a rule would leave the set as it is.
func (s *deviceSet) unchanged(r deviceRule) bool {
	have := s.exceptions[r.device] & r.access
	switch {
	case r.kind == 'a':
		return r.allow == s.allow && len(s.exceptions) == 0
	case r.allow == s.allow:
		return have == 0
	}
	return have == r.access
}
