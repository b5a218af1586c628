package launch

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// bornAgain tells whether there is a younger child that this launch has not adopted (Below).
func (l *launch) bornAgain() bool {
	pid := int(*l.shared.younger())
	return pid != 0 && pid != l.run.pid
}

// adopt goes on with the younger child. Its number cannot be another's by now: nobody but us can reap it. The older one has
// ended, or is about to.
func (l *launch) adopt() error {
	pid := int(*l.shared.younger())
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
		reap(pid)
		*l.shared.younger() = 0
		return fmt.Errorf("adopt process %d: %w", pid, err)
	}
	l.mu.Lock()
	older, olderFD := l.run.pid, l.run.pidfd
	l.run.pid, l.run.pidfd = pid, os.NewFile(uintptr(fd), "pidfd "+strconv.Itoa(pid))
	l.mu.Unlock()
	reap(older)
	return olderFD.Close()
}

// reap waits for a child whose status nobody asks for.
func reap(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}
