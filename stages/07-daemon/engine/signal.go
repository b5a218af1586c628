package engine

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/07-daemon/fault"
)

// ParseSignal understands a number, a name, and a name without SIG; real-time ones as RTMIN+n and RTMAX-n.
func ParseSignal(text string) (int, error) {
	bad := fault.Invalid("invalid signal: %s", text)
	if n, err := strconv.Atoi(text); err == nil {
		if n <= 0 || n > 64 {
			return 0, bad
		}
		return n, nil
	}
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	for prefix, base := range map[string]int{"RTMIN": 34, "RTMAX": 64} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			offset, err := strconv.Atoi(rest)
			if rest != "" && err != nil || base+offset < 34 || base+offset > 64 {
				return 0, bad
			}
			return base + offset, nil
		}
	}
	if s := unix.SignalNum("SIG" + name); s != 0 {
		return int(s), nil
	}
	return 0, bad
}
