package seccomp_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/seccomp"
)

// same compares the verdicts of both programs for every number that means something, and around every value that the profile
// names.
func same(t *testing.T, l *library, p *specs.LinuxSeccomp, arches []specs.Arch) (compared bool) {
	t.Helper()
	th := l.compile(p, arches)
	q := *p
	q.Architectures = arches
	program, err := seccomp.Compile(&q, arches[0])
	if th.Error != 0 {
		require.Error(t, err, "libseccomp refuses it with %d: %s", th.Error, dump(p))
		return true
	}
	require.NoError(t, err, dump(p))
	if th.broken {
		return false
	}
	ours := interpreter(t, program.Filter, bigEndian(arches[0]))
	compare := func(c call) {
		if want, got := th.verdict(c), ours(c); want != got {
			require.Equal(t, fmt.Sprintf("%#x", want), fmt.Sprintf("%#x", got), "%v arch %#x number %#x args %#x\n%s", arches, c.arch, c.nr, c.args, dump(p))
		}
	}
	values := interesting(p)
	random := rand.New(rand.NewPCG(1, 2))
	for _, a := range append(slices.Clone(arches), specs.ArchARM) {
		for _, nr := range numbers(a) {
			if c := (call{arch: audit(a), nr: nr}); !th.mixed || !conditional(p, a, nr) {
				compare(c)
			}
		}
		for _, s := range p.Syscalls {
			if len(s.Args) == 0 || th.mixed {
				continue
			}
			for _, name := range append([]string{"socketcall", "ipc"}, s.Names...) {
				nr, ok := seccomp.Number(a, name)
				for n := 0; ok && n < 40; n++ {
					c := call{arch: audit(a), nr: nr}
					for i := range c.args {
						c.args[i] = values[random.IntN(len(values))]
					}
					compare(c)
				}
			}
		}
	}
	return !th.mixed
}

// conditional tells whether a number has rules with conditions.
func conditional(p *specs.LinuxSeccomp, a specs.Arch, nr uint32) bool {
	for _, s := range p.Syscalls {
		for _, name := range append([]string{"socketcall", "ipc"}, s.Names...) {
			if n, ok := seccomp.Number(a, name); ok && n == nr {
				return true
			}
		}
	}
	return false
}

func dump(p *specs.LinuxSeccomp) string {
	text, _ := json.Marshal(p)
	return string(text)
}

// TestLibseccompNumbers: every name that libseccomp knows has the same number here.
func TestLibseccompNumbers(t *testing.T) {
	l := libseccomp(t)
	for a, token := range tokens() {
		numbers := map[string]int32{}
		l.ask(map[string]any{"names": seccomp.Names(), "token": token}, &numbers)
		require.Greater(t, len(numbers), 450)
		for name, want := range numbers {
			got, ok := seccomp.Number(a, name)
			if want > 0 || ok && want == 0 {
				require.Equal(t, uint32(want), got, "%s %s", a, name)
			}
		}
	}
}

// TestLibseccompDocker: Docker's profile on every architecture.
func TestLibseccompDocker(t *testing.T) {
	l := libseccomp(t)
	p := docker(t)
	p.Architectures = nil
	known(l, p)
	for _, arches := range families() {
		same(t, l, p, arches)
		q := *p
		for _, action := range []specs.LinuxSeccompAction{specs.ActLog, specs.ActKillProcess, specs.ActTrap, specs.ActTrace} {
			q.DefaultAction = action
			same(t, l, &q, arches)
		}
	}
}

// known leaves out the calls that are newer than the library.
func known(l *library, p *specs.LinuxSeccomp) {
	var names []string
	for _, s := range p.Syscalls {
		names = append(names, s.Names...)
	}
	have := map[string]int{}
	l.ask(map[string]any{"names": names, "token": auditX64}, &have)
	for i := range p.Syscalls {
		p.Syscalls[i].Names = slices.DeleteFunc(p.Syscalls[i].Names, func(n string) bool { _, ok := have[n]; return !ok })
	}
}

// TestLibseccompHostile: profiles at random that overlap, repeat and contradict themselves.
func TestLibseccompHostile(t *testing.T) {
	l := libseccomp(t)
	random := rand.New(rand.NewPCG(7, 11))
	compared, all := 0, 120
	for n := range all {
		p := hostile(random, 1+n%12)
		if same(t, l, p, families()[random.IntN(len(families()))]) {
			compared++
		}
	}
	require.Greater(t, compared, all*3/4, "libseccomp's own mistakes are few")
}

// TestLibseccompHuge: hundreds of conditions on one call.
func TestLibseccompHuge(t *testing.T) {
	l := libseccomp(t)
	p := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
	for n := range uint64(250) {
		p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{Names: []string{"ioctl"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{
			{Index: 1, Value: 0x5400 + n*3, Op: specs.OpEqualTo}, {Index: uint(2 + n%3), Value: n, Op: specs.OpNotEqual},
		}})
	}
	require.True(t, same(t, l, p, families()[0]))
}
