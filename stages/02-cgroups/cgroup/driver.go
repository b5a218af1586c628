package cgroup

import "fmt"

// Driver is who makes groups. Where systemd is process 1 it regards the tree as its own; groups that are made
// behind its back are safe only below a unit that has been delegated
// (https://systemd.io/CGROUP_DELEGATION/).
type Driver int

const (
	// Cgroupfs makes directories and writes files.
	Cgroupfs Driver = iota
	// Systemd asks systemd for a transient scope or slice, and writes files only inside it.
	Systemd
)

func (d Driver) String() string { return [...]string{"cgroupfs", "systemd"}[d] }

// ParseDriver reads a driver's name, as runc and dockerd write it.
func ParseDriver(name string) (Driver, error) {
	for _, d := range []Driver{Cgroupfs, Systemd} {
		if d.String() == name {
			return d, nil
		}
	}
	return 0, fmt.Errorf("cgroup driver %q: want cgroupfs or systemd", name)
}

// Driver is who makes the groups that this Layout names.
func (l *Layout) Driver() Driver { return l.driver }

// Use returns the same Layout with another driver. It asks nobody: whether systemd answers shows when a group is
// created. With [Systemd], [Layout.Group] takes "SLICE:PREFIX:NAME" and gives it the unit's path.
func (l *Layout) Use(d Driver) *Layout {
	o := *l
	o.driver = d
	return &o
}
