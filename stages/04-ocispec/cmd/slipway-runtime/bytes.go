package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// bytes reads an amount of memory: a number with an optional unit (b, k, m, g, t, p, binary), or -1 for no limit.
func bytes(s string) (int64, error) {
	if s == "-1" {
		return -1, nil
	}
	text := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(s)), "b")
	text = strings.TrimSuffix(text, "i")
	shift := 0
	if i := strings.IndexByte("kmgtp", last(text)); i >= 0 {
		shift, text = 10*(i+1), text[:len(text)-1]
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || n*float64(uint64(1)<<shift) > math.MaxInt64 {
		return 0, fmt.Errorf("%q is no amount of memory", s)
	}
	return int64(n * float64(uint64(1)<<shift)), nil
}

func last(s string) byte {
	if s == "" {
		return 0
	}
	return s[len(s)-1]
}
