package launch

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sharedPage is memory that parent and child both see across the clone: the
// step that the child is at, the number of its successor, and when it began each
// step.
type sharedPage struct{ mem []byte }

func newSharedPage(steps int) (*sharedPage, error) {
	size := 16 + steps*int(unsafe.Sizeof(unix.Timespec{}))
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("map a page to share with the child: %w", err)
	}
	return &sharedPage{mem}, nil
}

// younger is where the kernel puts the number of a second child, before it runs (Below).
func (s *sharedPage) younger() *int32 { return (*int32)(unsafe.Pointer(&s.mem[8])) }

func (s *sharedPage) progress() *uint64 { return (*uint64)(unsafe.Pointer(&s.mem[0])) }

// stamp is the address of the time at which step n began.
func (s *sharedPage) stamp(n int) uintptr {
	return uintptr(unsafe.Pointer(&s.mem[16+n*int(unsafe.Sizeof(unix.Timespec{}))]))
}

func (s *sharedPage) began(n int) time.Time {
	ts := (*unix.Timespec)(unsafe.Pointer(&s.mem[16+n*int(unsafe.Sizeof(unix.Timespec{}))]))
	if ts.Sec == 0 {
		return time.Time{}
	}
	return time.Unix(int64(ts.Sec), int64(ts.Nsec))
}

func (s *sharedPage) close() error { return unix.Munmap(s.mem) }
