package seccomp_test

import (
	"fmt"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/slipway-engine/slipway/stages/04-ocispec/seccomp"
)

const (
	searchTitle = "the filter finds a system call's verdict in a few comparisons"
	searchRead  = "docs/04-ocispec.md#seccomp    man 2 seccomp; linux/filter.h"
)

// everyOther allows each second of x86-64's first system calls, so that hardly two neighbours have the same verdict.
func everyOther() (*specs.LinuxSeccomp, map[uint32]bool) {
	names := []string{"read", "open", "stat", "lstat", "lseek", "mprotect", "brk", "rt_sigprocmask", "ioctl", "pwrite64", "writev", "pipe", "sched_yield", "msync", "madvise", "shmat", "dup"}
	numbers := []uint32{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32}
	allowed := map[uint32]bool{}
	for _, nr := range numbers {
		allowed[nr] = true
	}
	return &specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno, Architectures: []specs.Arch{specs.ArchX86_64},
		Syscalls: []specs.LinuxSyscall{{Names: names, Action: specs.ActAllow}},
	}, allowed
}

// TestSearch is the exercise oci.seccomp: the filter is run in an interpreter of its own, not in the kernel.
func TestSearch(t *testing.T) {
	profile, allowed := everyOther()
	p, err := seccomp.Compile(profile, specs.ArchX86_64)
	teach.Begun(t, err)
	require.NoError(t, err)
	run := machine(t, p)
	for nr := range uint32(33) {
		want := eperm
		if allowed[nr] {
			want = allow
		}
		got := run(call{auditX64, nr, [6]uint64{}})
		if got == want {
			continue
		}
		teach.Fail(t, teach.Diagnosis{
			Exercise: "oci.seccomp", Code: "OCI-SECCOMP-1", Title: searchTitle,
			Did:   "compiled a profile that allows the even numbers 0 to 32 of x86-64, and ran the filter for each number in an interpreter",
			Saw:   fmt.Sprintf("call %d: %s", nr, verdictName(got)),
			Want:  verdictName(want),
			Means: "a span holds from its first number up to the next span's first. A comparison with a span's first number must send that number itself, and all above, into the half that begins with the span, and what is below into the other. One verdict too far means that a program is killed for nothing, or that a hole is open.",
			Try:   "draw the tree for three spans, first numbers 0, 1 and 2, and walk it with 1",
			Read:  searchRead,
		})
	}
	deep(t)
}

// deep counts the longest way through the filter of Docker's profile.
func deep(t *testing.T) {
	t.Helper()
	profile := docker(t)
	for i := range profile.Syscalls {
		profile.Syscalls[i].Args = nil // conditions come after the search
	}
	p, err := seccomp.Compile(profile, specs.ArchX86_64)
	require.NoError(t, err)
	if n := longest(p.Filter); n > 24 {
		teach.Fail(t, teach.Diagnosis{
			Exercise: "oci.seccomp", Code: "OCI-SECCOMP-2", Title: searchTitle,
			Did:   "compiled Docker's profile without its conditions, and followed every way through the filter",
			Saw:   fmt.Sprintf("the longest way has %d instructions", n),
			Want:  "at most 24, for some 60 spans: each comparison halves what is left",
			Means: "the verdicts are right, but one span after the other is asked. The kernel runs this before every system call of every process inside, and the calls with the highest numbers, which new programs use most, wait the longest.",
			Try:   "slipway-runtime explain of a bundle with Docker's profile: so many instructions are loaded; how many are run?",
			Read:  searchRead,
		})
	}
}

// longest is the greatest number of instructions on any way from the first to a return. Jumps only go forward.
func longest(filter []bpf.RawInstruction) int {
	steps := make([]int, len(filter)+1)
	for i := len(filter) - 1; i >= 0; i-- {
		switch in := filter[i]; in.Op & 0x07 {
		case 0x06: // BPF_RET
			steps[i] = 1
		case 0x05: // BPF_JMP
			if in.Op == 0x05 {
				steps[i] = 1 + steps[i+1+int(in.K)]
			} else {
				steps[i] = 1 + max(steps[i+1+int(in.Jt)], steps[i+1+int(in.Jf)])
			}
		default:
			steps[i] = 1 + steps[i+1]
		}
	}
	return steps[0]
}

func verdictName(v uint32) string {
	switch v {
	case allow:
		return "allowed"
	case unix.SECCOMP_RET_KILL_THREAD:
		return "the thread is killed"
	}
	if v&unix.SECCOMP_RET_ERRNO != 0 {
		return fmt.Sprintf("refused: %v", unix.Errno(v&0xffff))
	}
	return fmt.Sprintf("verdict %#x", v)
}
