package seccomp_test

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"

	"github.com/slipway-engine/slipway/stages/04-ocispec/seccomp"
)

// library is libseccomp behind a pipe.
type library struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
}

func libseccomp(t *testing.T) *library {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "testdata/libseccomp.py")
	if exec.Command("/usr/bin/python3", "-c", `import ctypes; ctypes.CDLL("libseccomp.so.2")`).Run() != nil {
		t.Skip("needs python3 and libseccomp.so.2")
	}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = t.Output()
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = in.Close(); require.NoError(t, cmd.Wait()) })
	return &library{t, in, bufio.NewReader(out)}
}

func (l *library) ask(question, answer any) {
	l.t.Helper()
	text, err := json.Marshal(question)
	require.NoError(l.t, err)
	_, err = l.in.Write(append(text, '\n'))
	require.NoError(l.t, err)
	line, err := l.out.ReadBytes('\n')
	require.NoError(l.t, err)
	require.NoError(l.t, json.Unmarshal(line, answer))
}

// tokens are libseccomp's names of the architectures (seccomp.h): AUDIT_ARCH_*, but for x32, which has none of its own.
func tokens() map[specs.Arch]uint32 {
	return map[specs.Arch]uint32{
		specs.ArchX86_64: auditX64, specs.ArchX86: auditX86, specs.ArchX32: 0x4000003e, specs.ArchAARCH64: auditArm64, specs.ArchARM: 0x40000028,
		specs.ArchRISCV64: 0xc00000f3, specs.ArchPPC: 0x14, specs.ArchPPC64: 0x80000015, specs.ArchPPC64LE: 0xc0000015,
		specs.ArchS390: 0x16, specs.ArchS390X: 0x80000016, specs.ArchMIPS: 8, specs.ArchMIPSEL: 0x40000008, specs.ArchMIPS64: 0x80000008,
		specs.ArchMIPSEL64: 0xc0000008, specs.ArchMIPS64N32: 0xa0000008, specs.ArchMIPSEL64N32: 0xe0000008,
	}
}

func audit(a specs.Arch) uint32 {
	if a == specs.ArchX32 {
		return auditX64
	}
	return tokens()[a]
}

func bigEndian(a specs.Arch) bool { return tokens()[a]&0x40000000 == 0 }

// theirs is what libseccomp makes of a profile, and what runc puts before it.
type theirs struct {
	Error  int
	Filter string
	Last   []uint32
	vm     func(call) uint32
	broken bool // it does not look at the call's number
	mixed  bool // some comparison looks at one word or another, depending on how it is reached
	p      *specs.LinuxSeccomp
	arches []specs.Arch
}

// compile asks for a profile; arches[0] is the machine's own.
func (l *library) compile(p *specs.LinuxSeccomp, arches []specs.Arch) *theirs {
	l.t.Helper()
	var list []uint32
	for _, a := range arches {
		list = append(list, tokens()[a])
	}
	answer := &theirs{p: p, arches: arches}
	l.ask(struct {
		*specs.LinuxSeccomp
		Tokens []uint32 `json:"tokens"`
	}{p, list}, answer)
	if answer.Error == 0 {
		list := instructions(l.t, answer.Filter, bigEndian(arches[0]), answers(l.t, p))
		answer.vm = interpreter(l.t, list, bigEndian(arches[0]))
		answer.mixed, answer.broken = mixed(list)
	}
	return answer
}

// answers are the values that a profile's filter can return.
func answers(t *testing.T, p *specs.LinuxSeccomp) map[uint32]bool {
	all := map[uint32]bool{kill: true}
	list := append(slices.Clone(p.Syscalls), specs.LinuxSyscall{Action: p.DefaultAction, ErrnoRet: p.DefaultErrnoRet})
	for _, s := range list {
		q := &specs.LinuxSeccomp{DefaultAction: s.Action, DefaultErrnoRet: s.ErrnoRet}
		program, err := seccomp.Compile(q, specs.ArchX86_64)
		require.NoError(t, err)
		all[machine(t, program)(call{arch: auditX64})] = true
	}
	return all
}

