package seccomp_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"github.com/slipway-engine/slipway/stages/04-ocispec/seccomp"
)

// BenchmarkReadDocker is what a cache of compiled filters could not save: the profile has to be read to know which it is.
func BenchmarkReadDocker(b *testing.B) {
	text, err := os.ReadFile("testdata/docker-20.10.json")
	require.NoError(b, err)
	for b.Loop() {
		require.NoError(b, json.Unmarshal(text, new(specs.LinuxSeccomp)))
	}
}

// FuzzProfile: a profile from a stranger gives a program that the interpreter takes, or an error; never a panic.
func FuzzProfile(f *testing.F) {
	text, err := os.ReadFile("testdata/docker-20.10.json")
	require.NoError(f, err)
	f.Add(text, uint32(41), uint64(40))
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86","SCMP_ARCH_X32"],"syscalls":[
		{"names":["socket","semop"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":40,"op":"SCMP_CMP_NE"},{"index":1,"value":4294967296,"valueTwo":1,"op":"SCMP_CMP_MASKED_EQ"}]},
		{"names":["socket"],"action":"SCMP_ACT_TRAP","args":[{"index":0,"value":5,"op":"SCMP_CMP_LE"},{"index":0,"value":9,"op":"SCMP_CMP_GT"}]}]}`), uint32(1<<30), uint64(1<<32))
	f.Fuzz(func(t *testing.T, text []byte, nr uint32, arg uint64) {
		p := new(specs.LinuxSeccomp)
		if json.Unmarshal(text, p) != nil {
			return
		}
		for _, native := range []specs.Arch{specs.ArchX86_64, specs.ArchS390X} {
			program, err := seccomp.Compile(p, native)
			if err != nil {
				continue
			}
			require.LessOrEqual(t, len(program.Filter), 4096)
			for _, audit := range []uint32{auditX64, auditX86, 0x80000016} {
				machine(t, program)(call{audit, nr, [6]uint64{arg, arg, arg, arg, arg, arg}})
			}
		}
	})
}
