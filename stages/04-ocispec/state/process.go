package state

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Identify records a live process.
func Identify(pid int) (*Process, error) {
	_, start, err := stat(pid)
	if err != nil {
		return nil, err
	}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	return &Process{PID: pid, StartTime: start, Boot: boot}, nil
}

// bootID does not change while this process lives.
var bootID = sync.OnceValues(func() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
})

// Alive tells whether the very process that was recorded still runs. A zombie does not: nothing of it is left but its exit status.
func (p *Process) Alive() bool {
	status, start, err := stat(p.PID)
	if err != nil || status == 'Z' || status == 'X' || start != p.StartTime {
		return false
	}
	boot, err := bootID()
	return err == nil && boot == p.Boot
}

// PIDFD opens the process for signals and waiting; ESRCH when it is gone or the pid is somebody else's by now.
func (p *Process) PIDFD() (*os.File, error) {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	if !p.Alive() { // looked at after the open: from here on the descriptor is this process or nobody
		_ = f.Close()
		return nil, unix.ESRCH
	}
	return f, nil
}

// stat reads status and start time, fields 3 and 22 of /proc/PID/stat. The name, field 2, may contain anything: fields are
// counted from its last parenthesis.
func stat(pid int) (status byte, start uint64, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, err
	}
	return parseStat(b)
}

func parseStat(b []byte) (status byte, start uint64, err error) {
	end := bytes.LastIndexByte(b, ')')
	if end < 0 {
		return 0, 0, fmt.Errorf("stat: no name in %q", b)
	}
	fields := strings.Fields(string(b[end+1:]))
	if len(fields) < 20 {
		return 0, 0, fmt.Errorf("stat: %d fields behind the name", len(fields))
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return fields[0][0], start, err
}
