// Package user reads the user of a command line (exec --user). There is no look-up of names: config.json knows numbers only.
package user

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Parse reads UID or UID:GID, both decimal and at most 2^31-1. Anything else is an error, never user 0: a number that
// overflows or a name must not become root (CVE-2026-30892, CVE-2024-40635).
func Parse(s string) (uid uint32, gid *uint32, err error) {
	first, second, both := strings.Cut(s, ":")
	if uid, err = number(first); err != nil {
		return 0, nil, fmt.Errorf("user %q: uid: %w", s, err)
	}
	if !both {
		return uid, nil, nil
	}
	g, err := number(second)
	if err != nil {
		return 0, nil, fmt.Errorf("user %q: gid: %w", s, err)
	}
	return uid, &g, nil
}

func number(s string) (uint32, error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n > math.MaxInt32 {
		return 0, fmt.Errorf("%s is above %d", s, math.MaxInt32)
	}
	return uint32(n), nil
}
