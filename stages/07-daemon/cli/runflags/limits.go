package runflags

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/blkiodev"
)

// limits compiles memory, cpu, processes and ulimits.
func (f *Flags) limits(r *Request, _ Sources) error {
	h := r.HostConfig
	for _, l := range []struct {
		text string
		into *int64
	}{{f.Memory, &h.Memory}, {f.MemoryReservation, &h.MemoryReservation}, {f.MemorySwap, &h.MemorySwap}, {f.ShmSize, &h.ShmSize}} {
		n, err := size(l.text)
		if err != nil {
			return err
		}
		*l.into = n
	}
	if f.MemorySwappiness != -1 && (f.MemorySwappiness < 0 || f.MemorySwappiness > 100) {
		return fmt.Errorf("invalid value: %d. Valid memory swappiness range is 0-100", f.MemorySwappiness)
	}
	h.MemorySwappiness = &f.MemorySwappiness
	var err error
	if h.NanoCPUs, err = nanoCPUs(f.CPUs); err != nil {
		return err
	}
	h.CPUShares, h.CPUPeriod, h.CPUQuota = f.CPUShares, f.CPUPeriod, f.CPUQuota
	h.CPURealtimePeriod, h.CPURealtimeRuntime = f.CPURtPeriod, f.CPURtRuntime
	h.CpusetCpus, h.CpusetMems, h.CgroupParent = f.CpusetCpus, f.CpusetMems, f.CgroupParent
	h.PidsLimit, h.OomKillDisable, h.OomScoreAdj = &f.PidsLimit, &f.OOMKillDisable, f.OOMScoreAdj
	for _, text := range f.Ulimits {
		limit, err := units.ParseUlimit(text)
		if err != nil {
			return FlagError{text, "ulimit", err}
		}
		h.Ulimits = slices.DeleteFunc(h.Ulimits, func(u *units.Ulimit) bool { return u.Name == limit.Name })
		h.Ulimits = append(h.Ulimits, limit)
	}
	slices.SortFunc(h.Ulimits, func(a, b *units.Ulimit) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// nanoCPUs reads a decimal number of processors without the rounding of floating point.
func nanoCPUs(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	cpus, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, FlagError{text, "cpus", fmt.Errorf("failed to parse %v as a rational number", text)}
	}
	nano := cpus.Mul(cpus, big.NewRat(1e9, 1))
	if !nano.IsInt() {
		return 0, FlagError{text, "cpus", errors.New("value is too precise")}
	}
	return nano.Num().Int64(), nil
}

// blockIO compiles the weights and rates of block devices.
func (f *Flags) blockIO(r *Request, _ Sources) error {
	h := r.HostConfig
	h.BlkioWeight = f.BlkioWeight
	for _, text := range f.BlkioWeightDevice {
		path, value, err := devicePair(text)
		if err != nil {
			return err
		}
		weight, err := strconv.ParseUint(value, 10, 16)
		if err != nil || weight > 0 && (weight < 10 || weight > 1000) {
			return fmt.Errorf("invalid weight for device: %s", text)
		}
		h.BlkioWeightDevice = append(h.BlkioWeightDevice, &blkiodev.WeightDevice{Path: path, Weight: uint16(weight)})
	}
	for _, rate := range []struct {
		words []string
		parse func(string) (int64, error)
		into  *[]*blkiodev.ThrottleDevice
	}{
		{f.DeviceReadBps, units.RAMInBytes, &h.BlkioDeviceReadBps},
		{f.DeviceWriteBps, units.RAMInBytes, &h.BlkioDeviceWriteBps},
		{f.DeviceReadIOps, decimal, &h.BlkioDeviceReadIOps},
		{f.DeviceWriteIOps, decimal, &h.BlkioDeviceWriteIOps},
	} {
		for _, text := range rate.words {
			path, value, err := devicePair(text)
			if err != nil {
				return err
			}
			n, err := rate.parse(value)
			if err != nil || n < 0 {
				return fmt.Errorf("invalid rate for device: %s. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb", text)
			}
			*rate.into = append(*rate.into, &blkiodev.ThrottleDevice{Path: path, Rate: uint64(n)})
		}
	}
	return nil
}

func decimal(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) }

// devicePair splits /dev/NAME:VALUE.
func devicePair(text string) (path, value string, err error) {
	path, value, ok := strings.Cut(text, ":")
	if !ok || path == "" || value == "" {
		return "", "", fmt.Errorf("bad format: %s", text)
	}
	if !strings.HasPrefix(path, "/dev/") {
		return "", "", fmt.Errorf("bad format for device path: %s", text)
	}
	return path, value, nil
}
