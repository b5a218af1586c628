package cgroup

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// The cost of a container's groups on this machine: made and removed; limited; entered.

func benchGroup(b *testing.B, name string) *Group {
	if os.Geteuid() != 0 {
		b.Skip("needs root: control groups")
	}
	l, err := Detect()
	if err != nil {
		b.Fatal(err)
	}
	g, err := l.Group(fmt.Sprintf("/slipway-bench-%d/%s", os.Getpid(), name))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		parent, _ := l.Group(fmt.Sprintf("/slipway-bench-%d", os.Getpid()))
		if err := parent.Remove(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return g
}

func BenchmarkCreateRemove(b *testing.B) {
	parent := benchGroup(b, "keep")
	if err := parent.Create(); err != nil {
		b.Fatal(err)
	}
	g, _ := parent.layout.Group(parent.path + "/x")
	for b.Loop() {
		if err := g.Create(); err != nil {
			b.Fatal(err)
		}
		if err := g.Remove(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSet(b *testing.B) {
	g := benchGroup(b, "set")
	if err := g.Create(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := g.Set(&specs.LinuxResources{
			Memory: &specs.LinuxMemory{Limit: new(int64(64 << 20))},
			Pids:   &specs.LinuxPids{Limit: new(int64(100))},
			CPU:    &specs.LinuxCPU{Shares: new(uint64(512))},
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJoinFiles moves a thread into the group and back to where it came from.
func BenchmarkJoinFiles(b *testing.B) {
	g := benchGroup(b, "join")
	if err := g.Create(); err != nil {
		b.Fatal(err)
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	home, err := g.layout.Of(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, to := range []*Group{g, home} {
			files, err := to.JoinFiles()
			if err != nil {
				b.Fatal(err)
			}
			for _, f := range files {
				if _, err := f.WriteString("0"); err != nil {
					b.Fatal(f.Name(), err)
				}
				f.Close()
			}
		}
	}
}

// BenchmarkJoinProcess does the same by process id.
func BenchmarkJoinProcess(b *testing.B) {
	g := benchGroup(b, "join")
	if err := g.Create(); err != nil {
		b.Fatal(err)
	}
	home, err := g.layout.Of(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, to := range []*Group{g, home} {
			if err := to.Join(os.Getpid()); err != nil {
				b.Fatal(err)
			}
		}
	}
}
