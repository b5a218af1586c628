package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// parents are the groups that containers without a cgroupsPath have above them, one in each hierarchy (on v2 there is one tree). The
// runtime makes them for all containers of a machine, and leaves them.
func parents() []string {
	var list []string
	for _, pattern := range []string{"/sys/fs/cgroup/*/slipway", "/sys/fs/cgroup/slipway"} {
		found, _ := filepath.Glob(pattern) // the patterns are good ones
		list = append(list, found...)
	}
	return list
}

// removeParents takes away those that were not there before; one that somebody uses by now stays.
func removeParents(before []string) (err error) {
	for _, dir := range parents() {
		if slices.Contains(before, dir) {
			continue
		}
		if e := os.Remove(dir); e != nil && !errors.Is(e, syscall.ENOENT) && !errors.Is(e, syscall.EBUSY) {
			err = errors.Join(err, e)
		}
	}
	return err
}
