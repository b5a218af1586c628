package cgroup

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/slipway-engine/slipway/stages/01-namespaces/teach"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// newGroup makes a group of this test's own, and takes it away with all that is in it.
func newGroup(t *testing.T) *Group {
	t.Helper()
	g := nameGroup(t)
	err := g.Create()
	teach.Begun(t, err) // for a learner who has not yet written it
	require.NoError(t, err)
	return g
}

// nameGroup does not make the group, but takes it away if the test did. It does so by simple means of its
// own: what is tested must not clean up after itself.
func nameGroup(t *testing.T) *Group {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: control groups")
	}
	l, err := Detect()
	require.NoError(t, err)
	g, err := l.Group(testRoot() + "/" + strings.ReplaceAll(t.Name(), "/", "-"))
	require.NoError(t, err)
	t.Cleanup(func() { sweep(t, l) })
	return g
}

func sweep(t *testing.T, l *Layout) {
	t.Helper()
	g, err := l.Group(testRoot())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, p := range g.places {
		for p.exists() {
			pids, err := p.allPids()
			require.NoError(t, ignoreGone(err))
			for _, pid := range pids {
				unix.Kill(pid, unix.SIGKILL)
			}
			for _, frozen := range g.places { // whichever tree it is that freezes
				thaw(frozen)
			}
			if err := p.rmTree(); err == nil || !errors.Is(err, unix.EBUSY) {
				require.NoError(t, err)
				continue
			}
			select {
			case <-ctx.Done():
				t.Fatalf("cannot remove %s: processes %v", p, pids)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
}

// thaw undoes whatever froze a group or one below it.
func thaw(p place) {
	for file, value := range map[string]string{"freezer.state": "THAWED", "cgroup.freeze": "0"} {
		if p.has(file) {
			p.write(file, value) // best effort: rmdir tells
		}
	}
	below, _ := p.children()
	for _, c := range below {
		thaw(c)
	}
}

// needs skips where the machine lacks a controller.
func needs(t *testing.T, l *Layout, controllers ...string) {
	t.Helper()
	for _, c := range controllers {
		if !l.Has(c) {
			t.Skipf("needs the cgroup controller %s (this machine: %s, %v)", c, l.Mode(), l.Controllers())
		}
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
