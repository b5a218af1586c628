package snapshot_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-engine/slipway/stages/01-namespaces/shield"
	"github.com/slipway-engine/slipway/stages/03-rootfs/snapshot"
	"github.com/stretchr/testify/require"
)

const crashDir = "SLIPWAY_SNAPSHOT_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Fprintln(os.Stderr, churn(dir)) // until it is killed
		os.Exit(1)
	}
	shield.Main(m)
}

// churn makes, commits and removes snapshots for ever and says on stdout what it was told is done.
func churn(dir string) error {
	s, err := snapshot.NewOverlay(dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	for i := 0; ; i++ {
		key, name := fmt.Sprint("key", i), fmt.Sprint("name", i)
		mounts, err := s.Prepare(ctx, key, "", nil)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(mounts[0].Source, "f"), []byte(name), 0o600); err != nil {
			return err
		}
		if err := s.Commit(ctx, name, key, map[string]string{"n": name}); err != nil {
			return err
		}
		fmt.Println("committed", name)
		if i%2 == 1 {
			fmt.Println("removing", name)
			if err := s.Remove(ctx, name); err != nil {
				return err
			}
			fmt.Println("removed", name)
		}
	}
}

// What was acknowledged survives kill -9 at any moment, and what was not is there whole or not at all.
func TestKilledAtAnyMoment(t *testing.T) {
	for round := range 12 {
		dir := t.TempDir()
		said := killed(t, dir, time.Duration(5+round*7)*time.Millisecond)
		s, err := snapshot.NewOverlay(dir)
		require.NoError(t, err)
		require.Empty(t, s.Damaged())
		seen := map[string]bool{}
		require.NoError(t, s.Walk(t.Context(), func(i snapshot.Info) error {
			seen[i.Name] = true
			if i.Kind != snapshot.Committed {
				return nil
			}
			mounts, err := s.View(t.Context(), "view "+i.Name, i.Name, nil)
			require.NoError(t, err)
			p, err := os.ReadFile(filepath.Join(mounts[0].Source, "f"))
			require.NoError(t, err)
			require.Equal(t, i.Name, string(p), "a committed snapshot is whole")
			return s.Remove(t.Context(), "view "+i.Name)
		}))
		for name, state := range said {
			if state != "removing" { // may be there or not
				require.Equal(t, state == "committed", seen[name], "%s was %s", name, state)
			}
		}
		hidden, err := filepath.Glob(filepath.Join(dir, "snapshots", ".*"))
		require.NoError(t, err)
		require.Empty(t, hidden, "what was half made or half removed is swept")
		require.NoError(t, s.Close())
	}
}

// killed runs churn for a while, kills it, and gives the last that was said of each snapshot.
func killed(t *testing.T, dir string, after time.Duration) map[string]string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	said := map[string]string{}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if len(said) == 0 { // the clock starts when it is at work
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		state, name, _ := strings.Cut(lines.Text(), " ")
		said[name] = state
	}
	require.Error(t, cmd.Wait(), "it ends only by being killed")
	require.NotEmpty(t, said)
	return said
}
