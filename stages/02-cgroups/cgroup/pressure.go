package cgroup

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Pressure is how much of its time a group has stalled for want of something (Documentation/accounting/psi.rst).
// A part is nil where the kernel does not tell: on v1, before Linux 4.20, or where it is switched off.
type Pressure struct {
	CPU    *Stalls `json:"cpu,omitempty"`
	Memory *Stalls `json:"memory,omitempty"`
	IO     *Stalls `json:"io,omitempty"`
}

// Stalls: Some is when at least one process waited, Full when all did and nothing got done.
type Stalls struct {
	Some Stall `json:"some"`
	Full Stall `json:"full"`
}

// Stall is a share of the time, in percent over the last 10, 60 and 300 seconds, and the sum of it all.
type Stall struct {
	Avg10  float64       `json:"avg10"`
	Avg60  float64       `json:"avg60"`
	Avg300 float64       `json:"avg300"`
	Total  time.Duration `json:"total"`
}

// pressure reads the three files of a v2 group.
func (p place) pressure(s *Stats) error {
	for file, to := range map[string]**Stalls{
		"cpu.pressure": &s.Pressure.CPU, "memory.pressure": &s.Pressure.Memory, "io.pressure": &s.Pressure.IO,
	} {
		data, err := p.read(file)
		if gone(err) || errors.Is(err, unix.EOPNOTSUPP) { // no such kernel; psi=0, or cgroup.pressure is 0
			continue
		}
		if err != nil {
			return err
		}
		*to = parseStalls(data)
	}
	return nil
}

// parseStalls reads "some avg10=0.12 avg60=0.05 avg300=0.01 total=12345", the total in microseconds.
func parseStalls(data string) *Stalls {
	s := new(Stalls)
	for line := range strings.Lines(data) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		to, known := map[string]*Stall{"some": &s.Some, "full": &s.Full}[fields[0]]
		if !known {
			continue
		}
		for _, field := range fields[1:] {
			key, value, _ := strings.Cut(field, "=")
			to.set(key, value)
		}
	}
	return s
}

// set passes over what it cannot read: a newer kernel may have more to say.
func (s *Stall) set(key, value string) {
	if key == "total" {
		if usec, err := strconv.ParseUint(value, 10, 53); err == nil {
			s.Total = time.Duration(usec) * time.Microsecond
		}
		return
	}
	to, known := map[string]*float64{"avg10": &s.Avg10, "avg60": &s.Avg60, "avg300": &s.Avg300}[key]
	if f, err := strconv.ParseFloat(value, 64); known && err == nil {
		*to = f
	}
}
