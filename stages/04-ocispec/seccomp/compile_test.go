package seccomp_test

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/slipway-engine/slipway/stages/04-ocispec/seccomp"
)

const (
	auditX64   = 0xc000003e
	auditX86   = 0x40000003
	auditArm64 = 0xc00000b7
	x32Bit     = 1 << 30
)

// call is struct seccomp_data without the instruction pointer.
type call struct {
	arch, nr uint32
	args     [6]uint64
}

// packet lays the call out for bpf.VM, which loads words in network order, where the kernel uses its own: each 32-bit word
// is turned round, their positions stay those of a little-endian machine.
func (c call) packet() []byte {
	b := make([]byte, 64)
	binary.BigEndian.PutUint32(b[0:], c.nr)
	binary.BigEndian.PutUint32(b[4:], c.arch)
	for i, a := range c.args {
		binary.BigEndian.PutUint32(b[16+8*i:], uint32(a))
		binary.BigEndian.PutUint32(b[20+8*i:], uint32(a>>32))
	}
	return b
}

// machine runs a program in golang.org/x/net/bpf's interpreter.
func machine(t testing.TB, p seccomp.Program) func(call) uint32 {
	t.Helper()
	insns, ok := bpf.Disassemble(p.Filter)
	require.True(t, ok, "the interpreter knows every instruction")
	vm, err := bpf.NewVM(insns)
	require.NoError(t, err)
	return func(c call) uint32 {
		v, err := vm.Run(c.packet())
		require.NoError(t, err)
		return uint32(v)
	}
}

func docker(t testing.TB) *specs.LinuxSeccomp {
	t.Helper()
	text, err := os.ReadFile("testdata/docker-20.10.json")
	require.NoError(t, err)
	p := new(specs.LinuxSeccomp)
	require.NoError(t, json.Unmarshal(text, p))
	return p
}

const (
	allow  = uint32(unix.SECCOMP_RET_ALLOW)
	eperm  = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)
	enosys = uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.ENOSYS)
	kill   = uint32(unix.SECCOMP_RET_KILL_THREAD)
)

func TestDockersProfile(t *testing.T) {
	p, err := seccomp.Compile(docker(t), specs.ArchX86_64)
	require.NoError(t, err)
	t.Logf("%d instructions", len(p.Filter))
	run := machine(t, p)
	for _, c := range []struct {
		name string
		call call
		want uint32
	}{
		{"read", call{auditX64, 0, [6]uint64{}}, allow},
		{"x32 read", call{auditX64, x32Bit, [6]uint64{}}, allow},
		{"x32 ioctl has its own number", call{auditX64, x32Bit | 514, [6]uint64{}}, allow},
		{"i386 read", call{auditX86, 3, [6]uint64{}}, allow},
		{"mount", call{auditX64, unix.SYS_MOUNT, [6]uint64{}}, eperm},
		{"kexec_load", call{auditX64, 246, [6]uint64{}}, eperm},
		{"clone as fork", call{auditX64, unix.SYS_CLONE, [6]uint64{uint64(unix.SIGCHLD)}}, allow},
		{"clone of a user namespace", call{auditX64, unix.SYS_CLONE, [6]uint64{unix.CLONE_NEWUSER}}, eperm},
		{"personality 0", call{auditX64, unix.SYS_PERSONALITY, [6]uint64{0}}, allow},
		{"personality query", call{auditX64, unix.SYS_PERSONALITY, [6]uint64{0xffffffff}}, allow},
		{"personality 1", call{auditX64, unix.SYS_PERSONALITY, [6]uint64{1}}, eperm},
		{"personality 0 with a bit above", call{auditX64, unix.SYS_PERSONALITY, [6]uint64{1 << 32}}, eperm},
		{"a call of the future", call{auditX64, 900, [6]uint64{}}, enosys},
		{"another architecture", call{auditArm64, 0, [6]uint64{}}, kill},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, run(c.call)) })
	}
}

