package seccomp

import (
	"fmt"
	"sort"

	"github.com/opencontainers/runtime-spec/specs-go"
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
	bigEndian bool   // order of the two words of a 64-bit argument
	narrow    bool   // arguments are 32 bits wide: the upper word is not looked at
}

// x32Bit marks the calls of x32, which share x86-64's AUDIT_ARCH (linux/arch/x86/include/uapi/asm/unistd.h).
const x32Bit = 1 << 30

// arches lists the architectures a filter may name. MIPS, PA-RISC, SuperH and m68k are not among them.
func arches() []arch {
	return []arch{
		{specs.ArchX86_64, x86_64, 0xc000003e, false, false},
		{specs.ArchX86, x86, 0x40000003, false, true},
		{specs.ArchX32, x32, 0xc000003e, false, true},
		{specs.ArchAARCH64, aarch64, 0xc00000b7, false, false},
		{specs.ArchARM, arm, 0x40000028, false, true},
		{specs.ArchRISCV64, riscv64, 0xc00000f3, false, false},
		{specs.ArchPPC64LE, ppc64le, 0xc0000015, false, false},
		{specs.ArchS390X, s390x, 0x80000016, true, false},
		{specs.ArchLOONGARCH64, loong64, 0xc0000102, false, false},
	}
}

// Native returns the seccomp name of one of Go's architectures.
func Native(goarch string) (specs.Arch, error) {
	names := map[string]specs.Arch{
		"amd64": specs.ArchX86_64, "386": specs.ArchX86, "arm64": specs.ArchAARCH64, "arm": specs.ArchARM,
		"riscv64": specs.ArchRISCV64, "ppc64le": specs.ArchPPC64LE, "s390x": specs.ArchS390X, "loong64": specs.ArchLOONGARCH64,
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
// their calls, so a profile that lists them (Docker's lists every MIPS) loses nothing when they are left out.
func ignorable(name specs.Arch) bool {
	switch name {
	case specs.ArchMIPS, specs.ArchMIPS64, specs.ArchMIPS64N32, specs.ArchMIPSEL, specs.ArchMIPSEL64, specs.ArchMIPSEL64N32,
		specs.ArchPPC, specs.ArchPPC64, specs.ArchS390, specs.ArchPARISC, specs.ArchPARISC64, specs.ArchM68K, specs.ArchSH, specs.ArchSHEB:
		return true
	}
	return false
}

// lookup returns the row of a system call, or nil: unknown names are skipped, as in every runtime, because a profile is
// written for the newest kernel and must work on older ones.
func lookup(name string) *row {
	i := sort.Search(len(table), func(i int) bool { return table[i].name >= name })
	if i < len(table) && table[i].name == name {
		return &table[i]
	}
	return nil
}

// Number is the number of a system call on an architecture; x32's carry bit 30.
func Number(name specs.Arch, call string) (uint32, bool) {
	a, ok := findArch(name)
	r := lookup(call)
	if !ok || r == nil || r.numbers[a.column] < 0 {
		return 0, false
	}
	return uint32(r.numbers[a.column]), true
}
