package main

import "github.com/slipway-engine/slipway/stages/02-cgroups/cgroup"

// joinCgroup moves a process into a control group, which is made if it is not there.
func joinCgroup(path string, pid int) error {
	layout, err := cgroup.Detect()
	if err != nil {
		return err
	}
	group, err := layout.Group(path)
	if err != nil {
		return err
	}
	if err := group.Create(); err != nil {
		return err
	}
	return group.Join(pid)
}
