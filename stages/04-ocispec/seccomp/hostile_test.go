package seccomp_test

import (
	"math/rand/v2"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// numbers are all that an architecture's calls have, and the odd ones.
func numbers(a specs.Arch) []uint32 {
	list := []uint32{x32Bit - 1, x32Bit, x32Bit + 600, 1 << 31, 1<<31 + 1, 3 << 30, 3<<30 + 5, 1<<32 - 2, 1<<32 - 1}
	for nr := range uint32(620) {
		list = append(list, nr, x32Bit+nr, 4000+nr, 5000+nr, 6000+nr)
	}
	if a == specs.ArchARM {
		list = append(list, 0xf0000, 0xf0001, 0xf0002, 0xf0005, 0xf0006, 0xf0007)
	}
	return list
}

// interesting are the values that conditions compare with, their neighbours, and their halves.
func interesting(p *specs.LinuxSeccomp) []uint64 {
	list := []uint64{0, 1, 2, 8, 17, 1 << 31, 1<<32 - 1, 1 << 32, ^uint64(0)}
	for _, s := range p.Syscalls {
		for _, a := range s.Args {
			for _, v := range []uint64{a.Value, a.ValueTwo} {
				list = append(list, v-1, v, v+1, v&0xffffffff, v+1<<32, v-1<<32, v>>32)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// families are sets of architectures that one machine has; the first is its own.
func families() [][]specs.Arch {
	return [][]specs.Arch{
		{specs.ArchX86_64, specs.ArchX86, specs.ArchX32},
		{specs.ArchX86_64},
		{specs.ArchX86_64, specs.ArchX32},
		{specs.ArchX86},
		{specs.ArchAARCH64, specs.ArchARM},
		{specs.ArchARM},
		{specs.ArchRISCV64},
		{specs.ArchPPC64LE},
		{specs.ArchPPC64, specs.ArchPPC},
		{specs.ArchS390X, specs.ArchS390},
		{specs.ArchMIPS64, specs.ArchMIPS, specs.ArchMIPS64N32},
		{specs.ArchMIPSEL64, specs.ArchMIPSEL, specs.ArchMIPSEL64N32},
		{specs.ArchX86_64, specs.ArchAARCH64, specs.ArchPPC64LE, specs.ArchRISCV64, specs.ArchMIPSEL, specs.ArchARM},
	}
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func hostile(r *rand.Rand, size int) *specs.LinuxSeccomp {
	actions := []specs.LinuxSeccompAction{specs.ActAllow, specs.ActErrno, specs.ActKillProcess, specs.ActTrap, specs.ActLog, specs.ActTrace, specs.ActKill}
	if r.IntN(2) == 0 {
		actions = actions[:2]
	}
	p := &specs.LinuxSeccomp{DefaultAction: pick(r, actions...)}
	for range size {
		s := specs.LinuxSyscall{Action: pick(r, actions...)}
		if s.Action == specs.ActErrno {
			s.ErrnoRet = new(pick[uint](r, 1, 2, 38, uint(unix.ENOTTY)))
		}
		for range 1 + r.IntN(3) {
			s.Names = append(s.Names, pick(r, "read", "socket", "bind", "shmat", "clone", "personality", "ioctl", "send", "semop", "no_such_call"))
		}
		for range r.IntN(4) {
			s.Args = append(s.Args, specs.LinuxSeccompArg{
				Index: pick[uint](r, 0, 0, 1, 2, 5), Value: pick[uint64](r, 0, 1, 5, 6, 1<<32-1, 1<<32, 1<<32+5, 3<<32+6, ^uint64(0)),
				ValueTwo: pick[uint64](r, 0, 1, 4, 1<<32+4),
				Op:       pick(r, specs.OpEqualTo, specs.OpEqualTo, specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpGreaterThan, specs.OpGreaterEqual, specs.OpMaskedEqual),
			})
		}
		p.Syscalls = append(p.Syscalls, s)
	}
	return p
}