// TestEveryOperator compares the program with Go's own arithmetic at every boundary, in both words.
func TestEveryOperator(t *testing.T) {
	edges := []uint64{0, 1, 5, 6, 7, 1<<32 - 1, 1 << 32, 1<<32 + 5, 1<<32 + 6, 1<<32 + 7, 2<<32 + 6, 1<<63 + 6, ^uint64(0)}
	for op, holds := range map[specs.LinuxSeccompOperator]func(a, v, w uint64) bool{
		specs.OpEqualTo:      func(a, v, _ uint64) bool { return a == v },
		specs.OpNotEqual:     func(a, v, _ uint64) bool { return a != v },
		specs.OpLessThan:     func(a, v, _ uint64) bool { return a < v },
		specs.OpLessEqual:    func(a, v, _ uint64) bool { return a <= v },
		specs.OpGreaterThan:  func(a, v, _ uint64) bool { return a > v },
		specs.OpGreaterEqual: func(a, v, _ uint64) bool { return a >= v },
		specs.OpMaskedEqual:  func(a, v, w uint64) bool { return a&v == w&v }, // libseccomp masks both sides
	} {
		t.Run(string(op), func(t *testing.T) {
			for _, v := range edges {
				for _, w := range []uint64{0, 6, 1 << 32} {
					prog, err := seccomp.Compile(one(specs.LinuxSeccompArg{Index: 5, Value: v, ValueTwo: w, Op: op}), specs.ArchX86_64)
					require.NoError(t, err)
					run := machine(t, prog)
					for _, a := range edges {
						want := eperm
						if holds(a, v, w) {
							want = allow
						}
						require.Equal(t, want, run(call{auditX64, 0, [6]uint64{5: a}}), "%x %s %x,%x", a, op, v, w)
					}
				}
			}
		})
	}
}

func one(args ...specs.LinuxSeccompArg) *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno,
		Syscalls:      []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActAllow, Args: args}},
	}
}

func TestConditionsOnDifferentArgumentsMustAllHold(t *testing.T) {
	prog, err := seccomp.Compile(one(
		specs.LinuxSeccompArg{Index: 0, Value: 1, Op: specs.OpEqualTo},
		specs.LinuxSeccompArg{Index: 1, Value: 2, Op: specs.OpEqualTo},
	), specs.ArchX86_64)
	require.NoError(t, err)
	run := machine(t, prog)
	require.Equal(t, allow, run(call{auditX64, 0, [6]uint64{1, 2}}))
	require.Equal(t, eperm, run(call{auditX64, 0, [6]uint64{1, 3}}))
	require.Equal(t, eperm, run(call{auditX64, 0, [6]uint64{0, 2}}))
}

func TestConditionsOnTheSameArgumentAreAlternatives(t *testing.T) {
	prog, err := seccomp.Compile(one(
		specs.LinuxSeccompArg{Index: 0, Value: 1, Op: specs.OpEqualTo},
		specs.LinuxSeccompArg{Index: 0, Value: 2, Op: specs.OpEqualTo},
	), specs.ArchX86_64)
	require.NoError(t, err)
	run := machine(t, prog)
	require.Equal(t, allow, run(call{auditX64, 0, [6]uint64{1}}))
	require.Equal(t, allow, run(call{auditX64, 0, [6]uint64{2}}))
	require.Equal(t, eperm, run(call{auditX64, 0, [6]uint64{3}}))
}

// TestAgainstTheRulesThemselves walks every number of every architecture and computes the verdict the slow way.
func TestAgainstTheRulesThemselves(t *testing.T) {
	profile := docker(t)
	prog, err := seccomp.Compile(profile, specs.ArchX86_64)
	require.NoError(t, err)
	run := machine(t, prog)
	for arch, base := range map[specs.Arch]call{
		specs.ArchX86_64: {arch: auditX64}, specs.ArchX86: {arch: auditX86}, specs.ArchX32: {arch: auditX64, nr: x32Bit},
	} {
		names, last := map[uint32][]specs.LinuxSyscall{}, uint32(0)
		for _, s := range profile.Syscalls {
			for _, n := range s.Names {
				if nr, ok := seccomp.Number(arch, n); ok {
					names[nr] = append(names[nr], s)
					last = max(last, nr)
				}
			}
		}
		for nr := base.nr; nr < base.nr+1000; nr++ {
			want := eperm
			if nr > last {
				want = enosys
			}
			entries := names[nr]
			if slices.ContainsFunc(entries, func(s specs.LinuxSyscall) bool { return len(s.Args) == 0 && s.Action == specs.ActAllow }) {
				want = allow
			} else if len(entries) > 0 {
				continue // conditional: TestDockersProfile and TestEveryOperator
			}
			require.Equal(t, want, run(call{arch: base.arch, nr: nr}), "%s %d", arch, nr)
		}
	}
}

func TestEveryArchitectureCompiles(t *testing.T) {
	for _, a := range seccomp.Arches() {
		if a == specs.ArchX32 {
			continue // never native
		}
		p, err := seccomp.Compile(docker(t), a)
		require.NoError(t, err, a)
		require.Less(t, len(p.Filter), 1500, a)
	}
}

