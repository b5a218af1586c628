// Package devices knows which devices every container may use, whatever config.json says.
package devices

import "github.com/opencontainers/runtime-spec/specs-go"

// Allow returns a copy of the resources whose device rules start from "nothing" and end with what every container gets: its
// default devices (runtime-spec config-linux.md), its terminals, and making nodes, which is harmless as long as they cannot be
// opened. All runtimes add these rules, so callers do not.
func Allow(r *specs.LinuxResources) *specs.LinuxResources {
	out := specs.LinuxResources{}
	if r != nil {
		out = *r
	}
	out.Devices = append([]specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}, out.Devices...)
	for _, d := range []struct {
		kind         string
		major, minor int64
		access       string
	}{
		{"c", -1, -1, "m"},
		{"b", -1, -1, "m"},
		{"c", 1, 3, "rwm"},
		{"c", 1, 5, "rwm"},
		{"c", 1, 7, "rwm"},
		{"c", 1, 8, "rwm"},
		{"c", 1, 9, "rwm"},
		{"c", 5, 0, "rwm"},
		{"c", 5, 2, "rwm"},
		{"c", 136, -1, "rwm"},
	} {
		rule := specs.LinuxDeviceCgroup{Allow: true, Type: d.kind, Access: d.access}
		if d.major >= 0 {
			rule.Major = &d.major
		}
		if d.minor >= 0 {
			rule.Minor = &d.minor
		}
		out.Devices = append(out.Devices, rule)
	}
	return &out
}
