package cgroup

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestPlans turns the resources in testdata/plans/*.txtar into writes on v1 and on v2. A file "now" gives the
// facts of the group as it is.
func TestPlans(t *testing.T) {
	goldens, err := filepath.Glob("testdata/plans/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, goldens)
	for _, golden := range goldens {
		t.Run(strings.TrimSuffix(filepath.Base(golden), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(golden)
			require.NoError(t, err)
			got := &txtar.Archive{Comment: archive.Comment}
			var resources, now []byte
			for _, f := range archive.Files {
				switch f.Name {
				case "resources.json":
					resources = f.Data
				case "now.json":
					now = f.Data
				default:
					continue
				}
				got.Files = append(got.Files, f)
			}
			for _, version := range []int{1, 2} {
				text := printPlan(t, version, resources, now)
				got.Files = append(got.Files, txtar.File{Name: fmt.Sprintf("v%d", version), Data: []byte(text)})
			}
			if *update {
				require.NoError(t, os.WriteFile(golden, txtar.Format(got), 0o644))
			}
			if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(got))); diff != "" && !*update {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func printPlan(t *testing.T, version int, resources, nowJSON []byte) string {
	var r specs.LinuxResources
	require.NoError(t, json.Unmarshal(resources, &r))
	given := struct {
		MemLimit, MemSwap, MemUsage *uint64
		NoSwap                      bool
		Period, Burst, RTPeriod     *uint64
		Quota                       string
		Missing                     []string
	}{}
	if len(nowJSON) > 0 {
		require.NoError(t, json.Unmarshal(nowJSON, &given))
	}
	or := func(p *uint64, n uint64) uint64 {
		if p == nil {
			return n
		}
		return *p
	}
	now := facts{
		version: func(controller string) int {
			onlyV1 := controller == "net_cls" || controller == "net_prio"
			if (version == 2 && onlyV1) || len(missing([]string{controller}, given.Missing)) == 0 {
				return 0
			}
			return version
		},
		memLimit: or(given.MemLimit, Unlimited), memSwap: or(given.MemSwap, Unlimited), memUsage: or(given.MemUsage, 0),
		noSwap: given.NoSwap, period: or(given.Period, 100000), burst: or(given.Burst, 0), quota: "max", rtPeriod: or(given.RTPeriod, 1000000),
	}
	if given.Quota != "" {
		now.quota = given.Quota
	}
	writes, err := plan(now, &r)
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	var b strings.Builder
	for _, w := range writes {
		fmt.Fprintf(&b, "%-32s %s", w.file, w.value)
		if w.instead != "" {
			fmt.Fprintf(&b, "   or %s %s", w.instead, w.orValue)
		}
		if w.optional {
			b.WriteString("   (optional)")
		}
		b.WriteByte('\n')
	}
	if version == 2 && r.Devices != nil {
		b.WriteString(printDevices(t, r.Devices))
	}
	return b.String()
}

func printDevices(t *testing.T, list []specs.LinuxDeviceCgroup) string {
	rules, err := deviceRules(list)
	require.NoError(t, err)
	return listing(deviceProgram(rules))
}

func TestWeightFromShares(t *testing.T) {
	for shares, want := range map[uint64]uint64{ // out of range; the two ends; the default of both; about it
		0: 1, 1: 1, 2: 1, 512: 59, 1024: 100, 2048: 174, 262144: 10000, 1 << 40: 10000,
	} {
		require.Equal(t, want, weightFromShares(shares), "%d shares", shares)
	}
	for last, shares := uint64(0), uint64(2); shares <= 262144; shares += 7 {
		weight := weightFromShares(shares)
		require.GreaterOrEqual(t, weight, last, "more shares, less weight at %d", shares)
		last = weight
	}
}

func TestIOWeight(t *testing.T) {
	for v1, want := range map[uint16]uint64{0: 1, 10: 1, 100: 910, 500: 4950, 1000: 10000} {
		require.Equal(t, want, ioWeight(v1))
	}
}

// TestDevices asks the set, the program and v1's law (devices.rst) the same questions.
func TestDevices(t *testing.T) {
	deny := specs.LinuxDeviceCgroup{Access: "rwm"}
	rule := func(allow bool, kind string, major, minor int64, access string) specs.LinuxDeviceCgroup {
		d := specs.LinuxDeviceCgroup{Allow: allow, Type: kind, Access: access}
		if major >= 0 {
			d.Major = &major
		}
		if minor >= 0 {
			d.Minor = &minor
		}
		return d
	}
	type question struct {
		kind         byte
		major, minor int64
		access       string
		want         bool
	}
	for name, row := range map[string]struct {
		rules []specs.LinuxDeviceCgroup
		ask   []question
	}{
		"no rules": {nil, []question{{'c', 1, 3, "rw", true}, {'b', 8, 0, "m", true}}},
		"nothing":  {[]specs.LinuxDeviceCgroup{deny}, []question{{'c', 1, 3, "r", false}, {'b', 8, 0, "m", false}}},
		"docker's default": {
			[]specs.LinuxDeviceCgroup{
				deny, rule(true, "c", 1, 3, "rwm"), rule(true, "c", -1, -1, "m"),
				rule(true, "b", -1, -1, "m"), rule(true, "c", 136, -1, "rwm"),
			},
			[]question{
				{'c', 1, 3, "rw", true},
				{'c', 1, 1, "r", false},
				{'c', 1, 1, "m", true},
				{'b', 8, 0, "m", true},
				{'b', 8, 0, "r", false},
				{'b', 1, 3, "r", false},
				{'c', 136, 7, "rw", true},
			},
		},
		"one right after another": {
			[]specs.LinuxDeviceCgroup{deny, rule(true, "c", 1, 3, "r"), rule(true, "c", 1, 3, "w")},
			[]question{{'c', 1, 3, "rw", true}, {'c', 1, 3, "rwm", false}},
		},
		"given and taken": {
			[]specs.LinuxDeviceCgroup{deny, rule(true, "c", 1, 3, "rwm"), rule(false, "c", 1, 3, "w")},
			[]question{{'c', 1, 3, "r", true}, {'c', 1, 3, "rw", false}},
		},
		"all but one": {
			[]specs.LinuxDeviceCgroup{rule(false, "b", 8, -1, "w")},
			[]question{{'b', 8, 3, "r", true}, {'b', 8, 3, "rw", false}, {'c', 8, 3, "w", true}},
		},
		"everything again": {
			[]specs.LinuxDeviceCgroup{deny, rule(true, "a", -1, -1, "rwm")},
			[]question{{'b', 8, 3, "rw", true}},
		},
		"some access of all": {
			[]specs.LinuxDeviceCgroup{deny, rule(true, "a", -1, -1, "r")},
			[]question{{'b', 8, 3, "r", true}, {'c', 8, 3, "rw", false}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := deviceRules(row.rules)
			require.NoError(t, err)
			prog := deviceProgram(rules)
			for _, q := range row.ask {
				acc, err := parseAccess(q.access)
				require.NoError(t, err)
				require.Equal(t, q.want, runDeviceProgram(t, prog, q.kind, q.major, q.minor, acc), "%c %d:%d %s", q.kind, q.major, q.minor, q.access)
			}
		})
	}
}

func TestDeviceRulesRefuse(t *testing.T) {
	for want, d := range map[string]specs.LinuxDeviceCgroup{
		`devices[0]: access "rx": only r, w and m are known`: {Access: "rx"},
		`devices[0]: type "p": only a, b, c and u are known`: {Type: "p", Access: "rw"},
	} {
		_, err := deviceRules([]specs.LinuxDeviceCgroup{d})
		require.EqualError(t, err, want)
	}
}

// listing writes a program as the kernel's own disassembler does (bpftool prog dump xlated).
func listing(prog []instruction) string {
	var b strings.Builder
	for n, i := range prog {
		text := map[uint8]string{
			unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W: fmt.Sprintf("r%d = *(u32 *)(r%d +%d)", i.dst, i.src, i.offset),
			unix.BPF_ALU | unix.BPF_MOV | unix.BPF_X: fmt.Sprintf("w%d = w%d", i.dst, i.src),
			unix.BPF_ALU | unix.BPF_MOV:              fmt.Sprintf("w%d = %d", i.dst, i.constant),
			unix.BPF_ALU | unix.BPF_AND:              fmt.Sprintf("w%d &= %d", i.dst, i.constant),
			unix.BPF_ALU | unix.BPF_RSH:              fmt.Sprintf("w%d >>= %d", i.dst, i.constant),
			unix.BPF_JMP32 | unix.BPF_JNE:            fmt.Sprintf("if w%d != 0x%x goto %d", i.dst, i.constant, n+1+int(i.offset)),
			unix.BPF_JMP32 | unix.BPF_JEQ:            fmt.Sprintf("if w%d == 0x%x goto %d", i.dst, i.constant, n+1+int(i.offset)),
			unix.BPF_JMP | unix.BPF_EXIT:             "exit",
		}[i.op]
		fmt.Fprintf(&b, "%3d: %s\n", n, text)
	}
	return b.String()
}

// runDeviceProgram interprets the few instructions that deviceProgram uses.
func runDeviceProgram(t *testing.T, prog []instruction, kind byte, major, minor int64, acc access) bool {
	t.Helper()
	number := map[byte]uint32{'b': 1, 'c': 2}[kind]
	ctx := map[int16]uint32{0: uint32(acc)<<16 | number, 4: uint32(major), 8: uint32(minor)}
	var r [11]uint32
	for pc, steps := 0, 0; ; pc, steps = pc+1, steps+1 {
		require.Less(t, steps, 1000, "the program does not end")
		i := prog[pc]
		right := uint32(i.constant)
		if i.op&7 == unix.BPF_ALU && i.op&unix.BPF_X != 0 {
			right = r[i.src]
		}
		skip := false
		switch i.op &^ unix.BPF_X {
		case unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W:
			r[i.dst] = ctx[i.offset]
		case unix.BPF_JMP | unix.BPF_EXIT:
			return r[0] == 1
		case unix.BPF_ALU | unix.BPF_MOV:
			r[i.dst] = right
		case unix.BPF_ALU | unix.BPF_AND:
			r[i.dst] &= right
		case unix.BPF_ALU | unix.BPF_RSH:
			r[i.dst] >>= right
		case unix.BPF_JMP32 | unix.BPF_JNE:
			skip = r[i.dst] != right
		case unix.BPF_JMP32 | unix.BPF_JEQ:
			skip = r[i.dst] == right
		default:
			t.Fatalf("unknown instruction %v", i)
		}
		if skip {
			pc += int(i.offset)
		}
	}
}

// TestEncode holds the bytes against what a BPF assembler makes of r3 = r2, w2 &= 0xffff, if w2 != 2 goto +5, exit (RFC 9669).
func TestEncode(t *testing.T) {
	if byteOrderBig() {
		t.Skip("needs a little-endian machine: the bytes are spelt out for one")
	}
	require.Equal(t, []byte{
		0x61, 0x14, 4, 0, 0, 0, 0, 0,
		0xbc, 0x23, 0, 0, 0, 0, 0, 0,
		0x54, 0x02, 0, 0, 0xff, 0xff, 0, 0,
		0x56, 0x02, 5, 0, 2, 0, 0, 0,
		0xb4, 0x00, 0, 0, 1, 0, 0, 0,
		0x95, 0x00, 0, 0, 0, 0, 0, 0,
	}, encode([]instruction{
		load(4, 1, 4), move(3, 2), compute(unix.BPF_AND, 2, 0xffff),
		{op: unix.BPF_JMP32 | unix.BPF_JNE | unix.BPF_K, dst: 2, offset: 5, constant: 2},
		compute(unix.BPF_MOV, 0, 1),
		{op: unix.BPF_JMP | unix.BPF_EXIT},
	}))
}

// TestTellingRules: Docker's list repeats what every container gets; what a rule would not change is not written.
func TestTellingRules(t *testing.T) {
	c := func(major int64, access string, allow bool) specs.LinuxDeviceCgroup {
		return specs.LinuxDeviceCgroup{Type: "c", Major: &major, Access: access, Allow: allow}
	}
	all := specs.LinuxDeviceCgroup{Type: "a", Access: "rwm"}
	open := specs.LinuxDeviceCgroup{Type: "a", Access: "rwm", Allow: true}
	for want, list := range map[string][]specs.LinuxDeviceCgroup{
		"c 1:* rw":                   {c(1, "rw", true)},                                         // what the kernel holds is not known
		"c 1:* rw c 1:* rw":          {c(1, "rw", true), c(1, "rw", true)},                       // still not
		"a c 1:* rw":                 {all, c(1, "rw", true), c(1, "r", true), c(2, "r", false)}, // a second time, and what was denied anyway
		"a c 1:* rw c 1:* m":         {all, c(1, "rw", true), c(1, "m", true)},
		"a c 1:* rw c 1:* r c 1:* r": {all, c(1, "rw", true), c(1, "r", false), c(1, "r", true)}, // taken away meanwhile
		"a c 1:* rw a":               {all, all, c(1, "rw", true), all},
		"a a c 1:* r c 1:* r":        {all, open, c(1, "r", true), c(1, "r", true)}, // open to what the parent may
	} {
		rules, err := deviceRules(list)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range telling(rules) {
			got = append(got, r.String())
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("written: %s\nwant:    %s", s, want)
		}
	}
}
