package seccomp

import (
	"fmt"
	"sort"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// column is one architecture's place in table.
type column int

// row is one system call: its name and its number per architecture.
type row struct {
	name    string
	numbers [columns]int32
}

// arch is what the compiler has to know about one architecture.
type arch struct {
	name      specs.Arch
	column    column
	audit     uint32 // seccomp_data.arch: AUDIT_ARCH_* of linux/audit.h
	bigEndian bool   // order of the two words of a 64-bit argument, and of the program's own bytes
	narrow    bool   // arguments are 32 bits wide: the upper word is not looked at
	funnels   bool   // it has socketcall(2) and ipc(2), through which old programs make twenty and twelve other calls
}

// x32Bit marks the calls of x32, which share x86-64's AUDIT_ARCH (linux/arch/x86/include/uapi/asm/unistd.h).
const x32Bit = 1 << 30

// arches lists the architectures a filter may name. PA-RISC, SuperH and m68k are not among them.
func arches() []arch {
	return []arch{
		{name: specs.ArchX86_64, column: x86_64, audit: 0xc000003e},
		{name: specs.ArchX86, column: x86, audit: 0x40000003, narrow: true, funnels: true},
		{name: specs.ArchX32, column: x32, audit: 0xc000003e, narrow: true},
		{name: specs.ArchAARCH64, column: aarch64, audit: 0xc00000b7},
		{name: specs.ArchARM, column: arm, audit: 0x40000028, narrow: true},
		{name: specs.ArchRISCV64, column: riscv64, audit: 0xc00000f3},
		{name: specs.ArchPPC, column: ppc, audit: 0x14, bigEndian: true, narrow: true, funnels: true},
		{name: specs.ArchPPC64, column: ppc64, audit: 0x80000015, bigEndian: true, funnels: true},
		{name: specs.ArchPPC64LE, column: ppc64, audit: 0xc0000015, funnels: true},
		{name: specs.ArchS390, column: s390, audit: 0x16, bigEndian: true, narrow: true, funnels: true},
		{name: specs.ArchS390X, column: s390x, audit: 0x80000016, bigEndian: true, funnels: true},
		{name: specs.ArchLOONGARCH64, column: loong64, audit: 0xc0000102},
		{name: specs.ArchMIPS, column: mips, audit: 0x8, bigEndian: true, narrow: true, funnels: true},
		{name: specs.ArchMIPSEL, column: mips, audit: 0x40000008, narrow: true, funnels: true},
		{name: specs.ArchMIPS64, column: mips64, audit: 0x80000008, bigEndian: true},
		{name: specs.ArchMIPSEL64, column: mips64, audit: 0xc0000008},
		{name: specs.ArchMIPS64N32, column: mips64n32, audit: 0xa0000008, bigEndian: true, narrow: true},
		{name: specs.ArchMIPSEL64N32, column: mips64n32, audit: 0xe0000008, narrow: true},
	}
}

// Native returns the seccomp name of one of Go's architectures.
func Native(goarch string) (specs.Arch, error) {
	names := map[string]specs.Arch{
		"amd64": specs.ArchX86_64, "386": specs.ArchX86, "arm64": specs.ArchAARCH64, "arm": specs.ArchARM,
		"riscv64": specs.ArchRISCV64, "ppc64": specs.ArchPPC64, "ppc64le": specs.ArchPPC64LE, "s390x": specs.ArchS390X,
		"loong64": specs.ArchLOONGARCH64, "mips": specs.ArchMIPS, "mipsle": specs.ArchMIPSEL, "mips64": specs.ArchMIPS64, "mips64le": specs.ArchMIPSEL64,
	}
	if name, ok := names[goarch]; ok {
		return name, nil
	}
	return "", fmt.Errorf("seccomp: architecture %s is not supported", goarch)
}

// Arches lists the architectures a filter may name.
func Arches() []specs.Arch {
	var names []specs.Arch
	for _, a := range arches() {
		names = append(names, a.name)
	}
	return names
}

func findArch(name specs.Arch) (arch, bool) {
	for _, a := range arches() {
		if a.name == name {
			return a, true
		}
	}
	return arch{}, false
}

// ignorable are architectures that libseccomp knows and this package does not. No kernel that Slipway runs on can execute
// their calls, so a profile that lists them loses nothing when they are left out.
func ignorable(name specs.Arch) bool {
	switch name {
	case specs.ArchPARISC, specs.ArchPARISC64, specs.ArchM68K, specs.ArchSH, specs.ArchSHEB:
		return true
	}
	return false
}

// find returns the row of a system call. Unknown names are skipped, as in every runtime, because a profile is written for the
// newest kernel and must work on older ones. Profiles list names in order, so the row behind the last one found comes first.
func find(name string, last int) (int, bool) {
	for i := last + 1; i < min(last+3, len(table)); i++ {
		if table[i].name == name {
			return i, true
		}
	}
	i := sort.Search(len(table), func(i int) bool { return table[i].name >= name })
	return i, i < len(table) && table[i].name == name
}

// Number is the number of a system call on an architecture; x32's carry bit 30.
func Number(name specs.Arch, call string) (uint32, bool) {
	a, ok := findArch(name)
	if !ok {
		return 0, false
	}
	i, ok := find(call, len(table))
	if !ok || table[i].numbers[a.column] < 0 {
		return 0, false
	}
	return uint32(table[i].numbers[a.column]), true
}

// Names lists every system call that a profile may name, in order.
func Names() []string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].name
	}
	return names
}
