package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Set gives the group its budget; what r does not mention stays as it is. It stops at the first refusal, and
// the error names the file and the value. A controller that this machine or an ancestor does not offer is a
// [*NoControllerError].
func (g *Group) Set(r *specs.LinuxResources) error {
	if r == nil {
		return nil
	}
	now, err := g.facts(r)
	if err != nil {
		return err
	}
	if g.unit != nil {
		r = inSteps(now, r)
	}
	writes, err := plan(now, r)
	if err != nil {
		return fmt.Errorf("cgroup %s: %w", g.path, err)
	}
	if g.unit != nil {
		if err := g.setUnit(now, r); err != nil {
			return fmt.Errorf("cgroup %s: %w", g.path, err)
		}
	}
	if err := g.setDevicesV2(now, r.Devices); err != nil {
		return err
	}
	for len(writes) > 0 {
		values := ruleRun(writes)
		if err := g.carryOut(writes[0], values); err != nil {
			return err
		}
		writes = writes[len(values):]
	}
	return nil
}

// ruleRun returns the first write's value, and those of the device rules behind it that go to the same file: there are dozens.
func ruleRun(writes []write) []string {
	w := writes[0]
	values := []string{w.value}
	for _, next := range writes[1:] {
		if w.controller != "devices" || next.controller != "devices" || next.file != w.file {
			break
		}
		values = append(values, next.value)
	}
	return values
}

// carryOut does one write of a plan, with all the values that go to its file.
func (g *Group) carryOut(w write, values []string) error {
	p, ok := g.at(w.controller)
	if w.controller == "cgroup" {
		p, ok = g.unified()
	}
	if !ok {
		return &NoControllerError{Controller: w.controller, For: w.file, Why: "no mounted hierarchy has it"}
	}
	if g.layout.mode == Hybrid && p.tree.version == 2 && w.controller != "cgroup" && p.tree.serves(w.controller) {
		if err := p.delegate([]string{w.controller}); err != nil { // Create leaves a hybrid's v2 tree alone
			return err
		}
	}
	err := p.write(w.file, values...)
	if errors.Is(err, fs.ErrNotExist) && w.instead != "" {
		err = p.write(w.instead, w.orValue)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && w.optional:
		return nil
	case errors.Is(err, fs.ErrNotExist) && p.exists():
		return p.noFile(w, err)
	case errors.Is(err, unix.EBUSY) && strings.HasSuffix(w.file, "limit_in_bytes"):
		usage, _ := p.read(strings.Replace(w.file, "limit_in", "usage_in", 1)) // best effort: it explains
		return fmt.Errorf("%w (%s bytes in use cannot be reclaimed)", err, usage)
	case errors.Is(err, unix.EINVAL) && strings.HasPrefix(w.file, "cpu.rt_"):
		return fmt.Errorf("%w (a group has no more real-time budget than the one above it: cpu.rt_runtime_us there)", err)
	}
	return err
}

// noFile turns a missing limit file into the reason.
func (p place) noFile(w write, err error) error {
	why := "this kernel has no such file"
	if p.tree.version == 2 && w.controller != "cgroup" {
		controller := w.controller
		if controller == "blkio" {
			controller = "io"
		}
		why = p.explain(controller)
	}
	return fmt.Errorf("%w: %w", &NoControllerError{Controller: w.controller, For: w.file, Why: why}, err)
}

// facts reads what the plan for r depends on, and no more.
func (g *Group) facts(r *specs.LinuxResources) (facts, error) {
	now := facts{version: func(controller string) int {
		if t := g.layout.find(controller); t != nil {
			return t.version
		}
		return 0
	}, memLimit: Unlimited, memSwap: Unlimited, period: 100000, quota: "max"}
	if c := r.CPU; c != nil && (c.Quota != nil || c.Period != nil || c.Burst != nil || c.RealtimePeriod != nil) {
		if err := g.cpuFacts(&now); err != nil {
			return now, err
		}
	}
	if m := r.Memory; m != nil && (m.Limit != nil || m.Swap != nil) {
		if err := g.memoryFacts(&now); err != nil {
			return now, err
		}
	}
	return now, nil
}

func (g *Group) cpuFacts(now *facts) error {
	p, ok := g.at("cpu")
	if !ok {
		return nil // plan says so
	}
	if p.tree.version == 1 {
		if quota, err := p.read("cpu.cfs_quota_us"); err == nil {
			now.quota = quota
		}
		return errors.Join(p.number("cpu.cfs_period_us", &now.period), p.number("cpu.cfs_burst_us", &now.burst), p.number("cpu.rt_period_us", &now.rtPeriod))
	}
	line, err := p.read("cpu.max")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // carryOut explains it
	}
	if err == nil {
		quota, period, _ := strings.Cut(line, " ")
		now.quota = quota
		now.period, err = strconv.ParseUint(period, 10, 64)
	}
	return errors.Join(err, p.number("cpu.max.burst", &now.burst))
}

func (g *Group) memoryFacts(now *facts) error {
	p, ok := g.at("memory")
	if !ok {
		return nil
	}
	if p.tree.version == 2 {
		return errors.Join(p.number("memory.max", &now.memLimit), p.number("memory.current", &now.memUsage))
	}
	_, err := p.read("memory.memsw.limit_in_bytes")
	now.noSwap = errors.Is(err, fs.ErrNotExist)
	return errors.Join(
		p.number("memory.memsw.limit_in_bytes", &now.memSwap),
		p.number("memory.usage_in_bytes", &now.memUsage))
}

// number reads a file with one number; "max", v1's greatest, and -1 become Unlimited. A file that is not
// there leaves n as it is.
func (p place) number(file string, n *uint64) error {
	data, err := p.read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	v, err := parseLimit(data)
	if err != nil {
		return p.fail("parse", file, err)
	}
	*n = v
	return nil
}

// parseLimit reads "max", "-1" or a number of bytes. v1 gives no limit as the greatest whole number of pages,
// huge ones for hugetlb, below 1<<63: anything from 4 EiB up is meant so.
func parseLimit(s string) (uint64, error) {
	if s = strings.TrimSpace(s); s == "max" || s == "-1" {
		return Unlimited, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err == nil && n >= 1<<62 {
		return Unlimited, nil
	}
	return n, err
}
