package cgroup

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// planIO translates the spec's blockIO: v1 has a file for each limit, v2 one line of io.max for all.
func planIO(now facts, r *specs.LinuxResources) ([]write, error) {
	b := r.BlockIO
	if b == nil {
		return nil, nil
	}
	version := now.version("blkio")
	weights, err := ioWeights(version, b)
	if err != nil {
		return nil, err
	}
	all := append(weights, ioLimits(version, b)...)
	if len(all) == 0 {
		return nil, nil
	}
	if _, err := now.need("blkio", "a block I/O limit"); err != nil {
		return nil, err
	}
	return all, nil
}

// ioWeights: the plain files are of a scheduler that left the kernel with 5.0 (v1), or of the iocost model (v2);
// where they are missing, or where BFQ is the scheduler, its own files rule.
func ioWeights(version int, b *specs.LinuxBlockIO) ([]write, error) {
	var all []write
	add := func(device string, weight, leaf *uint16) error {
		if set(leaf) && version == 2 {
			return fmt.Errorf("blockIO.leafWeight: cgroup v2 has none")
		}
		if set(weight) {
			all = append(all, ioWeightWrite(version, device, *weight))
		}
		if set(leaf) {
			all = append(all, write{controller: "blkio", file: "blkio.leaf_weight" + suffix(device), value: device + itoa(*leaf)})
		}
		return nil
	}
	if err := add("", b.Weight, b.LeafWeight); err != nil {
		return nil, err
	}
	for _, d := range b.WeightDevice {
		if err := add(fmt.Sprintf("%d:%d ", d.Major, d.Minor), d.Weight, d.LeafWeight); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// ioWeightWrite sets the weight for all devices, or for "8:0 ".
func ioWeightWrite(version int, device string, weight uint16) write {
	if version == 2 {
		return write{
			controller: "blkio", file: "io.bfq.weight", value: device + itoa(weight),
			instead: "io.weight", orValue: device + itoa(ioWeight(weight)),
		}
	}
	line := device + itoa(weight)
	return write{
		controller: "blkio", file: "blkio.weight" + suffix(device), value: line,
		instead: "blkio.bfq.weight" + suffix(device), orValue: line,
	}
}

func suffix(device string) string {
	if device == "" {
		return ""
	}
	return "_device"
}

// ioWeight maps v1's 10 to 1000 linearly to v2's 1 to 10000, as runc and crun do.
func ioWeight(v1 uint16) uint64 {
	return 1 + (uint64(max(v1, 10))-10)*9999/990
}

func ioLimits(version int, b *specs.LinuxBlockIO) []write {
	var all []write
	for _, l := range []struct {
		v1, v2  string
		devices []specs.LinuxThrottleDevice
	}{
		{"blkio.throttle.read_bps_device", "rbps", b.ThrottleReadBpsDevice},
		{"blkio.throttle.write_bps_device", "wbps", b.ThrottleWriteBpsDevice},
		{"blkio.throttle.read_iops_device", "riops", b.ThrottleReadIOPSDevice},
		{"blkio.throttle.write_iops_device", "wiops", b.ThrottleWriteIOPSDevice},
	} {
		for _, d := range l.devices {
			w := write{controller: "blkio", file: l.v1, value: fmt.Sprintf("%d:%d %d", d.Major, d.Minor, d.Rate)}
			if version == 2 {
				rate := itoa(d.Rate)
				if d.Rate == 0 { // v1's way to say "no limit"
					rate = "max"
				}
				w.file, w.value = "io.max", fmt.Sprintf("%d:%d %s=%s", d.Major, d.Minor, l.v2, rate)
			}
			all = append(all, w)
		}
	}
	return all
}
