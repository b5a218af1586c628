package cgroup

import (
	"strings"
)

// RdmaStats are what a group holds of one RDMA device, and may hold (rdma.rst).
type RdmaStats struct {
	Handles      uint64 `json:"hca_handle"`
	HandlesLimit uint64 `json:"hca_handle_limit"`
	Objects      uint64 `json:"hca_object"`
	ObjectsLimit uint64 `json:"hca_object_limit"`
}

// MiscStats count a scarce thing of the machine that is no memory: encryption ids of guests, say (cgroup-v2.rst,
// "Misc").
type MiscStats struct {
	Current uint64 `json:"current"`
	Limit   uint64 `json:"limit"`
}

func (p place) rdma(s *Stats) error {
	current, err := p.read("rdma.current")
	if err != nil {
		return err
	}
	limit, err := p.read("rdma.max")
	if err != nil {
		return err
	}
	used, most := nestedKeyed(current), nestedKeyed(limit)
	for device, n := range used {
		if s.Rdma == nil {
			s.Rdma = map[string]RdmaStats{}
		}
		s.Rdma[device] = RdmaStats{
			Handles: n["hca_handle"], Objects: n["hca_object"],
			HandlesLimit: orUnlimited(most[device], "hca_handle"), ObjectsLimit: orUnlimited(most[device], "hca_object"),
		}
	}
	return nil
}

func (p place) misc(s *Stats) error {
	current, err := p.read("misc.current")
	if err != nil {
		return err
	}
	limit, err := p.read("misc.max") // the root has none
	if err != nil && !gone(err) {
		return err
	}
	most := map[string]uint64{}
	for line := range strings.Lines(limit) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := parseLimit(value); err == nil {
			most[key] = n
		}
	}
	for name, n := range flatKeyed(current) {
		if s.Misc == nil {
			s.Misc = map[string]MiscStats{}
		}
		s.Misc[name] = MiscStats{Current: n, Limit: orUnlimited(most, name)}
	}
	return nil
}

func orUnlimited(m map[string]uint64, key string) uint64 {
	if n, ok := m[key]; ok {
		return n
	}
	return Unlimited
}

// nestedKeyed reads lines of "name key=number key=max" (cgroup-v2.rst, "Nested keyed").
func nestedKeyed(data string) map[string]map[string]uint64 {
	all := map[string]map[string]uint64{}
	for line := range strings.Lines(data) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		m := map[string]uint64{}
		for _, field := range fields[1:] {
			key, value, _ := strings.Cut(field, "=")
			if n, err := parseLimit(value); err == nil {
				m[key] = n
			}
		}
		all[fields[0]] = m
	}
	return all
}
