package namespace

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// PIDOf is the number of the process that a pidfd of ours refers to (pidfd_open(2), /proc/PID/fdinfo).
func PIDOf(fd int) (int, error) {
	b, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return 0, fmt.Errorf("descriptor %d: it is not open", fd)
	}
	for line := range strings.Lines(string(b)) {
		if number, ok := strings.CutPrefix(line, "Pid:"); ok {
			pid, err := strconv.Atoi(strings.TrimSpace(number))
			switch {
			case err != nil:
				return 0, fmt.Errorf("descriptor %d: %w", fd, err)
			case pid == -1:
				return 0, fmt.Errorf("descriptor %d: its process has ended", fd)
			case pid == 0:
				return 0, fmt.Errorf("descriptor %d: its process is in a pid namespace that is not visible from here", fd)
			}
			return pid, nil
		}
	}
	return 0, fmt.Errorf("descriptor %d is no pidfd", fd)
}
