package cgroup

import (
	"fmt"
	"math"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Unlimited stands for "no limit" wherever this package gives a limit.
const Unlimited = math.MaxUint64

// write is one value for one file of a group.
type write struct {
	controller string // names the hierarchy
	file       string
	value      string
	instead    string // if file does not exist: this one, with orValue
	orValue    string
	optional   bool // the value asks for nothing: without the file nothing is lost
}

func (w write) String() string { return fmt.Sprintf("%s: %s <- %q", w.controller, w.file, w.value) }

// facts is what a plan needs to know of the machine and of the group as it is. Plans stay pure: set.go
// gathers the facts, tests invent them.
type facts struct {
	version func(controller string) int // of the hierarchy that serves it: 1, 2, or 0 for none

	memLimit uint64 // memory.limit_in_bytes or memory.max now
	memSwap  uint64 // v1: memory.memsw.limit_in_bytes now
	memUsage uint64
	noSwap   bool // this kernel does not account for swap

	period uint64 // CPU bandwidth now, in microseconds
	quota  string // "max" or "-1" for none
	burst  uint64

	rtPeriod uint64 // v1: of the real-time budget
}

// plan translates resources into writes, in an order that the kernel accepts. devices on v2 are not files:
// see devices_v2.go.
func plan(now facts, r *specs.LinuxResources) ([]write, error) {
	if r == nil {
		return nil, nil
	}
	var all []write
	for _, part := range []func(facts, *specs.LinuxResources) ([]write, error){
		planDevices, planCpuset, planCPU, planMemory, planPids, planIO, planHugetlb, planRdma, planNetwork, planUnified,
	} {
		writes, err := part(now, r)
		if err != nil {
			return nil, err
		}
		all = append(all, writes...)
	}
	return all, nil
}

// NoControllerError says that a limit was asked for and cannot be held here.
type NoControllerError struct {
	Controller string // "memory"
	For        string // the resource or file that needs it
	Why        string
}

func (e *NoControllerError) Error() string {
	return fmt.Sprintf("%s needs the cgroup controller %s: %s", e.For, e.Controller, e.Why)
}

// need returns the version that serves a controller, or a NoControllerError.
func (f facts) need(controller, what string) (int, error) {
	if v := f.version(controller); v != 0 {
		return v, nil
	}
	return 0, &NoControllerError{Controller: controller, For: what, Why: "no mounted hierarchy has it"}
}

// orMax formats a v2 limit: every negative number is "max".
func orMax(n int64) string {
	if n < 0 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

func itoa[N int64 | uint64 | uint32 | uint16 | int](n N) string { return fmt.Sprint(n) }

// set reports whether an optional number asks for something: in runtime-spec resources nil and, as in
// runc, 0 mean "leave it".
func set[N int64 | uint64 | uint16](n *N) bool { return n != nil && *n != 0 }
