package spec

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/slipway-engine/slipway/stages/04-ocispec/netdev"
)

// netDevices checks the devices that move into the container (config-linux.md, "Network Devices").
func netDevices(s *specs.Spec) error {
	if len(s.Linux.NetDevices) == 0 {
		return nil
	}
	if !Has(s, specs.NetworkNamespace) {
		return errors.New("linux.netDevices: unable to move network devices without a private NET namespace")
	}
	taken := map[string]string{}
	for name, d := range s.Linux.NetDevices {
		as := name
		if d.Name != "" {
			as = d.Name
		}
		for _, n := range []string{name, as} {
			if err := netdev.CheckName(n); err != nil {
				return fmt.Errorf("linux.netDevices[%s]: %w", name, err)
			}
		}
		if other, ok := taken[as]; ok {
			return fmt.Errorf("linux.netDevices: %s and %s would both be %s", min(name, other), max(name, other), as)
		}
		taken[as] = name
	}
	return nil
}

// intelRdt checks the names and lines that are written into the resource control file system.
func intelRdt(s *specs.Spec) error {
	r := s.Linux.IntelRdt
	if r == nil {
		return nil
	}
	if id := r.ClosID; id == "." || id == ".." || strings.Contains(id, "/") || id != "" && path.Clean(id) != id {
		return fmt.Errorf("linux.intelRdt.closID: invalid intelRdt.ClosID %q", id)
	}
	lines := append(slices.Clone(r.Schemata), r.L3CacheSchema, r.MemBwSchema)
	for _, l := range lines {
		if err := noNUL("linux.intelRdt", l); err != nil {
			return err
		}
	}
	if strings.Contains(strings.TrimSuffix(r.MemBwSchema, "\n"), "\n") {
		return errors.New("linux.intelRdt.memBwSchema: it is one line")
	}
	return nil
}
