// Package rlimits knows the resource limits of config.json (getrlimit(2)).
package rlimits

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Limit is one limit, ready for prlimit(2).
type Limit struct {
	Name       string
	Resource   int
	Soft, Hard uint64
}

// resources maps the names to RLIMIT_* (asm-generic/resource.h).
func resources() map[string]int {
	return map[string]int{
		"RLIMIT_CPU": unix.RLIMIT_CPU, "RLIMIT_FSIZE": unix.RLIMIT_FSIZE, "RLIMIT_DATA": unix.RLIMIT_DATA,
		"RLIMIT_STACK": unix.RLIMIT_STACK, "RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_RSS": unix.RLIMIT_RSS,
		"RLIMIT_NPROC": unix.RLIMIT_NPROC, "RLIMIT_NOFILE": unix.RLIMIT_NOFILE, "RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK,
		"RLIMIT_AS": unix.RLIMIT_AS, "RLIMIT_LOCKS": unix.RLIMIT_LOCKS, "RLIMIT_SIGPENDING": unix.RLIMIT_SIGPENDING,
		"RLIMIT_MSGQUEUE": unix.RLIMIT_MSGQUEUE, "RLIMIT_NICE": unix.RLIMIT_NICE, "RLIMIT_RTPRIO": unix.RLIMIT_RTPRIO,
		"RLIMIT_RTTIME": unix.RLIMIT_RTTIME,
	}
}

// Parse checks the limits of config.json: known types, each once, the soft one not above the hard one (runtime-spec
// config.md, "POSIX process": a duplicate is an error).
func Parse(list []specs.POSIXRlimit) ([]Limit, error) {
	known := resources()
	seen := map[string]bool{}
	limits := make([]Limit, 0, len(list))
	for i, l := range list {
		resource, ok := known[l.Type]
		switch {
		case !ok:
			return nil, fmt.Errorf("[%d].type: unknown limit %q", i, l.Type)
		case seen[l.Type]:
			return nil, fmt.Errorf("[%d].type: %s stands twice", i, l.Type)
		case l.Soft > l.Hard:
			return nil, fmt.Errorf("[%d]: %s: soft limit %d is above hard limit %d", i, l.Type, l.Soft, l.Hard)
		}
		seen[l.Type] = true
		limits = append(limits, Limit{l.Type, resource, l.Soft, l.Hard})
	}
	return limits, nil
}
