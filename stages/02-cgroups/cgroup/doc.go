// Package cgroup gives a group of processes a budget, on cgroup v1, v2 and both at once (hybrid).
//
// A [Layout] says which hierarchies this machine mounts where; a [Group] is one path in all of them.
// What a resource means in files is decided by pure functions (see plan.go) that return a list of writes;
// set.go carries the list out. Nothing here forks, logs, or keeps state that the kernel has.
//
// Sources: cgroups(7); the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/*.rst;
// runtime-spec, config-linux.md, "Control groups".
package cgroup
