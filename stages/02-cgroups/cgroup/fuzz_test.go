package cgroup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"
)

// FuzzParse: no mount table and no membership list breaks the parser, and what it accepts it can answer for.
func FuzzParse(f *testing.F) {
	fixtures, err := filepath.Glob("testdata/layouts/*.txtar")
	require.NoError(f, err)
	for _, file := range fixtures {
		archive, err := txtar.ParseFile(file)
		require.NoError(f, err)
		f.Add(string(archive.Files[0].Data), string(archive.Files[1].Data))
	}
	f.Add(`1 0 0:1 / /a\0 rw - cgroup2 x rw`, "0::/")
	f.Fuzz(func(t *testing.T, mountinfo, self string) {
		l, err := Parse(strings.NewReader(mountinfo), strings.NewReader(self))
		if err != nil {
			return
		}
		if len(l.trees) == 0 || l.Mode() < V1 || l.Mode() > V2 {
			t.Fatalf("layout without a hierarchy: %+v", l)
		}
		for _, c := range l.Controllers() {
			if !l.Has(c) {
				t.Errorf("lists %q and has it not", c)
			}
		}
		if _, err := l.Group("/x"); err != nil {
			t.Error(err)
		}
	})
}

// FuzzFiles reads what the files of a group could say.
func FuzzFiles(f *testing.F) {
	for _, seed := range []string{
		"max", "9223372036854771712", "-1", "oom_kill_disable 0\nunder_oom 0\noom_kill 3", "12\n0\n12\n",
		"8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6", "8:0 Read 4096\n8:0 Write 1\n8:0 Total 4097\nTotal 4097",
		"8:0 \n253:0 rbytes=1", "4:memory:/a:b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		flatKeyed(data)
		parseLimit(data)
		readMemberships(strings.NewReader(data))
		devices := ioTable{}
		devices.readIOStat(data)
		devices.readBlkio(data, (*IOStats).addBytes)
		devices.readBlkio(data, (*IOStats).addOperations)
		devices.sorted()
		pids, err := parsePids(data)
		for _, pid := range pids {
			if err == nil && pid <= 0 {
				t.Errorf("%d must never be signalled", pid)
			}
		}
	})
}

// TestIOTables: v1 and v2 say the same in their own ways.
func TestIOTables(t *testing.T) {
	want := []IOStats{
		{Major: 8, Minor: 0, ReadBytes: 4096, WriteBytes: 8192, Reads: 1, Writes: 2, DiscardBytes: 512, Discards: 1},
		{Major: 253, Minor: 7, ReadBytes: 1},
	}
	v2 := ioTable{}
	v2.readIOStat("253:7 rbytes=1\n8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=512 dios=1 cost.usage=4\n9:9 \n")
	require.Equal(t, want, v2.sorted())
	v1 := ioTable{}
	v1.readBlkio("8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 1\n8:0 Async 2\n8:0 Discard 512\n8:0 Total 12800\n253:7 Read 1\nTotal 12801\n", (*IOStats).addBytes)
	v1.readBlkio("8:0 Read 1\n8:0 Write 2\n8:0 Discard 1\n", (*IOStats).addOperations)
	require.Equal(t, want, v1.sorted())
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`/a\040b`: "/a b", `\134`: `\`, `/a\04`: `/a\04`, `/a\999b`: `/a\999b`, `\011\012`: "\t\n", `/plain`: `/plain`,
	} {
		require.Equal(t, want, unescape(in))
	}
}

// TestStatsFixture reads a whole v2 group from plain files, with what an older kernel lacks left zero.
func TestStatsFixture(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{
		"cgroup.controllers": "cpu io memory pids\n",
		"g/cpu.stat":         "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 70000\n",
		"g/memory.current":   "1048576\n",
		"g/memory.max":       "max\n",
		"g/memory.stat":      "anon 4096\nfile 8192\ninactive_file 512\n",
		"g/memory.events":    "low 0\nhigh 0\nmax 5\noom 2\noom_kill 1\n",
		"g/pids.current":     "3\n",
		"g/pids.max":         "32\n",
		"g/io.stat":          "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644))
	}
	parsed, err := Parse(strings.NewReader("1 0 0:1 / / rw - cgroup2 c rw"), strings.NewReader("0::/"))
	require.NoError(t, err)
	l, err := parsed.Open(dir)
	require.NoError(t, err)
	g, err := l.Group("/g")
	require.NoError(t, err)
	got, err := g.Stats()
	require.NoError(t, err)
	require.Equal(t, &Stats{
		CPU: CPUStats{Usage: 5e9, User: 3e9, System: 2e9, Periods: 10, ThrottledPeriods: 4, Throttled: 7e7},
		Memory: MemoryStats{
			Usage: 1 << 20, Limit: Unlimited, SoftLimit: Unlimited, SwapLimit: Unlimited, Cache: 8192, Anon: 4096, InactiveFile: 512,
			Failures: 5, OOM: 2, OOMKills: 1, Raw: map[string]uint64{"anon": 4096, "file": 8192, "inactive_file": 512},
		},
		Pids: PidsStats{Current: 3, Limit: 32},
		IO:   []IOStats{{Major: 8, ReadBytes: 1, WriteBytes: 2, Reads: 3, Writes: 4}},
	}, got)
}