func TestActions(t *testing.T) {
	nine := uint(9)
	for action, want := range map[specs.LinuxSeccompAction]uint32{
		specs.ActKill: kill, specs.ActKillThread: kill, specs.ActKillProcess: unix.SECCOMP_RET_KILL_PROCESS,
		specs.ActTrap: unix.SECCOMP_RET_TRAP, specs.ActLog: unix.SECCOMP_RET_LOG,
	} {
		p, err := seccomp.Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: action}}}, specs.ArchX86_64)
		require.NoError(t, err)
		run := machine(t, p)
		require.Equal(t, want, run(call{arch: auditX64, nr: 0}))
		require.Equal(t, allow, run(call{arch: auditX64, nr: 1}))
		require.Equal(t, allow, run(call{arch: auditX64, nr: 999}), "a list of what is forbidden leaves the future alone")
	}
	p, err := seccomp.Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
		{Names: []string{"read"}, Action: specs.ActErrno, ErrnoRet: &nine}, {Names: []string{"write"}, Action: specs.ActTrace, ErrnoRet: &nine},
	}}, specs.ArchX86_64)
	require.NoError(t, err)
	require.Equal(t, uint32(unix.SECCOMP_RET_ERRNO|9), machine(t, p)(call{arch: auditX64, nr: 0}))
	require.Equal(t, uint32(unix.SECCOMP_RET_TRACE|9), machine(t, p)(call{arch: auditX64, nr: 1}))
}

func TestErrorsNameTheField(t *testing.T) {
	for want, p := range map[string]*specs.LinuxSeccomp{
		`defaultAction: unknown action "SCMP_ACT_NOPE"`:                         {DefaultAction: "SCMP_ACT_NOPE"},
		`architectures[0]: unknown architecture "SCMP_ARCH_VAX"`:                {DefaultAction: specs.ActAllow, Architectures: []specs.Arch{"SCMP_ARCH_VAX"}},
		`flags[0]: unknown flag "NOPE"`:                                         {DefaultAction: specs.ActAllow, Flags: []specs.LinuxSeccompFlag{"NOPE"}},
		`syscalls[0].args[0]: unknown operator "SCMP_CMP_MAYBE"`:                one2(specs.LinuxSeccompArg{Op: "SCMP_CMP_MAYBE"}),
		`syscalls[0].args[0]: index 6: a system call has six arguments, 0 to 5`: one2(specs.LinuxSeccompArg{Index: 6, Op: specs.OpEqualTo}),
		`listenerPath: it is missing, and SCMP_ACT_NOTIFY needs an agent that listens there`: {
			DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActNotify}},
		},
		`syscalls[0]: SCMP_ACT_NOTIFY cannot be used for the write syscall`: {
			DefaultAction: specs.ActAllow, ListenerPath: "/agent", Syscalls: []specs.LinuxSyscall{{Names: []string{"write"}, Action: specs.ActNotify}},
		},
		`SCMP_ACT_NOTIFY cannot be used as default action`:                      {DefaultAction: specs.ActNotify, ListenerPath: "/agent"},
		`syscalls: read: it contradicts an earlier rule for the same arguments`: contradiction(),
	} {
		_, err := seccomp.Compile(p, specs.ArchX86_64)
		require.EqualError(t, err, want)
	}
}

func contradiction() *specs.LinuxSeccomp {
	arg := []specs.LinuxSeccompArg{{Index: 1, Value: 7, Op: specs.OpEqualTo}}
	return &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
		{Names: []string{"read"}, Action: specs.ActErrno, Args: arg}, {Names: []string{"read"}, Action: specs.ActKill, Args: arg},
	}}
}

func one2(a specs.LinuxSeccompArg) *specs.LinuxSeccomp { return one(a) }

func FuzzCompile(f *testing.F) {
	f.Add(uint(0), uint64(1), uint64(2), "SCMP_CMP_EQ", "read", uint64(3))
	f.Fuzz(func(t *testing.T, index uint, v, w uint64, op, name string, arg uint64) {
		p := one(specs.LinuxSeccompArg{Index: index, Value: v, ValueTwo: w, Op: specs.LinuxSeccompOperator(op)})
		p.Syscalls[0].Names = []string{name}
		prog, err := seccomp.Compile(p, specs.ArchX86_64)
		if err == nil {
			machine(t, prog)(call{auditX64, 0, [6]uint64{arg}})
		}
	})
}

func BenchmarkCompileDocker(b *testing.B) {
	p := docker(b)
	for b.Loop() {
		if _, err := seccomp.Compile(p, specs.ArchX86_64); err != nil {
			b.Fatal(err)
		}
	}
}