// instructions reads a program in the architecture's byte order. Some versions write the values that it returns in the
// machine's instead: the one that means something counts.
func instructions(t *testing.T, text string, big bool, answers map[uint32]bool) []bpf.RawInstruction {
	b, err := hex.DecodeString(text)
	require.NoError(t, err)
	order := binary.ByteOrder(binary.LittleEndian)
	if big {
		order = binary.BigEndian
	}
	var list []bpf.RawInstruction
	for ; len(b) > 0; b = b[8:] {
		in := bpf.RawInstruction{Op: order.Uint16(b), Jt: b[2], Jf: b[3], K: order.Uint32(b[4:])}
		if in.Op == 6 && !answers[in.K] {
			in.K = binary.LittleEndian.Uint32(b[4:])
		}
		list = append(list, in)
	}
	return list
}

// mixed finds a mistake that libseccomp makes with overlapping conditions (2.5.4 to 2.6.1): of two tests of a level, the second
// relies on the word that the first has loaded, and is also reached from below the first, where another word was loaded since.
// Or it forgets to load the call's number, and compares the architecture with it (where socketcall comes first).
func mixed(list []bpf.RawInstruction) (some, all bool) {
	type word struct{ offset, mask uint32 }
	states := make([]map[word]bool, len(list)+1)
	flow := func(to int, w word) {
		if states[to] == nil {
			states[to] = map[word]bool{}
		}
		states[to][w] = true
	}
	flow(0, word{})
	for i, in := range list {
		for w := range states[i] {
			switch in.Op {
			case 0x20:
				flow(i+1, word{in.K, 0})
			case 0x54:
				flow(i+1, word{w.offset, in.K})
			case 0x05:
				flow(i+1+int(in.K), w)
			case 0x06:
			default:
				flow(i+1+int(in.Jt), w)
				flow(i+1+int(in.Jf), w)
			}
		}
		if in.Op != 0x06 && in.Op != 0x20 && in.Op != 0x05 {
			some = some || len(states[i]) > 1
			all = all || states[i][word{4, 0}] && in.K < 1<<16 && in.K > 0x20
		}
	}
	return some, all
}

func interpreter(t testing.TB, list []bpf.RawInstruction, big bool) func(call) uint32 {
	code, ok := bpf.Disassemble(list)
	require.True(t, ok)
	vm, err := bpf.NewVM(code)
	require.NoError(t, err)
	return func(c call) uint32 {
		packet := c.packet()
		if big {
			for i := 16; i < 64; i += 8 {
				lo, hi := binary.BigEndian.Uint32(packet[i:]), binary.BigEndian.Uint32(packet[i+4:])
				binary.BigEndian.PutUint32(packet[i:], hi)
				binary.BigEndian.PutUint32(packet[i+4:], lo)
			}
		}
		v, err := vm.Run(packet)
		require.NoError(t, err)
		return uint32(v)
	}
}

// verdict is what runc's filter answers: calls behind the last one that the profile names get ENOSYS before libseccomp's
// program is asked, unless the default allows.
func (th *theirs) verdict(c call) uint32 {
	lenient := slices.Contains([]specs.LinuxSeccompAction{specs.ActAllow, specs.ActLog, specs.ActTrace}, th.p.DefaultAction)
	for i, a := range th.arches {
		last := th.Last[i]
		if lenient || last == 0 || audit(a) != c.arch {
			continue
		}
		switch a {
		case specs.ArchX86_64:
			if c.nr&x32Bit != 0 {
				continue
			}
		case specs.ArchX32:
			if c.nr&x32Bit == 0 {
				continue
			}
		case specs.ArchS390, specs.ArchS390X:
			if c.nr == 0 {
				return enosys
			}
		}
		if c.nr > last {
			return enosys
		}
	}
	return th.vm(c)
}
