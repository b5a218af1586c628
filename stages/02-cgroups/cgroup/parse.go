package cgroup

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// flatKeyed reads lines of "key number" (cgroup-v2.rst, "Flat keyed"); a line of another form is passed over,
// as a newer kernel may have more to say.
func flatKeyed(data string) map[string]uint64 {
	m := map[string]uint64{}
	for line := range strings.Lines(data) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseUint(value, 10, 64); err == nil {
			m[key] = n
		}
	}
	return m
}

// ioTable collects what several files tell of a device.
type ioTable map[string]*IOStats

// device finds the row of "8:0".
func (t ioTable) device(numbers string) (*IOStats, bool) {
	if d, ok := t[numbers]; ok {
		return d, true
	}
	first, second, ok := strings.Cut(numbers, ":")
	major, err1 := strconv.ParseUint(first, 10, 32)
	minor, err2 := strconv.ParseUint(second, 10, 32)
	if !ok || err1 != nil || err2 != nil {
		return nil, false
	}
	t[numbers] = &IOStats{Major: major, Minor: minor}
	return t[numbers], true
}

func (t ioTable) sorted() []IOStats {
	var all []IOStats
	for _, d := range t {
		all = append(all, *d)
	}
	slices.SortFunc(all, func(a, b IOStats) int {
		return cmp.Or(cmp.Compare(a.Major, b.Major), cmp.Compare(a.Minor, b.Minor))
	})
	return all
}

// readIOStat reads v2's "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6".
func (t ioTable) readIOStat(data string) {
	for line := range strings.Lines(data) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		d, ok := t.device(fields[0])
		if !ok {
			continue
		}
		for _, field := range fields[1:] {
			key, value, _ := strings.Cut(field, "=")
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				continue
			}
			switch key {
			case "rbytes":
				d.ReadBytes = n
			case "wbytes":
				d.WriteBytes = n
			case "rios":
				d.Reads = n
			case "wios":
				d.Writes = n
			case "dbytes":
				d.DiscardBytes = n
			case "dios":
				d.Discards = n
			}
		}
	}
}

// readBlkio reads v1's "8:0 Read 4096", one line for each operation, and passes each to add. Sync and Async
// and Total say the same again.
func (t ioTable) readBlkio(data string, add func(*IOStats, string, uint64)) {
	for line := range strings.Lines(data) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		n, err := strconv.ParseUint(fields[2], 10, 64)
		if err != nil {
			continue
		}
		if d, ok := t.device(fields[0]); ok {
			add(d, fields[1], n)
		}
	}
}

func (d *IOStats) addBytes(operation string, n uint64) {
	switch operation {
	case "Read":
		d.ReadBytes += n
	case "Write":
		d.WriteBytes += n
	case "Discard":
		d.DiscardBytes += n
	}
}

func (d *IOStats) addOperations(operation string, n uint64) {
	switch operation {
	case "Read":
		d.Reads += n
	case "Write":
		d.Writes += n
	case "Discard":
		d.Discards += n
	}
}
